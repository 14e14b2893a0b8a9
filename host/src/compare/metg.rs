//! The METG of each backend, from the records of sweeps. Pure, as the comparison is.
//!
//! Each block of a backend has its own value, or the reason why it has none. `crate::metg` has the mathematics, and
//! `docs/method.md` the reasons.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::iter;

use serde_json::Value as Json;

use super::Input;
use super::conditions;
use super::doubt::slow_clock;
use super::label::{machine_name, short, with_differences};
use super::model::Status;
use super::trial::{BlockId, Trial, TrialKey, is_debug, sha256};
use super::versions::together;
use super::warning::{CHOSEN_DATA, UNLOCKED, debug_builds, doubled, with_count};
use crate::metg::{
    self, Estimate, FIRST_EFFICIENCY, ITERATIONS, LAST_EFFICIENCY, MeasuredLoad, NoValue, SWEPT_KEYS,
    TARGET_EFFICIENCY, Value,
};
use crate::record::{Kind, Machines};
use crate::run::task_graph::Form;
use crate::run::trial::Granularity;
use crate::stats::{MIN_BLOCKS, median};
use crate::text::plural;

mod graph;
pub(crate) mod model;
pub(crate) mod tables;
#[cfg(test)]
mod tests;

use model::{Block, Point, Row, Step, SweepOutcome, Sweeps, SweptGraph, VERSION};

/// The warning about graphs whose dependencies the engine did not run by itself.
const STAGES: &str = "rows with the word stages ran with a barrier after each step of the graph: do not compare them with rows of \
                      engines that ran the dependencies of tasks themselves";

/// One measured trial of a sweep.
struct Sample<'a> {
    trial: Trial<'a>,
    granularity: Granularity,
    tasks: u64,
}

/// The samples of a row, by run and block.
type Blocks<'s, 'a> = BTreeMap<BlockId<'a>, Vec<&'s Sample<'a>>>;

/// One sweep, by what its trials have in common: the backend, the workload, the options but for the length of the kernel, and the block.
type SweepKey<'a> = (&'a str, &'a str, String, BlockId<'a>);

/// The iterations of the shortest kernel of each sweep, which its warm-ups have. Records of earlier versions do not say it themselves.
type Shortest<'a> = HashMap<SweepKey<'a>, u64>;

/// What the samples of a row have in common.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct RowKey<'a> {
    backend: &'a str,
    cores: u32,
    graph: Option<SweptGraph>,
    build: Build<'a>,
}

/// What sweeps of one backend, on one number of cores and of one graph, may still differ in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Build<'a> {
    /// The number of the machine.
    machine: Option<usize>,
    plugin: Option<&'a str>,
    workload_library: Option<&'a str>,
    /// The options that no sweep sets, if they are not among the settings of the graph.
    options: Vec<String>,
}

/// The METG from the records of sweeps. Other records are ignored.
pub(crate) fn sweeps(inputs: &[Input]) -> Sweeps {
    let (samples, duplicates) = samples(inputs);
    let ran = |sample: &Sample<'_>| sample.trial.record.metadata.graph;
    let known: BTreeMap<_, _> =
        samples.iter().filter_map(|sample| Some((planned(sample)?, ran(sample)?))).collect();
    let profiles = samples.iter().filter_map(|sample| sample.trial.metadata().system_profile.as_ref());
    let machines = Machines::new(profiles);
    let mut grouped: BTreeMap<RowKey<'_>, Blocks<'_, '_>> = BTreeMap::new();
    for sample in &samples {
        let record = &sample.trial.record;
        // A trial that failed before it began is of the graph of others of its sweeps.
        let graph = planned(sample).map(|planned| {
            let graph = ran(sample).or_else(|| known.get(&planned).copied());
            planned.graph.ran(sample.tasks, graph)
        });
        let build = build(sample.trial, graph.is_some(), &machines);
        let row = RowKey { backend: &record.backend, cores: record.parallelism, graph, build };
        grouped.entry(row).or_default().entry(block_of(sample.trial)).or_default().push(sample);
    }
    let shortest = shortest(inputs);
    let labels: Vec<_> = grouped.keys().map(|key| label(key, grouped.keys(), &machines)).collect();
    let rows =
        grouped.into_iter().zip(labels).map(|((RowKey { backend, cores, graph, .. }, blocks), label)| Row {
            label,
            graph,
            ..row(backend, cores, &blocks, &shortest)
        });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|one, other| one.graph.cmp(&other.graph).then(rank(one).total_cmp(&rank(other))));
    let mut warnings = warnings(inputs, &samples, &rows, machines.profiles.len());
    warnings.extend((duplicates > 0).then(|| doubled(duplicates)));
    warnings.splice(0..0, unfinished(&samples, &shortest));
    Sweeps {
        version: VERSION,
        target: TARGET_EFFICIENCY,
        commands: conditions::commands(samples.iter().map(|sample| &sample.trial)),
        machine_checks: conditions::machine_checks(samples.iter().map(|sample| &sample.trial)),
        tables: tables::tables(&rows),
        rows,
        machines: machines.profiles.into_iter().cloned().collect(),
        warnings,
        ..Sweeps::default()
    }
}

