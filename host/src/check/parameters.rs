//! What options and parameters declare about themselves.

use plugin_api::{Parameter, Parameters};
use serde_json::Map;

use super::finding::NotPassed;

/// Requires that each default is a value that its parameter accepts.
pub(super) fn defaults(declared: &[Parameter]) -> Result<(), NotPassed> {
    let is_accepted =
        |parameter: &&Parameter| Parameters::resolve(std::slice::from_ref(*parameter), &Map::new()).is_ok();
    match declared.iter().find(|parameter| !is_accepted(parameter)) {
        None => Ok(()),
        Some(Parameter { name, domain, default, .. }) => {
            Err(NotPassed::Failed(format!("the default of {name} is {default}, but must be {domain}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_default_outside_of_any_domain_is_found() {
        let good = [
            Parameter::integer("count", "how many", 3, 0, 3),
            Parameter::number("skew", "how much", 0.5, 0.0, 1.0),
            Parameter::choice("mood", "which", &["well", "ill"]),
            Parameter::text("note", "any", ""),
        ];
        assert!(defaults(&good).is_ok());
        for (at, bad) in [json!(4), json!(1.5), json!("so so"), json!(0)].into_iter().enumerate() {
            let mut declared = good.clone();
            declared[at].default = bad.clone();
            let Err(NotPassed::Failed(why)) = defaults(&declared) else { panic!("{bad} was accepted") };
            assert!(why.contains(&declared[at].name) && why.contains(&bad.to_string()), "{why}");
        }
    }
}
