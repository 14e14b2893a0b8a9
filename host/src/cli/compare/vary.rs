//! `--vary KEY=VALUES`: a point for each value.

use plugin_api::workload::CatalogueEntry;
use serde_json::{Map, Value};

use crate::app::{Problem, options, parameters};
use crate::first_seen::distinct;
use crate::plan::common_size::{CommonSize, decisive};
use crate::plan::defaults::ITERS;
use crate::plan::{Matrix, Variation, WorkloadChoice};
use crate::shell;
use crate::text::json_text;

/// The keys that have options of their own.
const ITEMS: &str = "items";
const PARALLELISM: &str = "parallelism";

/// What is varied: by options of its own, or by `--vary`.
pub(in crate::cli) struct Varied {
    pub(in crate::cli) items: Vec<u64>,
    pub(in crate::cli) parallelism: Vec<u32>,
    /// Parameters of workloads, and options that every run has.
    pub(in crate::cli) options: Vec<Variation>,
}

impl Varied {
    /// Refuses a key or a value that is given twice.
    pub(in crate::cli) fn of(
        items: &[u64],
        parallelism: &[u32],
        extra: &Map<String, Value>,
        vary: &[Variation],
    ) -> Result<Self, Problem> {
        let mut varied =
            Self { items: items.to_vec(), parallelism: parallelism.to_vec(), options: Vec::new() };
        for (at, variation) in vary.iter().enumerate() {
            let Variation { key, values } = variation;
            if vary[..at].iter().any(|earlier| earlier.key == *key) {
                return Err(Problem::usage(format!("--vary {key} is given twice"))
                    .with_remedy(format!("one --vary {key} with all values")));
            }
            let other = match key.as_str() {
                ITEMS => (!items.is_empty()).then(|| format!("--{ITEMS}")),
                PARALLELISM => (!parallelism.is_empty()).then(|| format!("--{PARALLELISM}")),
                _ => extra.contains_key(key).then(|| format!("--extra {key}")),
            };
            if let Some(other) = other {
                return Err(Problem::usage(format!("{key} is given by {other} and by --vary {key}"))
                    .with_remedy("one of the two"));
            }
            if let Some(twice) = values.iter().enumerate().find(|(at, value)| values[..*at].contains(value)) {
                return Err(Problem::usage(format!("--vary {key} has the value {} twice", twice.1))
                    .with_remedy("each value once"));
            }
            match key.as_str() {
                ITEMS => varied.items = parsed(variation, options::count)?,
                PARALLELISM => varied.parallelism = parsed(variation, options::parallelism)?,
                _ => varied.options.push(variation.clone()),
            }
        }
        Ok(varied)
    }

    /// Whether a run of `matrix` varies the same options, or none are named.
    pub(super) fn has_options_of(&self, matrix: &Matrix) -> bool {
        let varied: Vec<_> = matrix.workloads.iter().flat_map(|workload| &workload.vary).collect();
        let all_varied = self.options.iter().all(|option| varied.contains(&option));
        self.options.is_empty() || (all_varied && varied.iter().all(|it| self.options.contains(it)))
    }
}

fn parsed<T>(variation: &Variation, parse: fn(&str) -> Result<T, String>) -> Result<Vec<T>, Problem> {
    let Variation { key, values } = variation;
    let parsed = values.iter().map(|value| parse(&json_text(value)));
    parsed.collect::<Result<_, _>>().map_err(|why| Problem::usage(format!("--vary {key}: {why}")))
}

/// Varies in each workload of `matrix` those of `options` that it reads.
///
/// Refuses an option that no workload reads. Some of those that only backends read are read when the engine starts, which it does
/// once for all points.
pub(super) fn apply(
    options: &[Variation],
    matrix: &mut Matrix,
    entries: &[Option<CatalogueEntry>],
) -> Result<(), Problem> {
    let declared: Vec<_> = entries.iter().map(|entry| parameters::declared(entry.as_ref())).collect();
    for variation in options {
        let option = format!("--vary {}", variation.key);
        parameters::check_each(variation, &matrix.workloads, entries, &option)?;
    }
    for (workload, own) in matrix.workloads.iter_mut().zip(&declared) {
        let reads = |variation: &&Variation| own.iter().any(|parameter| parameter.name == variation.key);
        workload.vary.extend(options.iter().filter(reads).cloned());
    }
    let names = || declared.iter().flatten().map(|parameter| parameter.name.as_str());
    match options.iter().find(|variation| !names().any(|name| name == variation.key)) {
        None => Ok(()),
        Some(Variation { key, values }) => {
            let may_be = [ITEMS, PARALLELISM].into_iter().chain(names()).map(str::to_owned);
            let may_be = distinct(may_be);
            let read = may_be.join(", ");
            let message = format!("--vary {key}: no workload of this comparison reads it; they read {read}");
            let near = || {
                let near = parameters::near(key, &may_be)?;
                let parameter = declared.iter().flatten().find(|parameter| parameter.name == near);
                let values = parameter.map_or_else(|| values.clone(), |it| parameters::meant(values, it));
                Some(format!("--vary {}", shell::quote(argument(&Variation { key: near, values }))))
            };
            let each = "a comparison for each value";
            let remedy = match key.as_str() {
                "scheduler" | "schedulers" => "--schedulers NAME,NAME".to_owned(),
                "seed" | "data-seed" | "nodes" | "cores" | "timeout" => format!("{each} with --{key}"),
                _ => near().unwrap_or_else(|| {
                    format!("for an option of a backend, {each} with --extra {key}=VALUE")
                }),
            };
            Err(Problem::usage(message).with_remedy(remedy))
        }
    }
}

/// Refuses points of a workload that have no default in common, as where one of them is an open loop by what is varied. `has_items` says
/// whether the numbers of items are given. For values that were checked: the remedy keeps them.
pub(super) fn check_common_sizes(matrix: &Matrix, has_items: bool, quick: bool) -> Result<(), Problem> {
    matrix.workloads.iter().try_for_each(|workload| {
        let size = CommonSize::of(&workload.name, &matrix.options, &workload.vary, quick);
        if !has_items && !size.has_one_number_of_items() {
            return Err(no_common_size(workload, "number of items", "--items COUNT"));
        }
        let is_varied = |key: &str| workload.vary.iter().any(|variation| variation.key == key);
        if !matrix.options.contains_key(ITERS) && !is_varied(ITERS) && !size.has_one(ITERS) {
            return Err(no_common_size(workload, ITERS, "--extra iters=COUNT"));
        }
        Ok(())
    })
}

/// What is varied makes a run of `workload` too short with the default of one point for `what`, or too long with that of another.
/// `option` gives it.
fn no_common_size(workload: &WorkloadChoice, what: &str, option: &str) -> Problem {
    let keys: Vec<_> = decisive(&workload.vary).map(|variation| variation.key.as_str()).collect();
    let message = format!(
        "--vary {}: no default {what} of {} is right for all of its values",
        keys.join(" and --vary "),
        workload.name
    );
    Problem::usage(message).with_remedy(format!("{option}, or a comparison for each value"))
}

/// The values of `--vary` that lead to `matrix`.
pub(super) fn arguments(matrix: &Matrix) -> Vec<String> {
    distinct(matrix.workloads.iter().flat_map(|workload| &workload.vary).map(argument))
}

/// The value of `--vary` for this variation.
pub(in crate::cli) fn argument(Variation { key, values }: &Variation) -> String {
    let values: Vec<_> = values.iter().map(Value::to_string).collect();
    format!("{key}={}", values.join(","))
}