fn block_of(trial: Trial<'_>) -> BlockId<'_> {
    (trial.run_started.as_deref(), trial.run(), trial.metadata().block.unwrap_or_default())
}

fn sweep_of(trial: Trial<'_>) -> SweepKey<'_> {
    let record = &trial.record;
    let mut options = record.metadata.extra.clone();
    options.remove(ITERATIONS);
    (&record.backend, &record.workload, Json::Object(options).to_string(), block_of(trial))
}

fn iterations(trial: Trial<'_>) -> Option<u64> {
    trial.metadata().extra.get(ITERATIONS).and_then(Json::as_u64)
}

fn shortest(inputs: &[Input]) -> Shortest<'_> {
    let warm_ups = inputs.iter().filter(|input| input.is_sweep() && input.kind == Kind::Warmup);
    warm_ups.filter_map(|trial| Some((sweep_of(trial), iterations(trial)?))).collect()
}

/// Whether a sweep came to its end, which is its shortest kernel or a low efficiency. If nothing says which kernel is the shortest, it
/// counts as one that did.
fn has_ended(samples: &[&Sample<'_>], shortest: &Shortest<'_>) -> bool {
    if samples.iter().any(|sample| sample.measured().is_none()) {
        return true;
    }
    if samples.iter().all(|sample| sample.is_to_double()) {
        return false;
    }
    let last = samples
        .iter()
        .min_by(|one, other| one.granularity.kernel_seconds.total_cmp(&other.granularity.kernel_seconds));
    let Some(last) = last else { return true };
    let by_warm_ups = || Some(iterations(last.trial)? <= *shortest.get(&sweep_of(last.trial))?);
    let is_low = || last.measured().is_some_and(|point| point.efficiency() <= LAST_EFFICIENCY);
    last.granularity.is_shortest.or_else(by_warm_ups).is_none_or(|is_shortest| is_shortest || is_low())
}

/// For each run of which sweeps are missing or did not come to their end: how many did.
fn unfinished(samples: &[Sample<'_>], shortest: &Shortest<'_>) -> Vec<String> {
    let mut runs: BTreeMap<_, (u64, HashMap<SweepKey<'_>, Vec<&Sample<'_>>>)> = BTreeMap::new();
    for sample in samples {
        let Some(planned) = sample.trial.metadata().sweeps else { continue };
        let (started, run, _) = block_of(sample.trial);
        let (most, sweeps) = runs.entry((started, run)).or_default();
        *most = planned.max(*most);
        sweeps.entry(sweep_of(sample.trial)).or_default().push(sample);
    }
    let message = |((_, run), (planned, sweeps)): ((_, &str), (u64, HashMap<_, Vec<_>>))| {
        let ended = sweeps.values().filter(|samples| has_ended(samples, shortest)).count() as u64;
        (ended < planned).then(|| {
            let sweeps = plural(planned, "sweep");
            format!(
                "unfinished: {ended} of {sweeps} of run {run} came to an end; what is missing was interrupted, still runs, or is in \
                 other files"
            )
        })
    };
    runs.into_iter().filter_map(message).collect()
}

fn build<'a>(trial: Trial<'a>, has_graph: bool, machines: &Machines<'_>) -> Build<'a> {
    let metadata = trial.metadata();
    let is_own = |key: &str| !has_graph && !SWEPT_KEYS.contains(&key);
    let options = metadata.extra.iter().filter(|(key, _)| is_own(key));
    Build {
        machine: metadata.system_profile.as_ref().and_then(|profile| machines.place(profile)),
        plugin: sha256(metadata.plugin.as_ref()),
        workload_library: sha256(metadata.workload_library.as_ref()),
        options: options.map(|(key, value)| format!("{key}={value}")).collect(),
    }
}

/// The backend of a row, with what tells it from other rows of as many cores: `native (plugin ab12cd34)`. Rows of other graphs of the
/// workload count too, as tables have those of one label in one column.
fn label<'k, 'a: 'k>(
    row: &RowKey<'a>,
    all: impl Iterator<Item = &'k RowKey<'a>>,
    machines: &Machines<'_>,
) -> String {
    let Build { machine, plugin, workload_library, options } = &row.build;
    let is_like =
        |it: &&RowKey<'_>| (it.backend, it.cores, workload(it)) == (row.backend, row.cores, workload(row));
    let others: Vec<_> = all.filter(is_like).collect();
    let differs = |is_other: &dyn Fn(&RowKey<'_>) -> bool| others.iter().any(|other| is_other(other));
    let options = if options.is_empty() { "no options".to_owned() } else { options.join(", ") };
    let [width, steps] = size(row);
    let parts = [
        (
            differs(&|it| it.build.machine != *machine),
            format!("on {}", machine_name(*machine, machines.profiles.iter().copied())),
        ),
        (differs(&|it| it.build.plugin != *plugin), format!("plugin {}", short(*plugin))),
        (
            differs(&|it| it.build.workload_library != *workload_library),
            format!("workloads {}", short(*workload_library)),
        ),
        (differs(&|it| it.build.options != row.build.options), options),
        (differs(&|it| size(it)[0] != width), format!("{width} wide")),
        (differs(&|it| size(it)[1] != steps), plural(steps, "step")),
    ];
    with_differences(row.backend, parts)
}

/// The width and the steps of a row's graph.
fn size(row: &RowKey<'_>) -> [u64; 2] {
    row.graph.as_ref().map_or([0; 2], |graph| [graph.width, graph.steps])
}

/// The workload of a row's graph; `None` if its tasks are independent.
fn workload<'k>(row: &'k RowKey<'_>) -> Option<&'k str> {
    row.graph.as_ref().map(|graph| graph.workload.as_str())
}

/// What decides the size and the form of a trial's graph.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Planned<'s> {
    backend: &'s str,
    graph: SweptGraph,
    /// The form that was asked for.
    form: Option<&'s str>,
}

/// `None` if the tasks of the trial are independent.
fn planned<'s>(sample: &'s Sample<'_>) -> Option<Planned<'s>> {
    let record = &sample.trial.record;
    let extra = &record.metadata.extra;
    let graph = SweptGraph::planned(&record.workload, extra)?;
    Some(Planned { backend: &record.backend, graph, form: extra.get("form").and_then(Json::as_str) })
}

/// The samples, each once, and how many were there again, as in a copy of a run.
fn samples(inputs: &[Input]) -> (Vec<Sample<'_>>, usize) {
    let mut seen = HashSet::new();
    let (mut samples, mut duplicates) = (Vec::new(), 0);
    for sample in inputs.iter().filter_map(sample) {
        if seen.insert(TrialKey::of(sample.trial)) {
            samples.push(sample);
        } else {
            duplicates += 1;
        }
    }
    (samples, duplicates)
}

fn sample(input: &Input) -> Option<Sample<'_>> {
    let granularity = input.metadata().metg.filter(|_| input.kind == Kind::Measured)?;
    Some(Sample { tasks: input.items().unwrap_or_default(), granularity, trial: input })
}

/// Rows without a value come last.
fn rank(row: &Row) -> f64 {
    row.metg.map_or(f64::INFINITY, Value::seconds)
}

fn row(backend: &str, cores: u32, samples: &Blocks<'_, '_>, shortest: &Shortest<'_>) -> Row {
    let all = || samples.values().flatten().map(|sample| sample.trial.metadata());
    let of_block =
        |(id, of_block): (&BlockId<'_>, &Vec<_>)| block(run_name(*id, samples), id.2, of_block, shortest);
    let mut blocks: Vec<_> = samples.iter().map(of_block).collect();
    if let Some(wrong) = by_slow_clock_at_target(samples, &blocks) {
        for block in blocks.iter_mut().filter(|block| block.value().is_some()) {
            (block.outcome, block.floor) = (wrong.clone(), None);
        }
    }
    let values: Vec<_> = blocks.iter().filter_map(Block::value).collect();
    let floors: Vec<_> = blocks.iter().filter_map(|block| block.floor).collect();
    let kernel = metg::over_blocks(&values);
    let granularity = kernel.map(Estimate::granularity);
    Row {
        backend: backend.into(),
        cores,
        metg: granularity.map(|estimate| estimate.value),
        metg_interval: granularity.and_then(|estimate| estimate.interval),
        value: kernel.map(|estimate| estimate.value),
        interval: kernel.and_then(|estimate| estimate.interval),
        floor: median(&floors),
        blocks_with_value: values.len() as u32,
        curve: curve(&blocks),
        blocks,
        plugin: all().find_map(|metadata| metadata.plugin.clone()),
        workload_library: all().find_map(|metadata| metadata.workload_library.clone()),
        versions: together(all().map(|metadata| &metadata.versions)),
        ..Row::default()
    }
}

/// The run of a block, and when it began where another one has the same id.
fn run_name((began, run, _): BlockId<'_>, samples: &Blocks<'_, '_>) -> String {
    let is_other = |other: &BlockId<'_>| other.1 == run && other.0 != began;
    match began.filter(|_| samples.keys().any(is_other)) {
        Some(began) => format!("{run} of {began}"),
        None => run.to_owned(),
    }
}

fn block(run: String, number: u32, samples: &[&Sample<'_>], shortest: &Shortest<'_>) -> Block {
    let measured: Vec<_> = samples.iter().filter_map(|sample| sample.measured()).collect();
    let failed = samples.iter().find(|sample| sample.measured().is_none());
    let wrong = failed.map(|sample| sample.failed()).or_else(|| by_slow_clock(samples));
    let outcome = match (wrong, metg::block_value(&measured)) {
        (Some(wrong), _) => wrong,
        (None, _) if !has_ended(samples, shortest) => SweepOutcome::Unfinished,
        (None, Err(NoValue::TooEfficient { kernel_seconds, efficiency })) => {
            SweepOutcome::Invalid { kernel_seconds, efficiency }
        }
        (None, Err(NoValue::NeverEfficient { kernel_seconds, efficiency })) => {
            SweepOutcome::NeverEfficient { kernel_seconds, efficiency }
        }
        (None, Ok(Some(value))) => SweepOutcome::Value { metg: value.granularity(), value },
        (None, Ok(None)) => SweepOutcome::Failed {
            status: Status::Failed,
            phase: "record".into(),
            message: "no point was measured".into(),
            remedy: None,
        },
    };
    let reference = samples.first().map(|sample| sample.granularity.seconds_per_iteration);
    Block {
        run,
        block: number,
        seconds_per_iteration: reference.unwrap_or_default(),
        floor: metg::floor(&measured).filter(|_| matches!(outcome, SweepOutcome::Value { .. })),
        outcome,
        points: samples.iter().map(|sample| sample.point()).collect(),
    }
}

/// A block whose runs were each possible, and cannot be right together.
fn by_slow_clock(samples: &[&Sample<'_>]) -> Option<SweepOutcome> {
    let seconds = slow_clock(samples.iter().map(|sample| &sample.trial), iter::empty())?;
    Some(missing(seconds, "the runs"))
}

/// The blocks of a row whose clock is slow where it decides the value: at the two points on either side of the target.
///
/// If it is slow on one side only, the median of both sides may not show it, so that each side counts by itself too.
fn by_slow_clock_at_target(samples: &Blocks<'_, '_>, blocks: &[Block]) -> Option<SweepOutcome> {
    let (mut below, mut above, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for (samples, _) in samples.values().zip(blocks).filter(|(_, block)| block.value().is_some()) {
        let mut samples = samples.clone();
        samples.sort_by(|one, other| {
            one.granularity.kernel_seconds.total_cmp(&other.granularity.kernel_seconds)
        });
        let measured: Vec<_> = samples.iter().filter_map(|sample| sample.measured()).collect();
        let Some(at) = metg::crossing(&measured) else { continue };
        for (place, sample) in samples.into_iter().enumerate() {
            let side = if place == at {
                &mut above
            } else if place + 1 == at {
                &mut below
            } else {
                &mut others
            };
            side.push(&sample.trial);
        }
    }
    let near = [[&below[..], &above[..]].concat(), below, above];
    let seconds = near.iter().find_map(|runs| slow_clock(runs.iter().copied(), others.iter().copied()))?;
    let percent = TARGET_EFFICIENCY * 100.0;
    Some(missing(
        seconds,
        &format!("the runs with an efficiency near {percent:.0} %, which decide the value,"),
    ))
}

/// The host's clock shows so many seconds more than the worker's in the median of these runs.
fn missing(seconds: f64, runs: &str) -> SweepOutcome {
    SweepOutcome::Failed {
        status: Status::Invalid,
        phase: "record".into(),
        message: format!(
            "in the median of {runs} the host's clock shows {seconds:.3} s more than the worker's, which messages do not explain"
        ),
        remedy: None,
    }
}

impl Sample<'_> {
    /// Whether a longer kernel comes next: a sweep begins with long ones, also where a short one shows a low efficiency.
    fn is_to_double(&self) -> bool {
        let is_low = self.measured().is_some_and(|point| point.efficiency() < FIRST_EFFICIENCY);
        is_low && self.granularity.is_longest == Some(false)
    }

    /// The point of the curve, if the answer is verified.
    fn measured(&self) -> Option<MeasuredLoad> {
        let seconds = self.trial.duration().filter(|_| self.trial.status() == Status::Verified)?;
        let Granularity { kernel_seconds, .. } = self.granularity;
        Some(MeasuredLoad {
            kernel_seconds,
            tasks: self.tasks,
            seconds,
            cores: self.trial.record.parallelism,
        })
    }

    fn failed(&self) -> SweepOutcome {
        let (phase, message, remedy) = match self.trial.outcome.error() {
            Some(failure) => {
                (failure.phase.clone().into_owned(), failure.message.clone(), failure.remedy.clone())
            }
            None => ("record".into(), "the answer was not verified".into(), None),
        };
        SweepOutcome::Failed { status: self.trial.status(), phase, message, remedy }
    }

    fn point(&self) -> Point {
        let metadata = self.trial.metadata();
        let measured = self.measured();
        Point {
            source: self.trial.source.clone(),
            status: self.trial.status(),
            iterations: iterations(self.trial),
            kernel_seconds: self.granularity.kernel_seconds,
            tasks: self.tasks,
            seconds: measured.map(|point| point.seconds),
            granularity_seconds: measured.map(|point| point.granularity()),
            efficiency: measured.map(|point| point.efficiency()),
            command: metadata.command.clone(),
            log: metadata.log.clone(),
        }
    }
}

fn curve(blocks: &[Block]) -> Vec<Step> {
    let mut kernels: BTreeMap<u64, Vec<&Point>> = BTreeMap::new();
    for point in blocks.iter().flat_map(|block| &block.points) {
        if let Some(iterations) = point.iterations.filter(|_| point.efficiency.is_some()) {
            kernels.entry(iterations).or_default().push(point);
        }
    }
    let step = |(iterations, points): (u64, Vec<&Point>)| {
        let of =
            |figure: fn(&Point) -> Option<f64>| points.iter().filter_map(|point| figure(point)).collect();
        let efficiencies: Vec<_> = of(|point| point.efficiency);
        let (kernels, granularities): (Vec<_>, Vec<_>) =
            (of(|point| Some(point.kernel_seconds)), of(|point| point.granularity_seconds));
        Some(Step {
            iterations,
            kernel_seconds: median(&kernels)?,
            granularity_seconds: median(&granularities)?,
            efficiency: median(&efficiencies)?,
            least: efficiencies.iter().copied().fold(f64::INFINITY, f64::min),
            most: efficiencies.iter().copied().fold(0.0, f64::max),
            blocks: efficiencies.len() as u32,
        })
    };
    kernels.into_iter().filter_map(step).collect()
}

/// The warnings, the most serious first.
fn warnings(inputs: &[Input], samples: &[Sample<'_>], rows: &[Row], machines: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    if machines > 1 {
        warnings.push(format!("the records are from {machines} machines: their values are not comparable"));
    }
    let debug = |row: &&Row| is_debug(row.plugin.as_ref()) == Some(true);
    let debug: BTreeSet<_> = rows.iter().filter(debug).map(|row| row.backend.as_str()).collect();
    warnings.extend((!debug.is_empty()).then(|| debug_builds(&debug)));
    if samples.iter().any(|sample| sample.trial.metadata().locked == Some(false)) {
        warnings.push(UNLOCKED.into());
    }
    if samples.iter().any(|sample| sample.trial.metadata().data_seed_chosen) {
        warnings.push(CHOSEN_DATA.into());
    }
    if rows.iter().filter_map(|row| row.graph.as_ref()).any(|graph| graph.form == Some(Form::Stages)) {
        warnings.push(STAGES.into());
    }
    warnings.extend(rows.iter().filter_map(without_value));
    let without_interval = || {
        rows.iter().filter(|row| row.metg_interval.is_none() && matches!(row.metg, Some(Value::At { .. })))
    };
    let has_few = |row: &&Row| (row.blocks_with_value as usize) < MIN_BLOCKS;
    if without_interval().any(|row| has_few(&row)) {
        warnings.push(format!("no interval with fewer than {MIN_BLOCKS} blocks"));
    }
    if without_interval().any(|row| !has_few(&row)) {
        warnings.push("no interval where half of the blocks have equal values".into());
    }
    warnings.extend(notes(inputs));
    warnings
}

/// A warning about a backend that no block has a value of, as its efficiency stayed too low.
fn without_value(row: &Row) -> Option<String> {
    let highest = row.blocks.iter().filter_map(|block| match block.outcome {
        SweepOutcome::NeverEfficient { efficiency, .. } => Some(efficiency),
        _ => None,
    });
    let highest = highest.max_by(f64::total_cmp).filter(|_| row.metg.is_none())?;
    let remedy = if row.ran_longest_kernel() {
        "no longer kernel can be asked for; try a quieter machine"
    } else {
        "try a longer --coarsest, or a quieter machine"
    };
    Some(format!(
        "{} has no METG: its longest kernels reached an efficiency of {:.1} %, and {:.0} % are needed; {remedy}",
        row.name(),
        // Rounded down: 89.96 % are not the 90.0 % that are needed.
        (highest * 1000.0).floor() / 10.0,
        FIRST_EFFICIENCY * 100.0,
    ))
}

/// The warnings of the trials, each once with the number of trials. A copy of a trial does not count.
fn notes(inputs: &[Input]) -> impl Iterator<Item = String> {
    let (mut notes, mut seen) = (BTreeMap::<&str, u64>::new(), HashSet::new());
    let of_sweeps = inputs.iter().filter(|input| input.is_sweep() && seen.insert(TrialKey::of(input)));
    for note in of_sweeps.flat_map(|input| &input.record.metadata.warnings) {
        *notes.entry(note).or_default() += 1;
    }
    notes.into_iter().map(|(note, count)| with_count(note, &plural(count, "trial")))
}
