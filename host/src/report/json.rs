//! The comparison itself, for programs.

use super::ReportError;
use crate::compare::model::Comparison;

/// All of the comparison as one indented JSON object, which ends with a line feed.
///
/// # Errors
/// [`ReportError::Json`] when the encoder refuses, which it does for nothing that a comparison can hold.
pub fn json(comparison: &Comparison) -> Result<String, ReportError> {
    Ok(serde_json::to_string_pretty(comparison)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples;

    #[test]
    fn nothing_is_lost() {
        let comparison = examples::several_workloads();
        let text = json(&comparison).unwrap();
        assert_eq!(serde_json::from_str::<Comparison>(&text).unwrap(), comparison);
        assert!(text.ends_with("}\n"));
    }
}
