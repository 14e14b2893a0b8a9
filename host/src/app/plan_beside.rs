//! Reads the plan of a run that lies beside its records.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::record::names::{PLAN, TRIALS};
use crate::regular_file;
use crate::text::without_mark;

/// The id of the run whose plan is in `folder`.
pub(super) fn planned_run(folder: &Path) -> Option<String> {
    let plan: Value = plan_beside(&folder.join(TRIALS))?;
    Some(plan.pointer("/matrix/run")?.as_str()?.to_owned())
}

/// The plan beside a file of records, as far as `T` reads it.
pub(super) fn plan_beside<T: DeserializeOwned>(file: &Path) -> Option<T> {
    let plan = regular_file::read(&file.with_file_name(PLAN)).ok()?;
    serde_json::from_slice(without_mark(&plan)).ok()
}
