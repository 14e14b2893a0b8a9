//! The options that the runs of a workload read, and the values that they may have.

use std::collections::BTreeMap;

use plugin_api::Parameter;
use plugin_api::spec::MAX_BATCH_SIZE;
use plugin_api::workload::{CatalogueEntry, Domain};
use serde_json::{Map, Value};

use super::context::Context;
use super::{Problem, option_value};
use crate::first_seen::distinct;
use crate::plan::{Variation, WorkloadChoice};
use crate::shell;
use crate::text::{json_text, nearest};

/// What `--extra` gives, by its keys.
///
/// Refuses a key that is given twice: one of the two values would be lost.
pub(crate) fn extra(given: &[(String, Value)]) -> Result<Map<String, Value>, Problem> {
    let mut extra = Map::new();
    for (key, value) in given {
        if let Some(before) = extra.insert(key.clone(), value.clone()) {
            let message = format!("--extra {key} is given twice: {before} and {value}");
            return Err(Problem::usage(message).with_remedy("one of the two"));
        }
    }
    Ok(extra)
}

/// What the libraries of the workloads list of each.
pub(crate) fn entries(
    workloads: &[WorkloadChoice],
    context: &Context,
) -> Result<Vec<Option<CatalogueEntry>>, Problem> {
    let folders = context.folders("compare")?;
    let mut catalogues = BTreeMap::new();
    let mut of_workload = |workload: &WorkloadChoice| {
        let library = context.workload_library(&workload.name)?;
        if !catalogues.contains_key(&library.path) {
            catalogues.insert(library.path.clone(), context.catalogue(&library, &folders)?);
        }
        let entries = catalogues.get(&library.path).into_iter().flatten();
        Ok(entries.into_iter().find(|entry| entry.name == workload.name).cloned())
    };
    let entries = workloads.iter().map(&mut of_workload).collect();
    context.tidy(&folders);
    entries
}

/// What the runs of a workload read: its own parameters, and what every run has.
pub(crate) fn declared(entry: Option<&CatalogueEntry>) -> Vec<Parameter> {
    let own = entry.map(|entry| entry.parameters.clone()).unwrap_or_default();
    // The default is what is proposed, as by the remedy of a spec: batches of one item take hours where a comparison takes minutes.
    let batch_size = Parameter::integer("batch_size", "items in a batch", 1024, 1, MAX_BATCH_SIZE);
    let fusion = Parameter::choice("fusion", "whether stages are fused", &["auto", "off"]);
    own.into_iter().chain([batch_size, fusion]).collect()
}

/// Refuses a value of `--extra` that a parameter of one of `workloads` cannot have, as each of its trials would. `entries` has what
/// their libraries list of them.
pub(crate) fn check_extra(
    extra: &Map<String, Value>,
    workloads: &[WorkloadChoice],
    entries: &[Option<CatalogueEntry>],
) -> Result<(), Problem> {
    extra.iter().try_for_each(|(key, value)| {
        let variation = Variation { key: key.clone(), values: vec![value.clone()] };
        check_each(&variation, workloads, entries, &format!("--extra {key}"))
    })
}

/// As [`check_extra`] for the workload of `entry` alone.
pub(crate) fn check_extra_of(extra: &Map<String, Value>, entry: &CatalogueEntry) -> Result<(), Problem> {
    let workload = WorkloadChoice { name: entry.name.clone(), ..WorkloadChoice::default() };
    check_extra(extra, &[workload], &[Some(entry.clone())])
}

/// Refuses a value of `extra` that one of the `options` which `backend` declares cannot have.
pub(crate) fn check_options(
    extra: &Map<String, Value>,
    backend: &str,
    options: &[Parameter],
) -> Result<(), Problem> {
    given(extra, &[]).iter().try_for_each(|(variation, option)| {
        check_declared(variation, backend, options, option).unwrap_or(Ok(()))
    })
}

/// What `extra` and `vary` give, each with its option of the command line.
pub(crate) fn given(extra: &Map<String, Value>, vary: &[Variation]) -> Vec<(Variation, String)> {
    let of_extra = |(key, value): (&String, &Value)| {
        (Variation { key: key.clone(), values: vec![value.clone()] }, format!("--extra {key}"))
    };
    let of_vary = |variation: &Variation| (variation.clone(), format!("--vary {}", variation.key));
    extra.iter().map(of_extra).chain(vary.iter().map(of_vary)).collect()
}

