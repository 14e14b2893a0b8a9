//! The changes between two recorded runs on one machine, cell by cell. The runs have no blocks in common.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Input;
use super::cells::Cell;
use super::group::{Conditions, Group, Table};
use super::label::distinction;
use super::model::{Form, RatioInterval, Status};
use super::trial::is_debug;
use crate::record::machine_history::AaFactors;
use crate::record::{Machines, Percentiles, SystemProfile, distinguishing_keys, under_one_name};
use crate::stats::{Shift, median, ratio_of};
use crate::text::word;

/// So many A/A comparisons show how much noise a machine has.
pub(crate) const ENOUGH_AA: usize = 5;

/// The version of the JSON of a [`History`].
const VERSION: u32 = 1;

/// The changes between two runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct History {
    pub version: u32,
    /// Smaller changes are ignored: 0.05 is 5 %.
    pub threshold: f64,
    /// By durations.
    pub aa: AaHistory,
    /// By latencies; absent where no change is of a latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aa_of_latency: Option<AaHistory>,
    /// One for each backend at each point that both runs have or that is missing in the new one.
    pub changes: Vec<CellChange>,
    pub only_old: Vec<String>,
    pub only_new: Vec<String>,
    /// What ran a graph of tasks in stages in one run and by its dependencies in the other: these are different cells.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_form: Vec<String>,
    /// What was altered in the files of records after they were written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub altered: Vec<String>,
    /// The files whose lines have no hash chain, as in a comparison.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_chain: Vec<String>,
}

/// The A/A comparisons that are known of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct AaHistory {
    pub comparisons: u32,
    /// The largest difference of any of them, as a factor of at least 1. Null with fewer than five.
    pub factor: Option<f64>,
}

impl AaHistory {
    /// Of the factors of all A/A comparisons.
    pub(super) fn new(factors: &[f64]) -> Self {
        let largest = factors.iter().copied().max_by(f64::total_cmp);
        let factor = largest.filter(|_| factors.len() >= ENOUGH_AA);
        Self { comparisons: factors.len() as u32, factor }
    }

    /// Whether noise does not explain that a cell is slower: the whole interval lies beyond what a backend differed from itself.
    fn excludes_noise(self, interval: Option<RatioInterval>) -> bool {
        self.factor.zip(interval).is_some_and(|(factor, interval)| interval.low > factor)
    }
}

/// What is known of either value that is compared.
#[derive(Clone, Copy)]
struct AaNoise {
    time: AaHistory,
    latency: AaHistory,
}

impl AaNoise {
    fn of(self, is_latency: bool) -> AaHistory {
        if is_latency { self.latency } else { self.time }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CellChange {
    #[serde(flatten)]
    pub cell: Cell,
    /// The compared value: `time`, or `latency` in an open loop.
    pub of: String,
    /// In an open loop: the highest percentile that all trials of both have, such as `p99`; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percentile: Option<String>,
    pub old: Runs,
    pub new: Runs,
    /// New over old: above 1 is slower. Null if one of the two has no value.
    pub ratio: Option<f64>,
    /// The interval of the ratio, with at least 95 % confidence. Null with too few runs.
    pub interval: Option<RatioInterval>,
    pub call: ChangeVerdict,
    /// Whether the change makes `diff` fail. A regression that noise may explain is a hint, and does not.
    pub fails: bool,
    /// Whether the backend has a different library file.
    pub other_plugin: bool,
    /// Whether the workload has a different library file, so that the work itself may be another one. Absent if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub other_library: bool,
}

impl CellChange {
    pub(crate) fn is_of_latency(&self) -> bool {
        self.of == "latency"
    }
}

/// The trials of one cell in one run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Runs {
    pub trials: u32,
    /// How many of them have a value.
    pub successes: u32,
    /// How many of them gave a wrong answer.
    pub wrong: u32,
    /// How many of them failed, wrong answers included. A trial that did not may lack a value: of an open loop with too few items.
    #[serde(skip)]
    pub failed: u32,
    /// The median of the values, in seconds.
    pub median: Option<f64>,
}

/// The verdict on a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangeVerdict {
    /// Slower: the whole interval is beyond the threshold.
    Regression,
    /// A larger share of the trials gives a wrong answer.
    NowWrong,
    /// A larger share of the trials fails.
    NowFails,
    /// It succeeded before and has no trial now, although other backends were run.
    Missing,
    /// Faster: the whole interval is beyond the threshold.
    Improvement,
    /// The whole interval is within the threshold.
    Unchanged,
    /// The interval includes a threshold.
    Inconclusive,
    /// No trial succeeded before, and some succeed now.
    NowWorks,
    /// No trial succeeded before or now.
    FailsInBoth,
    /// Too few runs for an interval.
    TooFew,
}

