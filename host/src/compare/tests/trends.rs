//! Trends over runs that are made here.

use super::*;
use crate::compare::trends::model::{ChangeCall, Trends};
use crate::compare::trends::trends;

/// Run number `day`, in which each of six blocks took about so many seconds, after a change.
fn run(day: u32, seconds: f64, change: impl Fn(&mut Example)) -> Vec<Input> {
    let noise = |block: u32| 1.0 + 0.01 * (f64::from((block * 5 + day * 3) % 7) - 3.0) / 3.0;
    let of_block = |block| {
        let mut example = example("a", "pipeline", block, seconds * noise(block)).with(&change);
        example.result.started += Duration::from_secs(86_400) * day;
        example.trial.cell.run_id = example.trial.cell.run_id.replace("night", &format!("night-{day}"));
        example
    };
    let of_run = recorded((0..6).map(of_block)).into_iter().map(|mut input| {
        input.source.file = format!("{day}/trials.jsonl");
        input
    });
    of_run.collect()
}

/// Eight runs of a second, and six of so many.
fn step(seconds: f64) -> Vec<Input> {
    let later = |day| run(day, seconds, |example| example.plugin = Some(library("b", true)));
    (0..8).flat_map(|day| run(day, 1.0, |_| ())).chain((8..14).flat_map(later)).collect()
}

fn without_aa(inputs: Vec<Input>) -> Trends {
    since(None, inputs)
}

fn since(since: Option<&str>, mut inputs: Vec<Input>) -> Trends {
    trends(&mut inputs, since, |_| AaFactors::default())
}

#[test]
fn a_step_is_a_change_with_the_run_and_what_differs() {
    let trends = without_aa(step(1.1));
    let [cell] = trends.cells.as_slice() else { panic!("{:?}", trends.cells) };
    let [change] = cell.changes.as_slice() else { panic!("{:?}", cell.changes) };
    assert_eq!((change.run.as_str(), change.index, change.call), ("night-8", 8, ChangeCall::Slower));
    assert!((change.factor - 1.1).abs() < 0.01 && change.p_value <= 0.02, "{change:?}");
    assert_eq!(change.differs, ["plugin file a00000000000 -> b00000000000"]);
    assert!(cell.is_regression && cell.runs.len() == 14 && cell.of == "time");
    assert!(cell.runs.iter().all(|run| run.successes == 6 && run.interval.is_some()));
    let faster = without_aa(step(0.9));
    assert_eq!(faster.cells[0].changes[0].call, ChangeCall::Faster);
    assert!(!faster.cells[0].is_regression);
    // Only the newest change counts.
    let seconds = |day: u32| if (8..16).contains(&day) { 1.1 } else { 1.0 };
    let mended = without_aa((0..24).flat_map(|day| run(day, seconds(day), |_| ())).collect());
    let calls: Vec<_> = mended.cells[0].changes.iter().map(|change| change.call).collect();
    assert_eq!(calls, [ChangeCall::Slower, ChangeCall::Faster]);
    assert!(!mended.cells[0].is_regression);
}

#[test]
fn cells_of_two_seeds_or_configurations_show_them() {
    let with = |day, seed| run(day, 1.0, move |example| example.trial.cell.spec.seed = seed);
    let trends = without_aa([with(0, 42), with(1, 7)].concat());
    let mut seeds: Vec<_> = trends.cells.iter().map(|it| it.cell.distinction.as_str()).collect();
    seeds.sort_unstable();
    assert_eq!(seeds, [" (seed 42)", " (seed 7)"]);
    assert_eq!(without_aa(run(0, 1.0, |_| ())).cells[0].cell.distinction, "");
    let mut inputs = [run(0, 1.0, |_| ()), run(1, 1.0, |_| ())].concat();
    let last = inputs.last_mut().unwrap();
    last.record.config_hash = Some("11112222aaaa".into());
    let trends = without_aa(inputs);
    let found: Vec<_> = trends.cells.iter().map(|it| it.cell.distinction.as_str()).collect();
    assert!(found.contains(&" (configuration 11112222)"), "{found:?}");
}

#[test]
fn a_run_in_which_a_backend_was_only_warmed_up_does_not_count_for_it() {
    let other = |example: &mut Example| example.trial.backend = BackendChoice::new("timely");
    let of_both = [run(0, 1.0, |_| ()), run(0, 1.0, other)].concat();
    let cut = run(1, 1.0, |example| {
        other(example);
        example.trial.purpose = Purpose::WarmUp(0);
    });
    let trends = without_aa([of_both, run(1, 1.0, |_| ()), cut].concat());
    let runs: Vec<_> = trends.cells.iter().map(|it| (it.cell.backend.as_str(), it.runs.len())).collect();
    assert_eq!(runs, [("a", 2), ("timely", 1)]);
    assert!(trends.warnings.is_empty(), "{:?}", trends.warnings);
}

