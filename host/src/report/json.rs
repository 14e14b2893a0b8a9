//! JSON for programs.

use serde::Serialize;

use super::error::ReportError;
use crate::text::escaped_in_json;

/// A comparison, or the METG of sweeps, as one indented JSON object with a line feed at the end.
pub fn json(result: &impl Serialize) -> Result<String, ReportError> {
    Ok(escaped_in_json(&serde_json::to_string_pretty(result)?) + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::model::Comparison;
    use crate::report::examples;

    #[test]
    fn a_comparison_reads_back_from_its_json() {
        let comparison = examples::several_workloads();
        let text = json(&comparison).unwrap();
        assert_eq!(serde_json::from_str::<Comparison>(&text).unwrap(), comparison);
        assert!(text.ends_with("}\n"));
    }
}