/// Refuses a value of `variation`, which `option` of the command line gives, that one of the `options` which `backend` declares cannot
/// have: a backend may take it for another value, and be measured under a label that is not true. A text is whatever the backend makes
/// of it. `None` if the backend does not declare the option.
pub(crate) fn check_declared(
    variation: &Variation,
    backend: &str,
    options: &[Parameter],
    option: &str,
) -> Option<Result<(), Problem>> {
    let parameter = options.iter().find(|it| it.name == variation.key)?;
    let is_text = parameter.domain == Domain::Text;
    Some(if is_text { Ok(()) } else { check(variation, parameter, backend, option) })
}

/// As [`check`] for each of `workloads` that reads the option; `entries` has what their libraries list of them. Where others take the
/// values, the remedy is to measure these alone, with what was asked for.
pub(crate) fn check_each(
    variation: &Variation,
    workloads: &[WorkloadChoice],
    entries: &[Option<CatalogueEntry>],
    option: &str,
) -> Result<(), Problem> {
    let checked = workloads.iter().zip(entries).map(|(WorkloadChoice { name, .. }, entry)| {
        let parameter = declared(entry.as_ref()).into_iter().find(|it| it.name == variation.key);
        (name.as_str(), parameter.map(|it| check(variation, &it, name, option)))
    });
    match refused(checked) {
        None => Ok(()),
        Some((problem, others)) if others.is_empty() => Err(problem),
        Some((problem, others)) => {
            let others = others.join(",");
            Err(problem.with_remedy(format!("the others alone, with --workloads {others}")))
        }
    }
}

/// The first problem of those that were `checked`, and which of the others can be measured with what was asked for: none, unless one of
/// them reads the option. What does not read it was not checked.
pub(crate) fn refused<'a>(
    checked: impl Iterator<Item = (&'a str, Option<Result<(), Problem>>)>,
) -> Option<(Problem, Vec<&'a str>)> {
    let (mut others, mut is_taken, mut refused) = (Vec::new(), false, None);
    for (name, checked) in checked {
        if let Some(Err(problem)) = checked {
            refused.get_or_insert(problem);
        } else {
            others.push(name);
            is_taken |= checked.is_some();
        }
    }
    if !is_taken {
        others.clear();
    }
    Some((refused?, others))
}

/// Refuses a value of `variation`, which `option` of the command line gives, that a parameter of `reader` cannot have: of a workload or
/// a backend.
pub(crate) fn check(
    variation: &Variation,
    parameter: &Parameter,
    reader: &str,
    option: &str,
) -> Result<(), Problem> {
    let values = &variation.values;
    let is_outside = |value: &&Value| parameter.domain.read(value).is_none();
    let Some(value) = values.iter().find(is_outside) else { return Ok(()) };
    let message = format!("{option}: {value} is not {}, as {reader} needs it", parameter.domain);
    let meant: Vec<_> = meant(values, parameter).iter().map(|value| argument(value, parameter)).collect();
    Err(Problem::usage(message).with_remedy(format!("{option}={}", meant.join(","))))
}

/// The values that are meant by `values`: each that `parameter` can have as it is, and what is likely in place of the others.
pub(crate) fn meant(values: &[Value], parameter: &Parameter) -> Vec<Value> {
    // As the domain reads them: `true` and "true" are one word of a choice.
    let meant = |value: &Value| parameter.domain.read(value).unwrap_or_else(|| likely(value, parameter));
    distinct(values.iter().map(meant))
}

/// The argument that gives `value` to `parameter`, for a shell: its text, or its JSON where the text is read as another value.
fn argument(value: &Value, parameter: &Parameter) -> String {
    let text = json_text(value);
    let read = option_value::of(&parameter.name, &text).ok().and_then(|read| parameter.domain.read(&read));
    shell::quote(if read.as_ref() == Some(value) { text } else { value.to_string() })
}

