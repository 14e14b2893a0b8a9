//! The versions that the trials of a row report.

use serde_json::{Map, Value};

use crate::first_seen::{distinct, grouped};
use crate::text::json_text;

/// The versions of all trials. Where they differ in one, as those of several runs may, its value is a text with each of them.
pub(super) fn together<'v>(of_trials: impl Iterator<Item = &'v Map<String, Value>>) -> Map<String, Value> {
    let each = distinct(of_trials);
    if let [one] = each.as_slice() {
        return (*one).clone();
    }
    let together = |(name, versions): (&String, Vec<&Value>)| {
        let value = match distinct(versions).as_slice() {
            [one] => (*one).clone(),
            several => {
                Value::from(several.iter().map(|version| json_text(version)).collect::<Vec<_>>().join(", "))
            }
        };
        (name.clone(), value)
    };
    grouped(each.into_iter().flat_map(|versions| versions.iter())).into_iter().map(together).collect()
}
