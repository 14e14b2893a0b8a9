//! What the trials of a row show together. A single run may break these rules on a busy machine, so that the bounds of a trial are
//! wider; most runs of an honest row do not.

use std::collections::HashMap;
use std::hash::Hash;

use super::group::{Group, Identity};
use super::model::Doubt;
use super::trial::{Repetition, Trial};
use crate::record::{Bounds, SystemProfile};
use crate::run::bounds::{self, CPU_FROM, CPU_RESOLUTION, WALL_FROM};
use crate::stats::{MIN_BLOCKS, median};

/// The host's clock may show so much more than the worker's, beyond the least of any row in the same block: a part of the run.
const CLOCK_PART: f64 = 0.05;
/// And so many seconds.
const CLOCK: f64 = 0.02;
/// The median run may take this part less, of CPU time or of time, than the work takes at least. That is less than the serial reference
/// where the work has a keyed reduction: an engine that partitions before it reduces is honest.
const WORK_TOLERANCE: f64 = 0.1;
/// The system gives a quota of processor time anew every 100 ms, and what is left of one may be used on more cores than it is of: at the
/// beginning and at the end of a run, which is over by so many seconds earlier than at an even rate.
const QUOTA_BURST: f64 = 0.2;
/// With so many of its last warm-ups a measured run is compared.
const WARM_UPS: usize = 3;
/// By more than this part it must be faster than they are, in the middle of the blocks.
const FASTER: f64 = 0.05;
/// How probable it may be that chance makes a measured run faster than its last warm-ups in so many blocks.
const CHANCE: f64 = 0.002;

/// What all rows of a point show.
pub(super) struct Least<'a> {
    /// The least seconds that the host's clock shows beyond the worker's in each block.
    beyond: HashMap<Repetition<'a>, f64>,
    /// The least CPU seconds of each work, by all references of the point: one that was taken beside other work is too long, and the
    /// records of the first blocks do not have those of later ones.
    work: HashMap<Work<'a>, f64>,
}

/// The machine, and the library of workloads.
type Work<'a> = (Option<usize>, Option<&'a str>);

impl<'a> Least<'a> {
    pub(super) fn of(rows: &[Group<'a>]) -> Self {
        let successes = rows.iter().flat_map(Group::successes);
        let beyond = successes.filter_map(|(trial, _)| Some((trial.repetition(), beyond_worker(trial)?)));
        let trials = rows.iter().flat_map(|row| row.trials().map(|trial| (work(&row.identity), trial)));
        let work = trials.filter_map(|(work, trial)| Some((work, least(trial)?)));
        Self { beyond: least_by_key(beyond), work: least_by_key(work) }
    }
}

fn work<'a>(row: &Identity<'a>) -> Work<'a> {
    (row.machine, row.workload_library)
}

fn least_by_key<K: Eq + Hash>(values: impl Iterator<Item = (K, f64)>) -> HashMap<K, f64> {
    let mut least = HashMap::new();
    for (key, value) in values {
        let least: &mut f64 = least.entry(key).or_insert(value);
        *least = least.min(value);
    }
    least
}

/// The doubts about a row, beside what all rows of its point show.
pub(super) fn doubts(row: &Group<'_>, least: &Least<'_>) -> Vec<Doubt> {
    let work = least.work.get(&work(&row.identity));
    let by_work = |of: fn(&Group<'_>, f64) -> Option<Doubt>| work.and_then(|seconds| of(row, *seconds));
    let all = [by_clock(row, &least.beyond), by_work(by_cpu), by_work(by_time), by_warm_ups(row)];
    all.into_iter().flatten().collect()
}

/// The median of at least [`MIN_BLOCKS`] values.
fn middle(values: &[f64]) -> Option<f64> {
    median(values).filter(|_| values.len() >= MIN_BLOCKS)
}

/// What the host's clock shows beyond the worker's is the same for all backends of a block: opening the workload, and messages.
fn by_clock(row: &Group<'_>, least: &HashMap<Repetition<'_>, f64>) -> Option<Doubt> {
    let own = row.successes().filter_map(|(trial, _)| {
        let beyond = beyond_worker(trial)?;
        Some(beyond - least.get(&trial.repetition())?)
    });
    let seconds = middle(&own.collect::<Vec<_>>())?;
    let run = median(&row.successes().map(|(_, seconds)| seconds).collect::<Vec<_>>())?;
    (seconds > CLOCK + CLOCK_PART * run).then_some(Doubt::Clock { seconds })
}

/// What the host's clock shows beyond the worker's in the middle of the runs of a sweep, where messages do not explain it, and
/// neither do `others` of the same backend, which a busy machine delays too. Of a sweep there may be no other row, and its sinks
/// hold little.
pub(super) fn slow_clock<'t, 'a: 't>(
    runs: impl Iterator<Item = &'t Trial<'a>>,
    others: impl Iterator<Item = &'t Trial<'a>>,
) -> Option<f64> {
    let both = runs.filter_map(|trial| Some((beyond_worker(trial)?, trial.duration()?)));
    let (beyond, seconds): (Vec<_>, Vec<_>) = both.unzip();
    let beyond = middle(&beyond)?;
    // Too few others excuse nothing.
    let usual = middle(&others.filter_map(beyond_worker).collect::<Vec<_>>()).unwrap_or_default().max(0.0);
    (beyond - usual > CLOCK + CLOCK_PART * median(&seconds)?).then_some(beyond)
}

