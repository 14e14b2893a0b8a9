//! What earlier runs showed of a machine: how fast it computes, and by how much A/A comparisons on it differed. It is one file
//! in the data folder, to which several processes may write. `docs/record-format.md` describes its lines.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::environment::SystemProfile;
use super::format::timestamp;
use super::machine::machine_keys;
use super::{RecordError, clock, file_lock};
use crate::plan::defaults::OPEN_LOOP;
use crate::{atomic_file, path_walk, regular_file};

/// The file, in the data folder.
pub(crate) const FILE: &str = "history.jsonl";
/// The file that a writer locks: the history itself is replaced as a whole.
const LOCK: &str = "history.lock";

const VERSION: u64 = 1;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// A speed is kept for so long: an older one may be that of another clock rate, firmware or cooling.
const SPEED_AGE: Duration = DAY.saturating_mul(30);
/// Any other line is kept for so long. A/A comparisons are rare.
const AGE: Duration = DAY.saturating_mul(365);
/// So many lines of each kind are kept.
const MOST: usize = 500;
/// No more than this is read, in bytes: many times what [`MOST`] lines need.
const LONGEST: u64 = 16 << 20;

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    format_version: u64,
    time: String,
    machine: SystemProfile,
    #[serde(flatten)]
    observation: Observation,
}

/// What a run showed of its machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Observation {
    /// The machine checks of a comparison or of sweeps.
    MachineCheck(Speed),
    /// An A/A comparison.
    Aa(AaComparison),
}

/// How fast a machine computed during a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Speed {
    /// The build of crossrun: another one may compute at another speed.
    pub build: String,
    /// On how many cores the check computes at once. Fewer cores may each be faster.
    pub cores: u32,
    /// The number of checks.
    pub checks: u32,
    /// The lower quartile of the checks.
    pub nanos_per_iteration: f64,
}

/// By how much a backend differed from itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AaComparison {
    /// The run, or `selftest`.
    pub run_id: String,
    /// When it began. A run that was resumed has several lines with one beginning, of which the last counts.
    pub started: String,
    pub blocks: u32,
    /// The largest difference, as a factor of at least 1: the end of an interval that is farthest from 1.
    pub factor: f64,
    /// The intervals of all points.
    pub pairs: Vec<AaPair>,
}

/// The interval of the ratio of a backend to itself at one point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AaPair {
    pub point: String,
    pub low: f64,
    pub high: f64,
    /// Whether latencies of an open loop were compared, and no durations. Earlier versions did not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_latency: Option<bool>,
}

impl AaPair {
    fn factor(&self) -> f64 {
        self.high.max(1.0 / self.low)
    }

    fn is_latency(&self) -> bool {
        self.is_latency.unwrap_or_else(|| has_schedule(&self.point))
    }
}

/// Whether the name of a point says that items come by a schedule, as those of the standard workloads do. Of another open loop a line of
/// an earlier version does not say it: it counts among the durations, where it makes noise rather too large than too small.
fn has_schedule(point: &str) -> bool {
    let mut parts = point.split('/');
    parts.next() == Some(OPEN_LOOP)
        || parts.any(|it| it.starts_with("arrivals=") && it != "arrivals=on_demand")
}

impl AaComparison {
    /// Of these pairs; `None` without any.
    pub(crate) fn new(run_id: &str, started: String, blocks: u32, pairs: Vec<AaPair>) -> Option<Self> {
        let factor = largest(pairs.iter())?;
        Some(Self { run_id: run_id.into(), started, blocks, factor, pairs })
    }

    /// The largest difference of durations, or of latencies; `None` without a point of these.
    fn factor_of(&self, is_latency: bool) -> Option<f64> {
        largest(self.pairs.iter().filter(|pair| pair.is_latency() == is_latency))
    }
}

/// The largest difference of any pair, as a factor of at least 1.
fn largest<'p>(pairs: impl Iterator<Item = &'p AaPair>) -> Option<f64> {
    let factors = pairs.map(AaPair::factor).filter(|factor| factor.is_finite() && *factor >= 1.0);
    factors.max_by(f64::total_cmp)
}

/// The factors of A/A comparisons, each of at least 1. Percentiles of a latency differ by far more than durations do, and say nothing of
/// these.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct AaFactors {
    pub time: Vec<f64>,
    pub latency: Vec<f64>,
}

/// What all lines have, those of later versions included.
#[derive(Deserialize)]
struct Header {
    format_version: u64,
    kind: String,
    time: String,
}

impl Header {
    /// Whether the line counts at `now`. A time that is more than a day ahead is that of a clock that was wrong; less may be that of
    /// another process, which wrote while this one waited.
    fn is_current(&self, now: SystemTime) -> bool {
        let latest = timestamp(now.checked_add(DAY).unwrap_or(now));
        !self.is_too_old(now) && self.time <= latest
    }