#[test]
fn a_newest_run_without_a_value_is_told() {
    let trends = without_aa([step(1.0), run(14, 1.0, answer_wrongly)].concat());
    let says = "has no value in its newest run, night-14 (0 of 6 trials verified): the newest value is that of night-13";
    assert!(trends.warnings.iter().any(|warning| warning.ends_with(says)), "{:?}", trends.warnings);
    assert!(without_aa(step(1.0)).warnings.is_empty());
    assert!(without_aa(run(0, 1.0, answer_wrongly)).warnings.is_empty());
}

#[test]
fn a_cell_that_is_told_has_its_cores_and_how_it_was_run() {
    let mut inputs = run(0, 1.0, |example| example.plugin = Some(library("a", false)));
    for input in &mut inputs {
        (input.record.metadata.cores, input.record.metadata.block) = (Some(vec![0, 1]), None);
    }
    inputs[0].outcome = Outcome::Wrong(error("judge", Fault::WrongAnswer, "another checksum"));
    let says =
        " of a debug build in single runs on 2 cores has 5 of 6 trials verified in its newest run, night-0";
    let trends = without_aa(inputs);
    assert!(trends.warnings.iter().any(|warning| warning.contains(says)), "{:?}", trends.warnings);
}

#[test]
fn a_newest_run_of_which_some_trials_are_wrong_is_told() {
    let in_part = |example: &mut Example| {
        if example.trial.block != Some(0) {
            answer_wrongly(example);
        }
    };
    let trends = without_aa([step(1.0), run(14, 1.0, in_part)].concat());
    let says = " has 1 of 6 trials verified in its newest run, night-14: its value is that of these alone";
    assert!(trends.warnings.iter().any(|warning| warning.ends_with(says)), "{:?}", trends.warnings);
    // Of an earlier run the table shows nothing.
    let trends = without_aa([run(0, 1.0, in_part), run(1, 1.0, |_| ())].concat());
    assert!(trends.warnings.is_empty(), "{:?}", trends.warnings);
}

#[test]
fn a_change_below_the_noise_of_the_machine_is_not_reported() {
    let changes = |seconds: f64, factors: &[f64]| {
        let factors = || AaFactors { time: factors.to_vec(), latency: vec![9.0; 5] };
        let trends = trends(&mut step(seconds), None, |_| factors());
        assert_eq!(trends.machines[0].latency_noise, None, "no cell is of a latency");
        trends.cells[0].changes.len()
    };
    assert_eq!(changes(1.1, &[1.01, 1.01, 1.01, 1.01, 1.2]), 0);
    assert_eq!(changes(1.1, &[1.01, 1.01, 1.01, 1.01, 1.08]), 1);
    // Four are too few to know the noise, which then is 5 %.
    assert_eq!(changes(1.1, &[1.01, 1.01, 1.01, 1.2]), 1);
    assert_eq!(changes(1.04, &[]), 0);
    assert_eq!(changes(1.04, &[1.01; 5]), 1);
}

#[test]
fn an_earlier_run_makes_no_two_machines_one() {
    let on = |day, with| run(day, 1.0, move |example| mitigate(example, with));
    let trends = without_aa([on(0, None), on(1, Some("on")), on(2, Some("off"))].concat());
    assert_eq!((trends.machines.len(), trends.cells.len()), (3, 3));
    assert!(
        trends.warnings[0].ends_with("machine #2 differs from machine in mitigations"),
        "{:?}",
        trends.warnings
    );
    let names: Vec<_> = trends.machines.iter().map(|machine| machine.name.as_str()).collect();
    assert_eq!(names, ["machine", "machine #2", "machine #3"]);
    assert_eq!(without_aa([on(0, None), on(1, Some("on"))].concat()).machines.len(), 1);
}

#[test]
fn machines_and_builds_are_kept_apart() {
    let elsewhere = |day| run(day, 1.3, |example| example.system_profile.hostname = Some("elsewhere".into()));
    let debug = |day| run(day, 9.0, |example| example.plugin = Some(library("a", false)));
    let inputs = step(1.0).into_iter().chain((20..26).flat_map(elsewhere)).chain((30..36).flat_map(debug));
    let trends = without_aa(inputs.collect());
    let cells: Vec<_> =
        trends.cells.iter().map(|it| (it.machine, it.is_debug, it.runs.len(), it.changes.len())).collect();
    assert_eq!(cells, [(0, false, 14, 0), (0, true, 6, 0), (1, false, 6, 0)]);
    assert!(
        trends.warnings[0].contains("elsewhere differs from machine in hostname"),
        "{:?}",
        trends.warnings
    );
}

