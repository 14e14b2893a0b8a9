//! JSON for programs.

use serde::Serialize;

use super::error::ReportError;
use crate::text::escaped_in_json;

/// A comparison, or the METG of sweeps, as one indented JSON object with a line feed at the end.
pub fn json(result: &impl Serialize) -> Result<String, ReportError> {
    Ok(escaped_in_json(&serde_json::to_string_pretty(result)?) + "\n")
}