impl ChangeVerdict {
    pub(crate) fn is_regression(self) -> bool {
        matches!(self, Self::Regression | Self::NowWrong | Self::NowFails | Self::Missing)
    }

    pub(crate) fn label(self) -> String {
        if self == Self::TooFew { "too few runs".into() } else { word(self).replace('_', " ") }
    }
}

/// Why two runs are not compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HistoryError {
    /// They are from different machines.
    #[error("the runs are from different machines: they differ in {}", keys.join(", "))]
    Machine {
        keys: Vec<String>,
        /// How they count as one, if they may be.
        as_one: Option<String>,
    },
    #[error("some records do not describe their machine, so that it may be another one")]
    Undescribed,
    /// One has debug builds and the other release builds.
    #[error("{cell} ran a debug build in one of the runs and a release build in the other")]
    Build { cell: String },
    #[error(
        "the runs have no cell in common: no backend ran the same workload with the same configuration in both"
    )]
    NothingInCommon,
    /// All that they have in common are graphs that were run in two ways.
    #[error("nothing can be compared, as the graph ran in stages in one run and by its dependencies in the other: {}", cells.join(", "))]
    OtherForm { cells: Vec<String> },
}

type Cells<'t, 'a> = BTreeMap<CellKey<'a>, Vec<&'t Group<'a>>>;

/// What a cell of one run has in common with the same cell of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct CellKey<'a> {
    backend: String,
    point: String,
    config: Option<&'a str>,
    seed: u64,
    conditions: Conditions,
    /// How a graph of tasks was run; `None` for other work, and if no trial began.
    form: Option<Form>,
}

impl<'a> CellKey<'a> {
    /// Its name among `all` of both runs.
    fn name(&self, all: &[Self]) -> String {
        let Conditions { cores, is_single } = self.conditions;
        let cores = cores.map_or_else(String::new, |_| format!(" on {}", self.conditions.cores_label()));
        let single = if is_single { " in single runs" } else { "" };
        format!("{} at {}{}{cores}{single}", self.backend, self.point, self.distinction(all))
    }

    /// The cell, which is one of `all` of both runs.
    fn cell(&self, all: &[Self]) -> Cell {
        let Conditions { cores, is_single } = self.conditions;
        Cell {
            backend: self.backend.clone(),
            point: self.point.clone(),
            config_hash: self.config.map(str::to_owned),
            seed: self.seed,
            distinction: self.distinction(all),
            cores,
            is_single,
        }
    }

    /// What tells it from the others of its backend and point.
    fn distinction(&self, all: &[Self]) -> String {
        let shared = |it: &&Self| {
            it.backend == self.backend && it.point == self.point && it.conditions == self.conditions
        };
        let like = all.iter().filter(shared);
        distinction((self.seed, self.config), like.map(|it| (it.seed, it.config)))
    }

    /// What the same cell of every backend has.
    fn of_any_backend(&self) -> (String, Option<&'a str>, u64, Conditions) {
        (self.point.clone(), self.config, self.seed, self.conditions)
    }

    fn with(&self, form: Option<Form>) -> Self {
        Self { form, ..self.clone() }
    }

    /// The cells of the other run that may be the same one, the likeliest first.
    fn same(&self) -> Vec<Self> {
        let forms = match self.form {
            Some(_) => vec![self.form, None],
            None => vec![None, Some(Form::Graph), Some(Form::Stages)],
        };
        forms.into_iter().map(|form| self.with(form)).collect()
    }
}