/// The value that is meant by one that `parameter` cannot have: the word that is spelled nearly as it is, or else the default.
fn likely(value: &Value, parameter: &Parameter) -> Value {
    let near = match (&parameter.domain, value) {
        (Domain::Choice { options }, Value::String(word)) => near(word, options),
        // A number that several words are, as `3.10` is read as 3.1: the last of them, which is quoted where it is proposed.
        (Domain::Choice { options }, Value::Number(number)) => {
            let is_it = |word: &&String| word.parse().ok() == number.as_f64();
            options.iter().rfind(is_it).cloned()
        }
        _ => None,
    };
    near.map_or_else(|| parameter.default.clone(), Value::from)
}

/// The one of `words` that is spelled nearly as `word`, in whatever case that is.
pub(crate) fn near(word: &str, words: &[String]) -> Option<String> {
    nearest(&word.to_lowercase(), words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_outside_of_what_a_backend_declares_is_refused_and_other_keys_are_not_its() {
        let options = [
            Parameter::integer("batch", "how many at once", 8, 1, 64),
            Parameter::choice("mode", "how", &["fast", "slow"]),
            Parameter::text("address", "of a cluster", "none"),
        ];
        let refused = |key: &str, value: Value| {
            let problem = check_options(&Map::from_iter([(key.to_owned(), value)]), "mine", &options);
            problem.err().map(|problem| problem.line())
        };
        let told = refused("batch", 65.into()).unwrap();
        assert!(
            told.contains("--extra batch: 65 is not a whole number from 1 to 64, as mine needs it"),
            "{told}"
        );
        assert!(refused("mode", "slowly".into()).unwrap().contains("one of fast, slow"));
        for (key, value) in
            [("batch", 64.into()), ("mode", "slow".into()), ("address", 5.into()), ("others", 65.into())]
        {
            assert_eq!(refused(key, value), None, "{key}");
        }
        let vary = Variation { key: "batch".into(), values: vec![1.into(), 65.into()] };
        let [(variation, option)] = given(&Map::new(), &[vary]).try_into().unwrap();
        let checked = check_declared(&variation, "mine", &options, &option);
        let told = checked.unwrap().unwrap_err().line();
        assert!(told.contains("--vary batch: 65 is not"), "{told}");
    }

    #[test]
    fn the_word_that_is_meant_is_proposed_and_else_the_default() {
        let parameter = Parameter::choice("arrivals", "how events come", &["on_demand", "poisson", "off"]);
        for (value, meant) in [
            ("poison", "poisson"),
            ("Poisson", "poisson"),
            ("of", "off"),
            ("on", "on_demand"),
            ("x", "on_demand"),
        ] {
            assert_eq!(likely(&value.into(), &parameter), meant, "{value}");
        }
        assert_eq!(likely(&5.into(), &parameter), "on_demand");
        assert_eq!(likely(&"9".into(), &Parameter::integer("keys", "keys", 7, 1, 8)), 7);
    }

    #[test]
    fn a_choice_of_what_json_takes_for_no_text_is_given_and_a_remedy_can_be_pasted() {
        let sync = [Parameter::choice("sync", "whether to wait", &["true", "8"])];
        let check = |value: &str| {
            let extra = Map::from_iter([("sync".to_owned(), option_value::of("sync", value).unwrap())]);
            check_options(&extra, "mine", &sync).map_err(|problem| problem.remedy.unwrap_or_default())
        };
        assert_eq!((check("true"), check("8")), (Ok(()), Ok(())));
        assert_eq!(check("9"), Err("--extra sync=true".to_owned()));
        let version = [Parameter::choice("version", "which", &["3.1", "3.9", "3.10"])];
        let given = Map::from_iter([("version".to_owned(), option_value::of("version", "3.10").unwrap())]);
        let told = check_options(&given, "mine", &version).unwrap_err();
        assert_eq!(told.remedy.as_deref(), Some(r#"--extra version='"3.10"'"#));
        // Both are one word of the choice.
        assert_eq!(meant(&[true.into(), "oops".into()], &sync[0]), [Value::from("true")]);
        for (parameter, pasted) in [
            (Parameter::choice("shape", "which", &["on demand"]), "'on demand'"),
            // Else it is the number, which is no text.
            (Parameter::text("label", "any", "5"), r#"'"5"'"#),
            (Parameter::text("label", "any", "$HOME"), "'$HOME'"),
            (Parameter::number("share", "of all", 0.5, 0.0, 1.0), "0.5"),
        ] {
            assert_eq!(argument(&parameter.default, &parameter), pasted);
        }
    }
}
