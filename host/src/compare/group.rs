//! Groups the records into points and rows.

use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::input::Input;
use super::trial::{Repetition, Trial, sha256};
use crate::plan;
use crate::plan::defaults::OPEN_LOOP;
use crate::record::{Config, Kind, Library, Machines, Percentiles};
use crate::run::task_graph::Form;
use crate::text::plural;

/// All records, grouped.
#[derive(Default)]
pub(super) struct Table<'a> {
    /// In the order in which they first appear.
    pub(super) backends: Vec<&'a str>,
    pub(super) machines: Machines<'a>,
    /// Sorted.
    pub(super) points: Vec<PointGroup<'a>>,
}

/// The records of a point.
pub(super) struct PointGroup<'a> {
    pub(super) id: String,
    pub(super) point: plan::Point<'a>,
    /// Backends in the order in which they first appear, then rows in theirs.
    pub(super) rows: Vec<Group<'a>>,
}

/// The records of a row.
#[derive(Default)]
pub(super) struct Group<'a> {
    pub(super) identity: Identity<'a>,
    pub(super) measured: Vec<Trial<'a>>,
    pub(super) warm_ups: Vec<Trial<'a>>,
    /// How many records are second records of a trial.
    pub(super) duplicates: usize,
    /// The place of the highest percentile of latency that all successful trials of the point have whose source and sinks share a
    /// clock: of data with more and with fewer results, not all have enough for the same. None but in an open loop, and where a trial
    /// of the row has no latency.
    pub(super) percentile: Option<usize>,
    repetitions: HashSet<Repetition<'a>>,
    moments: HashSet<Moment<'a>>,
    /// When each warm-up began, and how long it took: warm-ups have no number by which they are known.
    seen_warm_ups: HashSet<(Moment<'a>, Option<u64>)>,
}

/// The point, the block and the start of a trial.
type Moment<'a> = (&'a str, Option<u32>, &'a str);

/// Records of one point that are equal in these belong to one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Identity<'a> {
    pub(super) backend: &'a str,
    pub(super) seed: u64,
    pub(super) config_hash: Option<&'a str>,
    pub(super) machine: Option<usize>,
    pub(super) plugin: Option<&'a str>,
    pub(super) workload_library: Option<&'a str>,
    pub(super) conditions: Conditions,
}

/// How the trials of a row were run, beside their configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Conditions {
    /// The number of cores to which the backend was kept; none if it could use all.
    pub(super) cores: Option<usize>,
    /// Whether they are no part of a comparison: each is the first run of an engine, without warm-ups.
    pub(super) is_single: bool,
}

impl Conditions {
    fn of(trial: Trial<'_>) -> Self {
        let metadata = trial.metadata();
        Self { cores: metadata.cores.as_ref().map(Vec::len), is_single: metadata.block.is_none() }
    }

    pub(super) fn cores_label(self) -> String {
        self.cores.map_or_else(|| "all cores".into(), |cores| plural(cores as u64, "core"))
    }
}

/// Sorts options, numbers by their size, as those of an option that is varied; all else by its text.
pub(super) fn by_options<'o, O>(one: O, other: O) -> Ordering
where
    O: IntoIterator<Item = (&'o String, &'o Value), IntoIter: Clone>,
{
    let (one, other) = (one.into_iter(), other.into_iter());
    let pairs = one.clone().zip(other.clone()).map(|((key, value), (other_key, other_value))| {
        key.cmp(other_key).then_with(|| by_value(value, other_value))
    });
    pairs.fold(Ordering::Equal, Ordering::then).then_with(|| one.count().cmp(&other.count()))
}

fn by_value(one: &Value, other: &Value) -> Ordering {
    let sizes = one.as_f64().zip(other.as_f64());
    let by_size = sizes.map_or(Ordering::Equal, |(one, other)| one.total_cmp(&other));
    // What is of one size, as 1 and 1.0, is two values nevertheless.
    by_size.then_with(|| one.to_string().cmp(&other.to_string()))
}

impl<'a> Table<'a> {
    pub(super) fn new(inputs: &'a [Input]) -> Self {
        let profiles = inputs.iter().filter_map(|input| input.metadata().system_profile.as_ref());
        let mut table = Self { machines: Machines::new(profiles), ..Self::default() };
        let (mut points, mut rows) = (HashMap::new(), HashMap::new());
        for input in inputs {
            table.add(input, &mut points, &mut rows);
        }
        table.sort();
        table
    }