/// The changes from `old` to `new`. Changes of less than `threshold` (0.05 is 5 %) are ignored; `aa_factors` are those of the
/// A/A comparisons on a machine.
pub(crate) fn history(
    old: &[Input],
    new: &[Input],
    threshold: f64,
    aa_factors: impl FnOnce(&SystemProfile) -> AaFactors,
) -> Result<History, HistoryError> {
    let (old, new) = (Table::new(old), Table::new(new));
    same_machine(&old, &new)?;
    let profile = old.machines.profiles.first();
    let factors = profile.map_or_else(AaFactors::default, |machine| aa_factors(machine));
    let aa = AaNoise { time: AaHistory::new(&factors.time), latency: AaHistory::new(&factors.latency) };
    let (before, mut after) = (cells(&old), cells(&new));
    let all: Vec<_> = before.keys().chain(after.keys()).cloned().collect();
    let run_again: BTreeSet<_> = after.keys().map(CellKey::of_any_backend).collect();
    let (mut changes, mut missing, mut only_old) = (Vec::new(), Vec::new(), Vec::new());
    let mut other_form = Vec::new();
    for (key, old) in before {
        if let Some(new) = key.same().iter().find_map(|key| after.remove(key)) {
            same_build(&key.name(&all), &old, &new)?;
            changes.push(change(&key, &all, (&old, &new), threshold, aa));
            continue;
        }
        let other = [Form::Graph, Form::Stages].map(|form| key.with(Some(form)));
        if other.iter().any(|other| after.remove(other).is_some()) {
            other_form.push(key.name(&all));
            continue;
        }
        only_old.push(key.name(&all));
        // In an open loop it may have had no value.
        let had_succeeded = old.iter().any(|group| group.successes().next().is_some());
        if had_succeeded && run_again.contains(&key.of_any_backend()) {
            missing.push(change(&key, &all, (&old, &[]), threshold, aa));
        }
    }
    match (changes.is_empty(), other_form.is_empty()) {
        (true, true) => return Err(HistoryError::NothingInCommon),
        (true, false) => return Err(HistoryError::OtherForm { cells: other_form }),
        _ => {}
    }
    changes.append(&mut missing);
    let only_new = after.keys().map(|key| key.name(&all)).collect();
    Ok(History {
        version: VERSION,
        threshold,
        aa: aa.time,
        aa_of_latency: changes.iter().any(CellChange::is_of_latency).then_some(aa.latency),
        changes,
        only_old,
        only_new,
        other_form,
        altered: Vec::new(),
        without_chain: Vec::new(),
    })
}

fn cells<'t, 'a>(table: &'t Table<'a>) -> Cells<'t, 'a> {
    let mut cells = Cells::new();
    for point in &table.points {
        // What was only warmed up when its run was interrupted has not been run.
        for row in point.rows.iter().filter(|row| !row.measured.is_empty()) {
            let it = &row.identity;
            let key = CellKey {
                backend: it.backend.to_owned(),
                point: point.id.clone(),
                config: it.config_hash,
                seed: it.seed,
                conditions: it.conditions,
                form: row.form(),
            };
            cells.entry(key).or_default().push(row);
        }
    }
    // Trials that failed before they began belong to those that did not.
    let unknown: Vec<_> = cells.keys().filter(|key| key.form.is_none()).cloned().collect();
    for key in unknown {
        let known = key.same().into_iter().find(|same| same.form.is_some() && cells.contains_key(same));
        if let Some(known) = known {
            let failed = cells.remove(&key).unwrap_or_default();
            cells.entry(known).or_default().extend(failed);
        }
    }
    cells
}

/// All trials must be from one machine. One without a description may be another one.
fn same_machine(old: &Table<'_>, new: &Table<'_>) -> Result<(), HistoryError> {
    let undescribed = |table: &Table<'_>| {
        table.points.iter().flat_map(|point| &point.rows).any(|row| row.identity.machine.is_none())
    };
    if undescribed(old) || undescribed(new) {
        return Err(HistoryError::Undescribed);
    }
    let profiles = old.machines.profiles.iter().chain(&new.machines.profiles);
    let [first, other, ..] = *Machines::new(profiles.copied()).profiles else { return Ok(()) };
    let keys = distinguishing_keys(first, other);
    let as_one = under_one_name(&keys, first.hostname.as_deref());
    Err(HistoryError::Machine { keys: keys.into_iter().map(str::to_owned).collect(), as_one })
}

fn same_build(cell: &str, old: &[&Group<'_>], new: &[&Group<'_>]) -> Result<(), HistoryError> {
    let mut builds = old.iter().chain(new).filter_map(|group| is_debug(group.plugin()));
    let first = builds.next();
    if builds.all(|build| Some(build) == first) {
        return Ok(());
    }
    Err(HistoryError::Build { cell: cell.to_owned() })
}

