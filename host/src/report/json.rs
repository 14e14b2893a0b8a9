//! The comparison itself, for programs; or what sweeps came to.

use serde::Serialize;

use super::error::ReportError;
use crate::text::escaped_in_json;

/// All of a comparison, or of what sweeps came to, as one indented JSON object, which ends with a line feed.
pub fn json(result: &impl Serialize) -> Result<String, ReportError> {
    Ok(escaped_in_json(&serde_json::to_string_pretty(result)?) + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::model::Comparison;
    use crate::report::examples;

    #[test]
    fn nothing_is_lost() {
        let comparison = examples::several_workloads();
        let text = json(&comparison).unwrap();
        assert_eq!(serde_json::from_str::<Comparison>(&text).unwrap(), comparison);
        assert!(text.ends_with("}\n"));
    }
}
