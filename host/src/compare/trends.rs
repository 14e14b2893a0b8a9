//! The trend of each cell over many recorded runs, by machine: its values, and where they changed. `docs/history.md` has the rules.

mod cell;
pub(crate) mod model;

use std::collections::BTreeMap;

use super::Input;
use super::cells::Cell;
use super::group::{Conditions, Group, Table};
use super::label::{distinction, machine_name};
use super::model::Form;
use super::trial::is_debug;
use crate::record::machine_history::AaFactors;
use crate::record::{Kind, Machines, SystemProfile, distinguishing_keys, under_one_name};
use crate::text::{listed, plural, with_remedy};
use cell::{RunGroups, beyond_search, trend};
use model::{CellTrend, Machine, Noise, RunValue, Trends, VERSION};

/// A cell: machine, backend, point, configuration, seed, conditions, whether the plugin is a debug build, and how a graph of tasks was
/// run.
type CellKey<'a> = (usize, &'a str, String, Option<&'a str>, u64, Conditions, bool, Option<Form>);

/// Why verified trials of an open loop have no value.
const NO_LATENCY: &str = ", as a trial of the point has no latency, or too few items for a percentile";

/// The records of one run.
struct Run<'a> {
    id: &'a str,
    /// When its first trial started: ISO 8601, UTC.
    started: &'a str,
    file: &'a str,
    /// All files that have it.
    files: Vec<&'a str>,
    /// How many measured trials it has.
    trials: usize,
    table: Table<'a>,
}

impl Run<'_> {
    /// The files that have it, as a warning names them.
    fn files(&self) -> String {
        match self.files.as_slice() {
            [one, other] => format!("{one} and in {other}"),
            files => listed(files.iter()),
        }
    }
}

/// The trends of the runs that began at `since` or later. The `aa_factors` of a machine are those of the A/A comparisons on it.
pub(crate) fn trends(
    inputs: &mut [Input],
    since: Option<&str>,
    mut aa_factors: impl FnMut(&SystemProfile) -> AaFactors,
) -> Trends {
    inputs.sort_by(|one, other| key(one).cmp(&key(other)));
    let runs = runs(inputs, since);
    let mut warnings: Vec<_> = copied(&runs).into_iter().collect();
    let of_all = Machines::new(runs.iter().flat_map(|run| run.table.machines.profiles.iter().copied()));
    let described = |(at, profile): (usize, &&SystemProfile)| {
        let factors = aa_factors(profile);
        let noise = Noise::of(&factors.time);
        Machine {
            profile: (*profile).clone(),
            name: machine_name(Some(at), of_all.profiles.iter().copied()),
            noise,
            latency_noise: Some(Noise::of_latencies(&factors.latency, noise)),
        }
    };
    let mut machines: Vec<Machine> = of_all.profiles.iter().enumerate().map(described).collect();
    let mut cells: BTreeMap<CellKey<'_>, Vec<RunGroups<'_, '_>>> = BTreeMap::new();
    let mut undescribed = 0;
    for run in &runs {
        for point in &run.table.points {
            // What was only warmed up when its run was interrupted has not been run.
            for row in point.rows.iter().filter(|row| !row.measured.is_empty()) {
                let profile = row.identity.machine.and_then(|at| run.table.machines.profiles.get(at));
                let Some(machine) = profile.and_then(|profile| of_all.place(profile)) else {
                    undescribed += row.measured.len();
                    continue;
                };
                let it = &row.identity;
                let (debug, form) = (is_debug(row.plugin()).unwrap_or_default(), row.form());
                let (point, config) = (point.id.clone(), it.config_hash);
                let key = (machine, it.backend, point, config, it.seed, it.conditions, debug, form);
                add(cells.entry(key).or_default(), run, row);
            }
        }
    }
    join_unknown_forms(&mut cells);
    if undescribed > 0 {
        warnings
            .push(format!("{undescribed} trials are left out, as their records do not describe the machine"));
    }
    if let [first, others @ ..] = machines.as_slice() {
        warnings.extend(others.iter().map(|other| another_machine(first, other)));
    }
    let keys: Vec<_> = cells.keys().cloned().collect();
    let cells = cells.into_iter().map(|(key, runs)| {
        let distinction = distinction_of(&key, &keys);
        let (machine, backend, point, config, seed, Conditions { cores, is_single }, ..) = key;
        let cell = Cell {
            backend: backend.to_owned(),
            point,
            config_hash: config.map(str::to_owned),
            seed,
            distinction,
            cores,
            is_single,
        };
        trend(cell, (machine, &machines[machine]), &runs)
    });
    let cells: Vec<_> = cells.collect();
    for (at, machine) in machines.iter_mut().enumerate() {
        let has_latency = cells.iter().any(|it| it.machine == at && it.of == "latency");
        machine.latency_noise = machine.latency_noise.filter(|_| has_latency);
    }
    warnings.extend(cells.iter().filter_map(|cell| newest_lacks(cell, &machines)));
    warnings.extend(beyond_search(&cells));
    Trends { version: VERSION, runs: runs.len(), cells, machines, warnings, ..Trends::default() }
}