#[test]
fn a_copy_counts_once_and_a_trial_that_is_not_verified_not_at_all() {
    let mut copy = run(3, 1.0, |_| ());
    copy.iter_mut().for_each(|input| input.source.file = "copy/trials.jsonl".into());
    let failing = run(14, 1.0, fail);
    let trends = without_aa(step(1.0).into_iter().chain(copy).chain(failing).collect());
    let runs = &trends.cells[0].runs;
    assert_eq!((runs.len(), trends.runs), (15, 15));
    assert!(trends.warnings[0].contains("the run night-3 is in 3/trials.jsonl and in copy/trials.jsonl"));
    let last = runs.last().unwrap();
    assert_eq!((last.trials, last.successes, last.median), (6, 0, None));
}

#[test]
fn runs_that_were_copied_are_told_in_one_warning() {
    let mut inputs: Vec<_> = (0..12).flat_map(|day| run(day, 1.0, |_| ())).collect();
    let mut copies = inputs.clone();
    copies.iter_mut().for_each(|input| input.source.file = format!("copy/{}", input.source.file));
    inputs.append(&mut copies);
    let trends = without_aa(inputs);
    let [warning] = trends.warnings.as_slice() else { panic!("{:?}", trends.warnings) };
    let told =
        "12 runs are in several files, and each counts once: night-0 (in 0/trials.jsonl and in copy/0/";
    assert!(warning.starts_with(told) && warning.ends_with(" and 2 more"), "{warning}");
    // Of a run with many copies, too.
    let copy = |number: u32| {
        let mut inputs = run(0, 1.0, |_| ());
        inputs.iter_mut().for_each(|input| input.source.file = format!("{number}.jsonl"));
        inputs
    };
    let trends = without_aa((0..12).flat_map(copy).collect());
    let [warning] = trends.warnings.as_slice() else { panic!("{:?}", trends.warnings) };
    let (start, end) = ("the run night-0 is in 0.jsonl, 1.jsonl, ", " and 2 more, and counts once");
    assert!(warning.starts_with(start) && warning.ends_with(end), "{warning}");
}

#[test]
fn of_two_copies_of_a_run_that_with_more_trials_counts() {
    // The copy was made while the run went on; its file comes before that of the run, or after it.
    for file in ["0/copy.jsonl", "copy/trials.jsonl"] {
        let mut copy = run(3, 1.0, |_| ());
        copy.truncate(3);
        copy.iter_mut().for_each(|input| input.source.file = file.into());
        let trends = without_aa([run(3, 1.0, |_| ()), copy].concat());
        let [cell] = trends.cells.as_slice() else { panic!("{:?}", trends.cells) };
        let runs: Vec<_> = cell.runs.iter().map(|run| (run.file.as_str(), run.trials)).collect();
        assert_eq!((runs, trends.runs), (vec![("3/trials.jsonl", 6)], 1), "{file}");
        assert!(trends.warnings[0].ends_with("and counts once"), "{:?}", trends.warnings);
    }
}

#[test]
fn runs_before_a_date_are_left_out_and_the_order_of_files_does_not_matter() {
    let newest = since(Some("2026-03-01T00:00:00.000000+00:00"), step(1.1));
    assert_eq!(newest.cells[0].runs.len(), 6, "{:?}", newest.cells[0].runs);
    let backwards = without_aa(step(1.1).into_iter().rev().collect());
    assert_eq!(backwards.cells[0].changes, without_aa(step(1.1)).cells[0].changes);
    assert!(without_aa(Vec::new()).cells.is_empty());
}

#[test]
fn a_run_that_failed_before_it_began_is_of_the_cell_of_its_graph() {
    let of = |day: u32, form: Option<Form>| {
        run(day, 1.0, |example| match form {
            Some(form) => example.result.graph = graph(form),
            None => {
                let failed = TrialResult::failed(error("open", Fault::Crashed, "planted"));
                example.result = TrialResult { started: example.result.started, ..failed };
            }
        })
    };
    for form in [Form::Graph, Form::Stages] {
        let trends = without_aa([of(0, Some(form)), of(1, None), of(2, Some(form))].concat());
        let [cell] = trends.cells.as_slice() else { panic!("{:?}", trends.cells) };
        let runs: Vec<_> = cell.runs.iter().map(|run| (run.run.as_str(), run.successes)).collect();
        assert_eq!(runs, [("night-0", 6), ("night-1", 0), ("night-2", 6)]);
        assert_eq!(cell.form, Some(form));
    }
}