fn change(
    key: &CellKey<'_>,
    all: &[CellKey<'_>],
    (old, new): (&[&Group<'_>], &[&Group<'_>]),
    threshold: f64,
    aa: AaNoise,
) -> CellChange {
    let groups = || old.iter().chain(new);
    // What is compared of both, in an open loop: the percentile that all trials have.
    let measured = groups().filter(|group| group.successes().next().is_some());
    let percentile = measured.map(|group| group.percentile).min().flatten();
    let (before, after) = (values(old, percentile), values(new, percentile));
    let logarithms = |values: &[f64]| values.iter().map(|value| value.ln()).collect::<Vec<_>>();
    let shift = Shift::new(&logarithms(&before), &logarithms(&after));
    let interval = shift.and_then(|shift| shift.interval).map(RatioInterval::exp);
    let (old_runs, new_runs) = (runs(old, &before), runs(new, &after));
    let is_latency = groups().any(|group| group.is_open_loop());
    let is_other = |file: fn(&Group<'_>) -> Option<String>| {
        // Files of one version in several groups, in whatever order, are the same.
        let of = |groups: &[&Group<'_>]| groups.iter().filter_map(|it| file(it)).collect::<BTreeSet<_>>();
        !new.is_empty() && of(old) != of(new)
    };
    let call = verdict(old_runs, new_runs, interval, threshold);
    let is_hint = call == ChangeVerdict::Regression && !aa.of(is_latency).excludes_noise(interval);
    CellChange {
        cell: key.cell(all),
        of: if is_latency { "latency" } else { "time" }.into(),
        percentile: percentile.and_then(Percentiles::name).map(str::to_owned),
        old: old_runs,
        new: new_runs,
        ratio: shift.map(|shift| ratio_of(shift.estimate)),
        interval,
        call,
        fails: call.is_regression() && !is_hint,
        other_plugin: is_other(|it| it.identity.plugin.map(str::to_owned)),
        other_library: is_other(|it| it.identity.workload_library.map(str::to_owned)),
    }
}

fn values(groups: &[&Group<'_>], percentile: Option<usize>) -> Vec<f64> {
    groups.iter().flat_map(|group| group.compared_at(percentile).map(|(_, value)| value)).collect()
}

fn runs(groups: &[&Group<'_>], values: &[f64]) -> Runs {
    let trials = groups.iter().flat_map(|group| &group.measured);
    let wrong = trials.clone().filter(|trial| trial.status() == Status::Wrong).count() as u32;
    let failed = trials.clone().filter(|trial| trial.duration().is_none()).count() as u32;
    let (trials, successes) = (trials.count() as u32, values.len() as u32);
    Runs { trials, successes, wrong, failed, median: median(values) }
}

fn verdict(old: Runs, new: Runs, interval: Option<RatioInterval>, threshold: f64) -> ChangeVerdict {
    // Whether the share has grown, compared without division because a run may have no trials.
    let more = |of: fn(Runs) -> u32| {
        u64::from(of(new)) * u64::from(old.trials) > u64::from(of(old)) * u64::from(new.trials)
    };
    let none_works = |runs: Runs| runs.failed == runs.trials;
    match () {
        () if more(|runs| runs.wrong) => return ChangeVerdict::NowWrong,
        () if old.trials == 0 || (none_works(old) && new.trials == 0) => return ChangeVerdict::TooFew,
        () if none_works(old) && none_works(new) => return ChangeVerdict::FailsInBoth,
        () if none_works(old) => return ChangeVerdict::NowWorks,
        () if new.trials == 0 => return ChangeVerdict::Missing,
        () if more(|runs| runs.failed) => return ChangeVerdict::NowFails,
        () => {}
    }
    let Some(RatioInterval { low, high, .. }) = interval else { return ChangeVerdict::TooFew };
    let (upper, lower) = (1.0 + threshold, 1.0 / (1.0 + threshold));
    match () {
        () if low > upper => ChangeVerdict::Regression,
        () if high < lower => ChangeVerdict::Improvement,
        () if low >= lower && high <= upper => ChangeVerdict::Unchanged,
        () => ChangeVerdict::Inconclusive,
    }
}