    fn is_too_old(&self, now: SystemTime) -> bool {
        let age = if self.kind == "machine_check" { SPEED_AGE } else { AGE };
        now.checked_sub(age).is_some_and(|oldest| self.time < timestamp(oldest))
    }
}

/// The history of all machines that use a data folder.
#[derive(Debug, Default)]
pub(crate) struct MachineHistory {
    lines: Vec<Line>,
    /// The numbers of the lines that cannot be read, from 1.
    pub(crate) damaged: Vec<usize>,
}

impl MachineHistory {
    /// The history in `data_dir`, which is empty if there is no file.
    ///
    /// # Errors
    /// When there is a file that cannot be read.
    pub(crate) fn read(data_dir: &Path) -> Result<Self, RecordError> {
        Self::read_at(data_dir, SystemTime::now())
    }

    fn read_at(data_dir: &Path, now: SystemTime) -> Result<Self, RecordError> {
        let mut history = Self::default();
        for (number, text) in texts(data_dir)?.iter().enumerate() {
            match line(text, now) {
                Ok(line) => history.lines.extend(line),
                Err(_) => history.damaged.push(number + 1),
            }
        }
        Ok(history)
    }

    /// The fewest nanoseconds of an iteration that `build` needed on so many cores of `machine` in the last 30 days.
    pub(crate) fn best_speed(&self, machine: &SystemProfile, build: &str, cores: u32) -> Option<f64> {
        let speeds = self.of(machine).filter_map(|observation| match observation {
            Observation::MachineCheck(speed) if speed.build == build && speed.cores == cores => Some(speed),
            _ => None,
        });
        let speeds = speeds.map(|speed| speed.nanos_per_iteration).filter(|nanos| *nanos > 0.0);
        speeds.min_by(f64::total_cmp)
    }

    /// The factors of the A/A comparisons on `machine`.
    pub(crate) fn aa_factors(&self, machine: &SystemProfile) -> AaFactors {
        let comparisons = self.of(machine).filter_map(|observation| match observation {
            Observation::Aa(comparison) => Some((comparison.started.as_str(), comparison)),
            Observation::MachineCheck(_) => None,
        });
        let by_start: BTreeMap<_, _> = comparisons.collect();
        let of = |is_latency| by_start.values().filter_map(|it| it.factor_of(is_latency)).collect();
        AaFactors { time: of(false), latency: of(true) }
    }

    fn of(&self, machine: &SystemProfile) -> impl Iterator<Item = &Observation> {
        let lines = self.lines.iter().filter(|line| machine_keys(&line.machine, machine).is_empty());
        lines.map(|line| &line.observation)
    }
}

/// Adds an observation of `machine` to the history in `data_dir`, and removes what is too old or cannot be read. While the clock is
/// wrong, nothing is added, and nothing is too old.
///
/// # Errors
/// When the file cannot be written; then the history is as it was.
pub(crate) fn keep(
    data_dir: &Path,
    machine: &SystemProfile,
    observation: Observation,
) -> Result<(), RecordError> {
    let now = SystemTime::now();
    if !clock::is_credible(now) {
        return Ok(());
    }
    let line = Line { format_version: VERSION, time: timestamp(now), machine: machine.clone(), observation };
    let path = data_dir.join(FILE);
    let text =
        serde_json::to_string(&line).map_err(|error| RecordError::Encode { path: path.clone(), error })?;
    rewrite(data_dir, |texts| {
        texts.push(text);
        *texts = pruned(std::mem::take(texts), now);
    })
}

/// Removes what is known of `machine`, and returns how many lines that were.
///
/// # Errors
/// When the file cannot be written; then the history is as it was.
pub(crate) fn forget(data_dir: &Path, machine: &SystemProfile) -> Result<usize, RecordError> {
    let mut forgotten = 0;
    rewrite(data_dir, |texts| {
        let is_of = |text: &String| {
            let line = serde_json::from_str::<Line>(text);
            line.is_ok_and(|line| machine_keys(&line.machine, machine).is_empty())
        };
        let before = texts.len();
        texts.retain(|text| !is_of(text));
        forgotten = before - texts.len();
    })?;
    Ok(forgotten)
}

/// A line that counts at `now`; `None` for one that is too old or of a later version.
fn line(text: &str, now: SystemTime) -> serde_json::Result<Option<Line>> {
    let header: Header = serde_json::from_str(text)?;
    let is_known = header.format_version == VERSION && ["machine_check", "aa"].contains(&&*header.kind);
    let counts = is_known && header.is_current(now);
    if counts { serde_json::from_str(text).map(Some) } else { Ok(None) }
}