/// What tells a cell from others that have all in common with it but the seed and the configuration.
fn distinction_of(key: &CellKey<'_>, all: &[CellKey<'_>]) -> String {
    let is_like = |it: &&CellKey<'_>| {
        (it.0, it.1, &it.2, it.5, it.6, it.7) == (key.0, key.1, &key.2, key.5, key.6, key.7)
    };
    let like = all.iter().filter(is_like);
    distinction((key.4, key.3), like.map(|it| (it.4, it.3)))
}

/// The name of a cell in a warning, with all that another cell of its backend and point may differ in.
fn name(trend: &CellTrend, machines: &[Machine]) -> String {
    let CellTrend { machine, cell, is_debug, form, .. } = trend;
    let Cell { backend, point, distinction, cores, is_single, .. } = cell;
    let cores = cores.map_or_else(String::new, |cores| format!(" on {}", plural(cores as u64, "core")));
    let machine = machines.get(*machine).filter(|_| machines.len() > 1);
    let machine = machine.map_or_else(String::new, |machine| format!(" on {}", machine.name));
    let how = [
        (*form == Some(Form::Stages), " in stages"),
        (*is_debug, " of a debug build"),
        (*is_single, " in single runs"),
    ];
    let how: String = how.into_iter().filter_map(|(is_so, how)| is_so.then_some(how)).collect();
    format!("{backend} at {point}{distinction}{how}{cores}{machine}")
}

/// Says of a cell that its newest run has no value, where an earlier one has: what is printed as the newest is of that. Or that no run of
/// it has, although trials are verified. Or that the newest has one of a part of its trials, of which the others may be the slow ones.
fn newest_lacks(trend: &CellTrend, machines: &[Machine]) -> Option<String> {
    let newest = trend.runs.last()?;
    let (cell, run) = (name(trend, machines), &newest.run);
    let verified = format!("{} of {} verified", newest.verified, plural(newest.trials as u64, "trial"));
    if newest.median.is_some() {
        let of_part =
            || format!("{cell} has {verified} in its newest run, {run}: its value is that of these alone");
        return (newest.verified < newest.trials).then(of_part);
    }
    let lacks_latency = trend.of == "latency" && newest.verified > 0;
    let why = if lacks_latency { NO_LATENCY } else { "" };
    match trend.runs.iter().rfind(|run| run.median.is_some()) {
        Some(RunValue { run: with_value, .. }) => Some(format!(
            "{cell} has no value in its newest run, {run} ({verified}){why}: the newest value is that of {with_value}"
        )),
        None => lacks_latency.then(|| format!("{cell} has no value in any run ({verified}){why}")),
    }
}

