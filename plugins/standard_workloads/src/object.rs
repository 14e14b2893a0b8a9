//! JSON objects that describe items for people.

use plugin_api::serde_json::{Map, Value};

/// The object with these keys.
pub(crate) fn object<const N: usize>(entries: [(&str, Value); N]) -> Map<String, Value> {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
