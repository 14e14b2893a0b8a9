//! A trial as recorded by this or another program.

use std::collections::HashSet;

use serde_json::Value;

use super::input::Input;
use crate::plan;
use crate::record::outcome::figure;
use crate::record::{Kind, Library, Metadata};
use crate::run::outcome::Status;
use crate::run::trial::UNSETTLED;

/// A record, as the comparison reads it.
pub(super) type Trial<'a> = &'a Input;

/// When a run began, its id, and one of its blocks: in the order in which they were run. Two runs may have one id, but they began at
/// different times.
pub(super) type BlockId<'a> = (Option<&'a str>, &'a str, u32);

/// Identifies a trial of one backend at one point. A second record of it is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Repetition<'a> {
    pub(super) run_id: &'a str,
    /// Two runs may have one id.
    run_started: Option<&'a str>,
    pub(super) block: Option<u32>,
    /// Without a block only the timestamp distinguishes trials.
    timestamp: Option<&'a str>,
}

/// What tells a trial from the others, whatever it is of; a copy of its record has the same.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct TrialKey<'a> {
    backend: &'a str,
    /// Ids of runs of other programs do not contain it.
    point: (String, u64),
    extra: String,
    moment: (&'a str, Option<u32>, &'a str),
    is_measured: bool,
}

impl<'a> TrialKey<'a> {
    pub(super) fn of(trial: Trial<'a>) -> Self {
        let record = &trial.record;
        Self {
            backend: &record.backend,
            point: (trial.point().to_string(), record.seed),
            extra: Value::Object(record.metadata.extra.clone()).to_string(),
            moment: trial.moment(),
            is_measured: trial.kind == Kind::Measured,
        }
    }
}

/// The records without copies of earlier ones. Those of other programs may have one time for several trials, which take their own time.
pub(crate) fn without_copies(inputs: &[Input]) -> Vec<&Input> {
    let mut seen = HashSet::new();
    // Also the time of a trial that failed tells it from others.
    let seconds = |input: &Input| input.record.duration_seconds.map(f64::to_bits);
    inputs.iter().filter(|input| seen.insert((TrialKey::of(input), seconds(input)))).collect()
}

impl Input {
    pub(super) fn status(&self) -> Status {
        self.outcome.status()
    }

    /// Seconds, if the trial is successful.
    pub(super) fn duration(&self) -> Option<f64> {
        figure(self.record.duration_seconds).filter(|_| self.status().has_figures())
    }

    pub(super) fn metadata(&self) -> &Metadata {
        &self.record.metadata
    }

    pub(super) fn repetition(&self) -> Repetition<'_> {
        let block = self.metadata().block;
        let timestamp = block.is_none().then_some(self.record.timestamp.as_str());
        let run_started = self.run_started.as_deref();
        Repetition { run_id: &self.record.run_id, run_started, block, timestamp }
    }

    /// Where the trial was measured. None without a block.
    pub(super) fn place(&self) -> Option<BlockId<'_>> {
        Some((self.run_started.as_deref(), self.run(), self.metadata().block?))
    }

    /// Identifies the record of a trial of one backend, also in a file that has only some records of its run.
    pub(super) fn moment(&self) -> (&str, Option<u32>, &str) {
        (&self.record.run_id, self.metadata().block, &self.record.timestamp)
    }

    /// The value that is compared, in seconds: the duration of the run or, in an open loop, where the schedule determines
    /// the duration, the latency at the percentile with this place. None if the trial is not successful.
    pub(super) fn compared(&self, percentile: Option<usize>) -> Option<f64> {
        let Some(open_loop) = &self.metadata().open_loop else { return self.duration() };
        let (.., milliseconds) = *open_loop.scheduled.as_ref()?.named().get(percentile?)?;
        self.duration().and(figure(Some(milliseconds? / 1e3)))
    }

    /// The number of input items. Records of the original project do not have it.
    pub(super) fn items(&self) -> Option<u64> {
        let metadata = self.metadata();
        metadata.config.as_ref().map(|config| config.items).or(metadata.total_items)
    }

    /// The point, from the configuration or else from the other fields of the record.
    pub(super) fn point(&self) -> plan::Point<'_> {
        let (record, metadata) = (&self.record, self.metadata());
        match &metadata.config {
            Some(config) => plan::Point {
                workload: &config.workload,
                items: Some(config.items),
                parallelism: config.parallelism,
                scheduler: &config.scheduler,
                nodes: config.nodes,
                extra: &config.extra,
            },
            None => plan::Point {
                workload: &record.workload,
                items: metadata.total_items,
                parallelism: record.parallelism,
                scheduler: metadata.scheduler_name.as_deref().unwrap_or("default"),
                nodes: record.nodes,
                extra: &metadata.extra,
            },
        }
    }

    /// Whether a warning says that the warm-ups before the trial did not settle.
    pub(super) fn is_unsettled(&self) -> bool {
        self.metadata().warnings.iter().any(|warning| warning.starts_with(UNSETTLED))
    }
}

/// The hash of the file of a library.
pub(super) fn sha256(library: Option<&Library>) -> Option<&str> {
    library.map(|library| library.sha256.as_str())
}

/// Whether a library was built without optimisation or with debug assertions. None if its metadata do not say.
pub(super) fn is_debug(library: Option<&Library>) -> Option<bool> {
    let build = &library?.build;
    let assertions = build.get("debug_assertions").and_then(Value::as_bool);
    let unoptimised = build.get("opt_level").and_then(Value::as_str).map(|level| level == "0");
    match (assertions, unoptimised) {
        (None, None) => None,
        (assertions, unoptimised) => Some(assertions == Some(true) || unoptimised == Some(true)),
    }
}
