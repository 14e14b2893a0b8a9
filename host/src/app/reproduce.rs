//! The words of a command that runs a trial again.

use std::path::Path;

use plugin_api::WorkloadSpec;

/// `run` with everything that decides what is computed and how, every default written out.
pub(crate) fn run_words(backend: &str, spec: &WorkloadSpec, seed: u64, nodes: u32) -> Vec<String> {
    let mut words: Vec<String> = vec!["run".into()];
    push(&mut words, "backend", backend);
    push(&mut words, "workload", &spec.name);
    push(&mut words, "items", spec.total_items);
    push(&mut words, "parallelism", spec.parallelism);
    push(&mut words, "scheduler", &spec.scheduler_name);
    push(&mut words, "seed", seed);
    push(&mut words, "nodes", nodes);
    for (key, value) in &spec.extra {
        push(&mut words, "extra", format!("{key}={value}"));
    }
    words
}

/// An option and its value.
pub(crate) fn push(words: &mut Vec<String>, name: &str, value: impl ToString) {
    words.extend([format!("--{name}"), value.to_string()]);
}

/// The options that decide which plugins may be loaded.
pub(crate) fn push_guards(words: &mut Vec<String>, allow_untrusted: bool, locked_by: Option<&Path>) {
    if allow_untrusted {
        words.push("--allow-untrusted".into());
    }
    if let Some(path) = locked_by {
        words.push(format!("--locked={}", path.display()));
    }
}