/// The newest lines of each kind that are not too old. Those of the future stay: it may be the clock of now that is wrong.
fn pruned(texts: Vec<String>, now: SystemTime) -> Vec<String> {
    let mut counts = HashMap::new();
    let mut kept: Vec<_> = texts
        .into_iter()
        .rev()
        .filter(|text| {
            let header = line(text, now).and_then(|_| serde_json::from_str::<Header>(text));
            let Ok(header) = header else { return false };
            let count = counts.entry(header.kind.clone()).or_insert(0);
            let is_kept = !header.is_too_old(now);
            *count += usize::from(is_kept);
            is_kept && *count <= MOST
        })
        .collect();
    kept.reverse();
    kept
}

/// Changes the lines while no other process does.
fn rewrite(data_dir: &Path, change: impl FnOnce(&mut Vec<String>)) -> Result<(), RecordError> {
    let made = path_walk::make_private_folder(data_dir);
    made.map_err(RecordError::file("make the folder", data_dir))?;
    let (path, lock_path) = (data_dir.join(FILE), data_dir.join(LOCK));
    let lock = regular_file::open(&lock_path, File::options().write(true).create(true).truncate(false));
    let lock = lock.map_err(RecordError::file("open", &lock_path))?;
    file_lock::exclusive(&lock, &lock_path).map_err(RecordError::file("lock", &lock_path))?;
    let mut lines = texts(data_dir)?;
    change(&mut lines);
    let text: String = lines.into_iter().map(|line| line + "\n").collect();
    // The lock ends with this function, or with this process.
    atomic_file::replace(&path, 0o644, |mut file| file.write_all(text.as_bytes()))
        .map_err(RecordError::file("write to", &path))
}

