//! What options and parameters declare about themselves.

use std::collections::BTreeSet;

use plugin_api::{Parameter, Parameters};
use serde_json::Map;

use super::finding::NotPassed;
use crate::run::backend::read_in_runs;

/// Requires that each parameter of a workload can be given, by a name that stands for nothing else in `extra`.
pub(super) fn names(declared: &[Parameter]) -> Result<(), NotPassed> {
    let of_every_run: Vec<_> = read_in_runs(std::iter::empty()).collect();
    let mut seen = BTreeSet::new();
    for Parameter { name, .. } in declared {
        let why = if name.is_empty() || name.contains('=') {
            "has a name that --extra cannot give"
        } else if of_every_run.contains(&name.as_str()) {
            "has the name of an option that every run has"
        } else if !seen.insert(name) {
            "is declared twice"
        } else {
            continue;
        };
        return Err(NotPassed::Failed(format!("the parameter {name:?} {why}")));
    }
    Ok(())
}

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
    fn a_name_that_cannot_be_given_or_stands_for_something_else_is_found() {
        let declared = |names: &[&str]| {
            let parameters: Vec<_> = names.iter().map(|name| Parameter::text(name, "any", "")).collect();
            super::names(&parameters)
        };
        assert!(declared(&["count", "size"]).is_ok());
        for (names, says) in [
            (&["count", ""][..], "\"\" has a name that --extra cannot give"),
            (&["a=b"], "\"a=b\" has a name that --extra cannot give"),
            (&["batch_size"], "\"batch_size\" has the name of an option that every run has"),
            (&["count", "fusion"], "\"fusion\" has the name"),
            (&["max_wait_seconds"], "\"max_wait_seconds\" has the name"),
            (&["count", "size", "count"], "\"count\" is declared twice"),
        ] {
            let Err(NotPassed::Failed(why)) = declared(names) else { panic!("{names:?} were accepted") };
            assert!(why.contains(says), "{why}");
        }
    }

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