    fn add(
        &mut self,
        trial: Trial<'a>,
        points: &mut HashMap<String, usize>,
        rows: &mut HashMap<(usize, Identity<'a>), usize>,
    ) {
        let identity = self.identity(trial);
        let point = trial.point();
        let id = point.to_string();
        let point_index = *points.entry(id.clone()).or_insert_with(|| {
            self.points.push(PointGroup { id, point, rows: Vec::new() });
            self.points.len() - 1
        });
        let groups = &mut self.points[point_index].rows;
        let row = match rows.entry((point_index, identity)) {
            Entry::Occupied(row) => *row.get(),
            Entry::Vacant(row) => {
                groups.push(Group { identity, ..Group::default() });
                *row.insert(groups.len() - 1)
            }
        };
        groups[row].add(trial);
    }

    fn identity(&mut self, trial: Trial<'a>) -> Identity<'a> {
        let (record, metadata) = (&trial.record, trial.metadata());
        if !self.backends.contains(&record.backend.as_str()) {
            self.backends.push(&record.backend);
        }
        Identity {
            backend: &record.backend,
            seed: record.seed,
            config_hash: record.config_hash.as_deref(),
            machine: metadata.system_profile.as_ref().and_then(|profile| self.machines.place(profile)),
            plugin: sha256(metadata.plugin.as_ref()),
            workload_library: sha256(metadata.workload_library.as_ref()),
            conditions: Conditions::of(trial),
        }
    }

    fn sort(&mut self) {
        let Self { backends, points, .. } = self;
        points.sort_by(|a, b| {
            let key = |point: &plan::Point<'a>| {
                (point.workload, point.items, point.nodes, point.scheduler, point.parallelism)
            };
            let by_options = || by_options(a.point.extra, b.point.extra);
            key(&a.point).cmp(&key(&b.point)).then_with(by_options).then_with(|| a.id.cmp(&b.id))
        });
        for point in points {
            point
                .rows
                .sort_by_key(|row| backends.iter().position(|backend| *backend == row.identity.backend));
            let trials = point.rows.iter().flat_map(Group::successes);
            let loops = trials.filter_map(|(trial, _)| trial.metadata().open_loop.as_ref());
            let highest = loops
                .filter(|it| it.shared_clock)
                .map(|it| it.scheduled.as_ref().and_then(Percentiles::highest));
            // A median of only those trials that have a percentile would be biased.
            let percentile = highest.min().flatten();
            for row in &mut point.rows {
                row.percentile = percentile.filter(|_| row.has_shared_clock());
            }
        }
    }
}

impl PointGroup<'_> {
    /// Whether items come by a schedule. A trial that failed early does not say so.
    pub(super) fn is_open_loop(&self) -> bool {
        let mut trials = self.rows.iter().flat_map(Group::trials);
        self.point.workload == OPEN_LOOP || trials.any(|trial| trial.metadata().open_loop.is_some())
    }
}

impl<'a> Group<'a> {
    fn add(&mut self, trial: Trial<'a>) {
        if trial.kind == Kind::Warmup {
            if self.seen_warm_ups.insert((trial.moment(), trial.duration().map(f64::to_bits))) {
                self.warm_ups.push(trial);
            }
            return;
        }
        let is_new = [self.repetitions.insert(trial.repetition()), self.moments.insert(trial.moment())];
        if is_new == [true, true] {
            self.measured.push(trial);
        } else {
            self.duplicates += 1;
        }
    }

    /// A trial for what is the same in all of them.
    pub(super) fn first(&self) -> Option<&Trial<'a>> {
        self.measured.first().or(self.warm_ups.first())
    }

    pub(super) fn trials(&self) -> impl Iterator<Item = &Trial<'a>> {
        self.warm_ups.iter().chain(&self.measured)
    }

    pub(super) fn config(&self) -> Option<&'a Config> {
        self.first()?.metadata().config.as_ref()
    }

    pub(super) fn plugin(&self) -> Option<&'a Library> {
        self.first()?.metadata().plugin.as_ref()
    }

    pub(super) fn workload_library(&self) -> Option<&'a Library> {
        self.first()?.metadata().workload_library.as_ref()
    }

    /// How a graph of tasks was run. A trial that failed early does not say so.
    pub(super) fn form(&self) -> Option<Form> {
        self.forms().next()
    }

    /// How each trial ran it: a backend may say in some sessions only that it runs tasks by their dependencies.
    pub(super) fn forms(&self) -> impl Iterator<Item = Form> {
        self.trials().filter_map(|trial| Some(trial.metadata().graph?.form))
    }

    /// Whether it has the trials of an open loop, of which percentiles are compared.
    pub(super) fn is_open_loop(&self) -> bool {
        self.successes().any(|(trial, _)| trial.metadata().open_loop.is_some())
    }

    /// The successful trials with their durations in seconds.
    pub(super) fn successes(&self) -> impl Iterator<Item = (&Trial<'a>, f64)> {
        self.measured.iter().filter_map(|trial| Some((trial, trial.duration()?)))
    }

    /// Whether no successful trial of an open loop lacks its latencies. They are missing where the backend says that other machines took
    /// part: if it said so of some trials, the others could be the fast ones.
    fn has_shared_clock(&self) -> bool {
        self.successes().all(|(trial, _)| {
            trial.metadata().open_loop.as_ref().is_none_or(|open_loop| open_loop.shared_clock)
        })
    }

    /// The successful trials with the value that is compared, in seconds.
    pub(super) fn compared(&self) -> impl Iterator<Item = (&Trial<'a>, f64)> {
        self.compared_at(self.percentile)
    }

    /// The same by the percentile with another place.
    pub(super) fn compared_at(&self, percentile: Option<usize>) -> impl Iterator<Item = (&Trial<'a>, f64)> {
        self.successes().filter_map(move |(trial, _)| Some((trial, trial.compared(percentile)?)))
    }
}