fn texts(data_dir: &Path) -> Result<Vec<String>, RecordError> {
    let path = data_dir.join(FILE);
    let mut bytes = Vec::new();
    let file = regular_file::open(&path, File::options().read(true));
    match file.and_then(|file| file.take(LONGEST).read_to_end(&mut bytes)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RecordError::file("read", &path)(error)),
        _ => {
            let text = String::from_utf8_lossy(&bytes);
            Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn machine(name: &str) -> SystemProfile {
        SystemProfile { hostname: Some(name.into()), ..SystemProfile::default() }
    }

    fn speed(nanos_per_iteration: f64) -> Observation {
        Observation::MachineCheck(Speed { build: "1".into(), cores: 2, checks: 9, nanos_per_iteration })
    }

    fn aa(started: &str, factor: f64) -> Observation {
        of_pairs(started, vec![pair("null", factor, Some(false))])
    }

    fn of_pairs(started: &str, pairs: Vec<AaPair>) -> Observation {
        Observation::Aa(AaComparison::new("run", started.into(), 7, pairs).unwrap())
    }

    fn pair(point: &str, factor: f64, is_latency: Option<bool>) -> AaPair {
        AaPair { point: point.into(), low: 1.0, high: factor, is_latency }
    }

    fn in_days(days: u32) -> SystemTime {
        SystemTime::now() + DAY * days
    }

    #[test]
    fn the_best_speed_is_that_of_the_same_machine_build_and_number_of_cores() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        assert_eq!(MachineHistory::read(&data).unwrap().best_speed(&machine("one"), "1", 2), None);
        for nanos in [2.0, 1.5, 3.0] {
            keep(&data, &machine("one"), speed(nanos)).unwrap();
        }
        keep(&data, &machine("other"), speed(1.0)).unwrap();
        let history = MachineHistory::read(&data).unwrap();
        assert_eq!(history.best_speed(&machine("one"), "1", 2), Some(1.5));
        assert_eq!(history.best_speed(&machine("other"), "1", 2), Some(1.0));
        for (build, cores) in [("2", 2), ("1", 1)] {
            assert_eq!(history.best_speed(&machine("one"), build, cores), None);
        }
        assert_eq!(forget(&data, &machine("one")).unwrap(), 3);
        let history = MachineHistory::read(&data).unwrap();
        assert_eq!(history.best_speed(&machine("one"), "1", 2), None);
        assert_eq!(history.best_speed(&machine("other"), "1", 2), Some(1.0));
    }

    #[test]
    fn a_speed_counts_for_thirty_days_and_an_a_a_comparison_for_a_year() {
        let folder = tempfile::tempdir().unwrap();
        let (data, one) = (folder.path(), machine("one"));
        keep(data, &one, speed(1.0)).unwrap();
        keep(data, &one, aa("a", 1.25)).unwrap();
        let of = |days| {
            let history = MachineHistory::read_at(data, in_days(days)).unwrap();
            (history.best_speed(&one, "1", 2), history.aa_factors(&one).time)
        };
        assert_eq!(of(29), (Some(1.0), vec![1.25]));
        assert_eq!(of(31), (None, vec![1.25]));
        assert_eq!(of(366), (None, vec![]));
        let before = MachineHistory::read_at(data, SystemTime::now() - DAY * 2).unwrap();
        assert_eq!(before.best_speed(&one, "1", 2), None, "of a clock that was wrong");
        assert_eq!(pruned(texts(data).unwrap(), in_days(31)).len(), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_for_a_while_costs_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let (data, one) = (folder.path(), machine("one"));
        keep(data, &one, speed(1.0)).unwrap();
        keep(data, &one, aa("a", 1.25)).unwrap();
        let back = SystemTime::now() - DAY * 20;
        assert_eq!(pruned(texts(data).unwrap(), back), texts(data).unwrap());
        assert_eq!(MachineHistory::read_at(data, back).unwrap().aa_factors(&one), AaFactors::default());
    }

    #[test]
    fn a_damaged_line_is_skipped_and_told_and_one_of_a_later_version_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (data, one) = (folder.path(), machine("one"));
        keep(data, &one, speed(1.0)).unwrap();
        let later =
            format!(r#"{{"format_version":2,"kind":"new","time":"{}"}}"#, timestamp(SystemTime::now()));
        let right = fs::read_to_string(data.join(FILE)).unwrap();
        let wrong = right.replace("nanos_per_iteration", "else");
        fs::write(data.join(FILE), format!("torn\n{later}\n{wrong}{right}\u{0}{{")).unwrap();
        let history = MachineHistory::read(data).unwrap();
        assert_eq!((history.best_speed(&one, "1", 2), &*history.damaged), (Some(1.0), &[1, 3, 5][..]));
        keep(data, &one, speed(2.0)).unwrap();
        assert_eq!(MachineHistory::read(data).unwrap().damaged, [0; 0]);
        let lines = texts(data).unwrap();
        assert!(lines.len() == 3 && lines[0] == later, "{lines:?}");
    }

    #[test]
    fn only_the_newest_lines_of_a_kind_are_kept() {
        let line = |nanos: usize| {
            let (format_version, time) = (VERSION, timestamp(SystemTime::now()));
            let observation = speed(nanos as f64);
            serde_json::to_string(&Line { format_version, time, machine: machine("one"), observation })
                .unwrap()
        };
        let kept = pruned((0..MOST + 3).map(line).collect(), in_days(1));
        assert_eq!(kept.len(), MOST);
        assert!(kept[0].contains("\"nanos_per_iteration\":3.0"), "{}", kept[0]);
    }

    #[test]
    fn of_a_run_that_was_resumed_the_last_line_counts() {
        let folder = tempfile::tempdir().unwrap();
        for (started, factor) in [("a", 1.5), ("b", 1.25), ("a", 1.125)] {
            keep(folder.path(), &machine("one"), aa(started, factor)).unwrap();
        }
        let history = MachineHistory::read(folder.path()).unwrap();
        assert_eq!(history.aa_factors(&machine("one")).time, [1.125, 1.25]);
    }

    #[test]
    fn latencies_and_durations_differ_by_factors_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let (open, closed) = (pair("mine", 4.0, Some(true)), pair("open_loop/items=9", 1.125, Some(false)));
        // Lines of earlier versions, of which only the names of the points say what was compared.
        let poisson = pair("nexmark_q5/items=9/arrivals=poisson", 8.0, None);
        let old = [
            pair("open_loop/items=9", 2.0, None),
            pair("nexmark_q5/items=9/arrivals=on_demand/rate=7", 1.25, None),
            poisson,
        ];
        for (started, pairs) in [("a", vec![open]), ("b", vec![closed]), ("c", old.to_vec())] {
            keep(folder.path(), &machine("one"), of_pairs(started, pairs)).unwrap();
        }
        let factors = MachineHistory::read(folder.path()).unwrap().aa_factors(&machine("one"));
        assert_eq!(factors, AaFactors { time: vec![1.125, 1.25], latency: vec![4.0, 8.0] });
    }

    #[test]
    fn concurrent_writers_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let data = folder.path();
                scope.spawn(move || {
                    for number in writer * 5..writer * 5 + 5 {
                        keep(data, &machine("one"), aa(&number.to_string(), f64::from(1 + number))).unwrap();
                    }
                });
            }
        });
        let history = MachineHistory::read(folder.path()).unwrap();
        let mut factors = history.aa_factors(&machine("one")).time;
        factors.sort_by(f64::total_cmp);
        assert_eq!(factors, (1..=40).map(f64::from).collect::<Vec<_>>());
        assert!(history.damaged.is_empty());
    }
}