/// What the records of one run have in common.
fn key(input: &Input) -> (&str, &str) {
    (&input.source.file, input.run())
}

/// The runs in the order of time. One that is in several files, as a copy, counts once: that with the most trials, as a copy that was made
/// while the run went on has fewer.
fn runs<'a>(inputs: &'a [Input], since: Option<&str>) -> Vec<Run<'a>> {
    let mut runs: Vec<Run<'a>> = Vec::new();
    for of_run in inputs.chunk_by(|one, other| key(one) == key(other)) {
        let measured = of_run.iter().filter(|input| input.kind == Kind::Measured);
        let Some(started) = measured.map(|input| input.record.timestamp.as_str()).min() else { continue };
        if since.is_some_and(|since| started < since) {
            continue;
        }
        let (file, id) = key(&of_run[0]);
        let table = Table::new(of_run);
        let trials = table.points.iter().flat_map(|point| &point.rows).map(|row| row.measured.len()).sum();
        let run = Run { id, started, file, files: vec![file], trials, table };
        match runs.iter_mut().find(|known| (known.id, known.started) == (id, started)) {
            Some(known) => {
                known.files.push(file);
                if run.trials > known.trials {
                    *known = Run { files: std::mem::take(&mut known.files), ..run };
                }
            }
            None => runs.push(run),
        }
    }
    runs.sort_by_key(|run| run.started);
    runs
}

/// Says which runs are in several files, in one line: a folder may have a copy of each run.
fn copied(runs: &[Run<'_>]) -> Option<String> {
    let copied: Vec<_> = runs.iter().filter(|run| run.files.len() > 1).collect();
    match copied.as_slice() {
        [] => None,
        [run] => Some(format!("the run {} is in {}, and counts once", run.id, run.files())),
        runs => {
            let named = listed(runs.iter().map(|run| format!("{} (in {})", run.id, run.files())));
            Some(format!("{} runs are in several files, and each counts once: {named}", runs.len()))
        }
    }
}

/// Rows of one cell that have different plugin files in one run count together.
fn add<'t, 'a>(cell: &mut Vec<RunGroups<'t, 'a>>, run: &'t Run<'a>, row: &'t Group<'a>) {
    match cell.last_mut().filter(|last| (last.id, last.file) == (run.id, run.file)) {
        Some(last) => last.groups.push(row),
        None => {
            let groups = vec![row];
            cell.push(RunGroups { id: run.id, started: run.started, file: run.file, groups });
        }
    }
}

/// Runs of which every trial failed before it began are of the cell of those that ran the same graph, in whatever form.
fn join_unknown_forms(cells: &mut BTreeMap<CellKey<'_>, Vec<RunGroups<'_, '_>>>) {
    let unknown: Vec<_> = cells.keys().filter(|key| key.7.is_none()).cloned().collect();
    for key in unknown {
        let in_form = |form| {
            let mut known = key.clone();
            known.7 = Some(form);
            known
        };
        let known = [Form::Graph, Form::Stages].map(in_form).into_iter().find(|it| cells.contains_key(it));
        let Some(known) = known else { continue };
        let failed = cells.remove(&key).unwrap_or_default();
        let runs = cells.entry(known).or_default();
        for run in failed {
            match runs.iter_mut().find(|other| (other.id, other.file) == (run.id, run.file)) {
                Some(other) => other.groups.extend(run.groups),
                None => runs.push(run),
            }
        }
        runs.sort_by_key(|run| run.started);
    }
}

fn another_machine(first: &Machine, other: &Machine) -> String {
    let keys = distinguishing_keys(&first.profile, &other.profile);
    let apart = format!(
        "runs of several machines are kept apart: {} differs from {} in {}",
        other.name,
        first.name,
        keys.join(", ")
    );
    let as_one = under_one_name(&keys, first.profile.hostname.as_deref());
    with_remedy(&apart, as_one.map(|name| format!("run {name}")).as_deref())
}
