//! Tells what of several files is of one run.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::input::Input;
use super::trial::TrialKey;

/// A run, as far as a file has it: its id, and when its first trial there began.
type Part = (String, Arc<str>);

/// Gives the records of a run and those of its copies one beginning, which is the earliest. A copy need not have what came first, as one
/// of the measured trials alone lacks the warm-ups. A trial that both have shows that they are of one run. Otherwise a block would be two,
/// of which one file has a part and another the rest.
pub(crate) fn join_copies(inputs: &mut [Input]) {
    // What has been joined may have a trial in common with a third file.
    loop {
        let earlier = earlier(inputs);
        if earlier.is_empty() {
            return;
        }
        for input in inputs.iter_mut() {
            let Some(began) = input.run_started.clone() else { continue };
            if let Some(first) = earlier.get(&(input.run().to_owned(), began)) {
                input.run_started = Some(Arc::clone(first));
            }
        }
    }
}

/// For each part that has a trial in common with an earlier part: when that one began.
fn earlier(inputs: &[Input]) -> HashMap<Part, Arc<str>> {
    let several = of_several_parts(inputs);
    let of_several = inputs.iter().filter(|input| several.contains(input.run()));
    let trials: Vec<_> = of_several
        .filter_map(|input| Some((TrialKey::of(input), input.run(), input.run_started.as_ref()?)))
        .collect();
    let mut firsts: HashMap<&TrialKey<'_>, &Arc<str>> = HashMap::new();
    for (trial, _, began) in &trials {
        let first = firsts.entry(trial).or_insert(*began);
        *first = std::cmp::min(*first, *began);
    }
    let mut earlier = HashMap::new();
    for (trial, run, began) in &trials {
        if let Some(first) = firsts.get(trial).copied().filter(|first| *first < *began) {
            earlier.insert(((*run).to_owned(), Arc::clone(began)), Arc::clone(first));
        }
    }
    earlier
}

/// The ids of runs of which there is more than one part. Only their trials need be looked at.
fn of_several_parts(inputs: &[Input]) -> HashSet<&str> {
    let (mut first, mut several) = (HashMap::new(), HashSet::new());
    for input in inputs {
        if *first.entry(input.run()).or_insert(&input.run_started) != &input.run_started {
            several.insert(input.run());
        }
    }
    several
}