fn beyond_worker(trial: &Trial<'_>) -> Option<f64> {
    let metadata = trial.metadata();
    Some(metadata.host_elapsed? - metadata.worker_elapsed?).filter(|seconds| seconds.is_finite())
}

/// The least CPU seconds of the work of a trial that was compared with its reference.
fn least(trial: &Trial<'_>) -> Option<f64> {
    let reference = trial.metadata().reference.as_ref()?;
    (reference.bounds == Bounds::Checked).then_some(reference.least_cpu_seconds)
}

fn by_cpu(row: &Group<'_>, work: f64) -> Option<Doubt> {
    if work < CPU_FROM {
        return None;
    }
    // Of the median run, with so many seconds that the system does not show.
    let part = |unseen: f64| {
        let parts = row.successes().filter_map(|(trial, _)| {
            least(trial)?;
            Some((trial.metadata().resources.cpu_seconds? + unseen) / work)
        });
        middle(&parts.collect::<Vec<_>>())
    };
    (part(CPU_RESOLUTION)? < 1.0 - WORK_TOLERANCE).then_some(Doubt::CpuTime { part: part(0.0)? })
}

fn by_time(row: &Group<'_>, work: f64) -> Option<Doubt> {
    if work < WALL_FROM {
        return None;
    }
    let parts = row.successes().filter_map(|(trial, seconds)| Some(seconds / shortest(trial, work)?));
    let part = middle(&parts.collect::<Vec<_>>())?;
    (part < 1.0 - WORK_TOLERANCE).then_some(Doubt::Duration { part })
}

/// The shortest time in which the work of a trial, which takes so many CPU seconds at least, can be done.
fn shortest(trial: &Trial<'_>, work: f64) -> Option<f64> {
    let metadata = trial.metadata();
    least(trial)?;
    let width = metadata.graph.as_ref().map(|graph| graph.max_tasks_at_once());
    let operator_share = metadata.reference.as_ref()?.operator_share;
    let on = |cores: f64| bounds::shortest(work, operator_share, cores, trial.record.parallelism, width);
    if let Some(given) = &metadata.cores {
        return Some(on(given.len() as f64));
    }
    let profile = metadata.system_profile.as_ref()?;
    // How many cores there are beside the quota is not known.
    let under = |quota: f64| on(f64::INFINITY).max(work / quota - QUOTA_BURST);
    Some(quota_of(profile).map_or(on(profile.cpu_logical_cores? as f64), under))
}

/// The quota of a profile whose number of cores follows from it. That number leaves out the part of a core that a quota may end with,
/// unless that is all of it.
fn quota_of(profile: &SystemProfile) -> Option<f64> {
    let cores = profile.cpu_logical_cores? as f64;
    profile.cpu_quota.filter(|quota| quota.floor().max(1.0) == cores)
}

/// Whoever knows the fewest warm-ups knows which run is measured. A run that is typical of a backend is as fast as those before it: by
/// its time or, in an open loop, whose schedule decides that, by the latency that is compared.
fn by_warm_ups(row: &Group<'_>) -> Option<Doubt> {
    let mut before: HashMap<Repetition<'_>, Vec<f64>> = HashMap::new();
    for warm_up in &row.warm_ups {
        let Some(value) = warm_up.compared(row.percentile) else { continue };
        before.entry(warm_up.repetition()).or_default().push(value);
    }
    let (mut parts, mut faster) = (Vec::new(), 0);
    for (trial, value) in row.compared().filter(|(trial, _)| !trial.is_unsettled()) {
        let Some(last) = before.get(&trial.repetition()).and_then(|all| all.last_chunk::<WARM_UPS>()) else {
            continue;
        };
        parts.extend(median(last).map(|before| value / before));
        faster += usize::from(last.iter().all(|before| value < *before));
    }
    let part = middle(&parts)?;
    let is_chance = at_least(faster, parts.len(), 1.0 / (WARM_UPS + 1) as f64) > CHANCE;
    (!is_chance && part < 1.0 - FASTER).then_some(Doubt::WarmUps { part, blocks: faster as u32 })
}

/// The probability of at least `seen` of `all` independent events, each of the probability `each`.
fn at_least(seen: usize, all: usize, each: f64) -> f64 {
    let mut term = (1.0 - each).powi(all as i32);
    let mut below = 0.0;
    for number in 0..seen {
        below += term;
        term *= each / (1.0 - each) * (all - number) as f64 / (number + 1) as f64;
    }
    1.0 - below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probability_is_that_of_the_binomial_distribution() {
        // 7 of 7, 6 of 7: a quarter to the power of 7, and 7 · (1/4)^6 · 3/4 more.
        for (seen, all, probability) in [(7, 7, 6.103_5e-5), (6, 7, 1.342_8e-3), (0, 5, 1.0), (1, 1, 0.25)] {
            let computed = at_least(seen, all, 0.25);
            assert!((computed - probability).abs() < 1e-7, "{seen} of {all}: {computed}");
        }
    }
}
