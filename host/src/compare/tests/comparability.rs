//! Which rows are comparable, and on what the user can insist.

use super::*;
use crate::compare::history::{ChangeVerdict, history};
use crate::record::UnifiedRecord;

/// Seven blocks of `a` and `b`, with `b` changed.
fn with_other_b(change: fn(&mut Example)) -> Vec<Input> {
    recorded(changed(pair(7), "b", change))
}

/// The row of `b` without and with insisting.
fn insisted(inputs: &[Input]) -> [Row; 2] {
    [false, true].map(|insist| {
        let comparison = compare(inputs, &Options { insist, ..Options::default() }).unwrap();
        row(&comparison, "b").clone()
    })
}

/// That `b` is not compared for this reason alone, or only if the user insists.
#[track_caller]
fn check_refused(inputs: &[Input], reason: &Incomparable, unless_insisted: bool) {
    let [refused, insisted] = insisted(inputs);
    assert_eq!((refused.ratio, refused.no_ratio), (None, Some(NoRatio::Incomparable)));
    assert_eq!(insisted.ratio.is_some(), unless_insisted);
    assert_eq!(insisted.no_ratio, refused.no_ratio.filter(|_| !unless_insisted));
    for row in [refused, insisted] {
        assert_eq!(row.incomparable.as_slice(), std::slice::from_ref(reason));
    }
}

#[test]
fn another_machine_is_shown_and_never_gets_a_ratio() {
    let inputs = with_other_b(|example| example.system_profile.hostname = Some("other".into()));
    check_refused(&inputs, &Incomparable::Machine { keys: vec!["hostname".into()] }, false);
    for row in insisted(&inputs) {
        assert!(row.duration.is_some() && row.machine == Some(1));
    }
    let comparison = compare(&inputs, &Options::default()).unwrap();
    assert_eq!(comparison.machines.len(), 2);
    assert!(warns(&comparison, WarningKind::Machines).message.contains("2 machines"));
}

#[test]
fn an_earlier_record_makes_no_two_machines_one() {
    let three = changed(blocks("pipeline", 7, &[("old", 1.0), ("a", 1.0), ("b", 2.0)]), "a", |example| {
        mitigate(example, Some("on"));
    });
    let mut inputs = recorded(changed(three, "b", |example| mitigate(example, Some("off"))));
    for _ in 0..3 {
        // Each of the three comes first once.
        inputs.rotate_left(1);
        let options = Options { baseline: Some("a".into()), ..Options::default() };
        let comparison = compare(&inputs, &options).unwrap();
        assert_eq!(comparison.machines.len(), 3);
        for backend in ["old", "b"] {
            let keys = vec!["mitigations".into()];
            assert_eq!(row(&comparison, backend).incomparable, [Incomparable::Machine { keys }]);
        }
    }
    // Without the third it is known which machine the earlier record is of.
    inputs.retain(|input| input.record.backend != "b");
    let comparison = compare(&inputs, &Options::default()).unwrap();
    assert_eq!((comparison.machines.len(), row(&comparison, "old").incomparable.len()), (1, 0));
}

#[test]
fn a_debug_build_is_compared_with_a_release_build_only_if_the_user_insists() {
    let inputs = with_other_b(|example| example.plugin = Some(library("b", false)));
    check_refused(&inputs, &Incomparable::DebugBesideRelease { this_is_debug: true }, true);
    let comparison = compare(&inputs, &Options::default()).unwrap();
    assert!(warns(&comparison, WarningKind::DebugBuild).message.contains("(b)"));
}

#[test]
fn two_debug_builds_are_compared_and_flagged() {
    let debug = changed(pair(7), "", |example| {
        example.plugin = Some(library(&example.trial.backend.name, false));
    });
    let comparison = standard(debug);
    assert!(row(&comparison, "b").ratio.is_some() && row(&comparison, "b").incomparable.is_empty());
    assert!(warns(&comparison, WarningKind::DebugBuild).message.contains("(a, b)"));
}

#[test]
fn a_graph_in_stages_is_marked_and_compared_with_one_by_its_tasks_only_if_the_user_insists() {
    let graphs = |a: Form, b: Form| {
        let both = blocks("task_graph", 7, &[("a", 1.0), ("b", 2.0)]);
        let both = changed(both, "a", |it| it.result.graph = graph(a));
        recorded(changed(both, "b", |it| it.result.graph = graph(b)))
    };
    let inputs = graphs(Form::Graph, Form::Stages);
    check_refused(&inputs, &Incomparable::GraphForm, true);
    assert_eq!(insisted(&inputs)[0].label, "b (stages)");
    let comparison = compare(&graphs(Form::Stages, Form::Graph), &Options::default()).unwrap();
    assert!(warns(&comparison, WarningKind::GraphForms).message.contains("form=stages"));
    assert_eq!(row(&comparison, "a").label, "a (stages)");
    for form in [Form::Stages, Form::Graph] {
        let comparison = compare(&graphs(form, form), &Options::default()).unwrap();
        assert!(row(&comparison, "b").ratio.is_some());
        assert_eq!((&*row(&comparison, "b").label, row(&comparison, "b").form), ("b", Some(form)));
    }
}

#[test]
fn a_row_that_ran_a_graph_in_both_forms_is_compared_only_if_the_user_insists() {
    let both = blocks("task_graph", 7, &[("a", 1.0), ("b", 2.0)]);
    let both = changed(both, "", |it| it.result.graph = graph(Form::Stages));
    for other in ["a", "b"] {
        // The first block has the form of the other row.
        let later = |it: &mut Example| it.result.graph = graph(Form::Graph);
        let inputs = recorded(changed_in(both.clone(), other, 1.., later));
        check_refused(&inputs, &Incomparable::GraphForm, true);
    }
}

#[test]
fn two_recorded_runs_of_a_graph_in_different_forms_are_different_cells() {
    let run = |of_a: Option<Form>, of_b: Option<Form>| {
        let both = blocks("task_graph", 7, &[("a", 1.0), ("b", 2.0)]);
        let both = changed(both, "a", |it| it.result.graph = of_a.and_then(graph));
        // Without a form, the trials failed before they began.
        recorded(changed(both, "b", |it| match of_b {
            Some(form) => it.result.graph = graph(form),
            None => it.result = TrialResult::failed(error("open", Fault::Crashed, "planted")),
        }))
    };
    let between = |old: &[Input], new: &[Input]| {
        let history = history(old, new, 0.5, |_| AaFactors::default()).unwrap();
        let calls: Vec<_> =
            history.changes.iter().map(|it| (it.cell.backend.clone(), it.call, it.ratio.is_some())).collect();
        (calls, history.other_form.len(), crate::report::history(&history))
    };
    let (graph, stages) = (Some(Form::Graph), Some(Form::Stages));
    let unchanged = |backend: &str| (backend.to_owned(), ChangeVerdict::Unchanged, true);
    let (calls, other_form, text) = between(&run(graph, stages), &run(graph, graph));
    assert_eq!((calls, other_form), (vec![unchanged("a")], 1));
    let line =
        "not compared, as the graph ran in stages in one run and by its dependencies in the other: b at ";
    assert!(text.contains(line) && !text.contains("only in"), "{text}");
    let (calls, other_form, _) = between(&run(graph, stages), &run(graph, stages));
    assert_eq!((calls, other_form), (vec![unchanged("a"), unchanged("b")], 0));
    // Who fails early has failed, whatever the form was.
    let (calls, other_form, _) = between(&run(graph, stages), &run(graph, None));
    assert_eq!(
        (calls, other_form),
        (vec![unchanged("a"), ("b".to_owned(), ChangeVerdict::NowFails, false)], 0)
    );
    let nothing =
        history(&run(graph, stages), &run(stages, graph), 0.5, |_| AaFactors::default()).unwrap_err();
    assert!(
        nothing.to_string().starts_with("nothing can be compared, as the graph ran in stages"),
        "{nothing}"
    );
}

#[test]
fn work_from_another_library_is_compared_only_if_the_user_insists() {
    let inputs = with_other_b(|example| example.workload_library = Some(library("other", true)));
    check_refused(&inputs, &Incomparable::WorkloadLibrary, true);
    warns(&compare(&inputs, &Options::default()).unwrap(), WarningKind::WorkloadLibraries);
}

#[test]
fn rows_of_a_rebuilt_workload_library_are_compared_with_the_baseline_of_their_own_run() {
    let rebuilt = changed(pair(7), "", |example| {
        example.workload_library = Some(library("rebuilt", true));
        example.trial.cell.run_id = example.trial.cell.run_id.replace("night", "next");
    });
    let comparison = standard(pair(7).into_iter().chain(rebuilt));
    let of_b: Vec<_> = comparison.points[0].rows.iter().filter(|row| row.backend == "b").collect();
    assert!(of_b.len() == 2 && of_b.iter().all(|row| row.ratio.is_some_and(|it| it.blocks == 7)));
}

#[test]
fn rows_of_rebuilt_plugins_are_compared_with_the_baseline_of_their_own_run() {
    let rebuilt = changed(pair(7), "", |example| {
        example.plugin =
            Some(library(if example.trial.backend.name == "a" { "newer-a" } else { "newer-b" }, true));
        example.trial.cell.run_id = example.trial.cell.run_id.replace("night", "next");
    });
    let comparison = standard(pair(7).into_iter().chain(rebuilt));
    let rows = &comparison.points[0].rows;
    assert_eq!(rows.iter().filter(|row| row.is_baseline).count(), 2);
    let of_b: Vec<_> = rows.iter().filter(|row| row.backend == "b").collect();
    assert!(of_b.len() == 2 && of_b.iter().all(|row| row.ratio.is_some_and(|it| it.blocks == 7)));
    assert_ne!(of_b[0].compared_with, of_b[1].compared_with);
}

#[test]
fn another_seed_is_another_configuration() {
    let inputs = with_other_b(|example| example.trial.cell.spec.seed = 43);
    check_refused(&inputs, &Incomparable::Configuration { keys: vec!["seed".into()] }, false);
    warns(&compare(&inputs, &Options::default()).unwrap(), WarningKind::Configuration);
}

#[test]
fn another_number_of_cores_is_another_configuration() {
    let mut inputs = recorded(pair(7));
    for input in inputs.iter_mut().filter(|input| input.record.backend == "b") {
        input.record.metadata.cores = Some(vec![0, 1]);
    }
    check_refused(&inputs, &Incomparable::Configuration { keys: vec!["cores".into()] }, false);
}

#[test]
fn a_hash_that_is_not_that_of_the_configuration_is_refused_and_flagged() {
    let mut inputs = recorded(pair(7));
    for input in inputs.iter_mut().filter(|input| input.record.backend == "b") {
        input.record.config_hash = Some("f00d".into());
    }
    let comparison = compare(&inputs, &Options::default()).unwrap();
    assert_eq!(row(&comparison, "b").incomparable, [Incomparable::Configuration { keys: Vec::new() }]);
    assert_eq!(warns(&comparison, WarningKind::Configuration).points, [comparison.points[0].id.clone()]);
}

const ORIGINAL: &str = include_str!("../../../../tests/fixtures/original/unified_results.jsonl");

/// The original project's record under another backend's name, with its own hash of the configuration.
fn originals(change: fn(&mut UnifiedRecord)) -> Vec<Input> {
    let theirs: UnifiedRecord = serde_json::from_str(ORIGINAL).unwrap();
    let mut other = theirs.clone();
    other.backend = "other".into();
    other.config_hash = Some("theirs holds the backend's name".into());
    other.duration_seconds = theirs.duration_seconds.map(|seconds| seconds / 2.0);
    change(&mut other);
    let source = |line| Source { file: "unified_results.jsonl".into(), line };
    vec![Input::measured(source(1), theirs), Input::measured(source(2), other)]
}

#[test]
fn records_of_the_original_project_are_compared_by_what_must_be_equal() {
    let comparison = compare(&originals(|_| ()), &Options::default()).unwrap();
    assert_eq!(comparison.points[0].id, "scheduler_comparison/parallelism=4/scheduler=default");
    let ratio = ratio(&comparison, "other");
    assert!((ratio.estimate - 2.0).abs() < 1e-12);
    assert_eq!((ratio.interval, ratio.no_interval), (None, Some(NoInterval::Unpaired)));
    let row = row(&comparison, "other");
    assert_eq!((row.counts.unverified, row.input_rate, row.incomparable.len()), (1, None, 0));
    assert!(row.output_rate.is_some());
    assert!(warns(&comparison, WarningKind::Unverified).message.contains("2 trials"));
}

#[test]
fn records_of_the_original_project_that_differ_are_refused() {
    let keys = |change: fn(&mut UnifiedRecord)| {
        let comparison = compare(&originals(change), &Options::default()).unwrap();
        let other = row(&comparison, "other");
        assert_eq!(other.no_ratio, Some(NoRatio::Incomparable));
        other.incomparable.clone()
    };
    let configuration = |key: &str| vec![Incomparable::Configuration { keys: vec![key.into()] }];
    assert_eq!(keys(|record| record.seed = 1), configuration("seed"));
    assert_eq!(keys(|record| record.metadata.results_count = Some(99)), configuration("results_count"));
    let machine = |keys: &[&str]| {
        vec![Incomparable::Machine { keys: keys.iter().map(|key| (*key).to_owned()).collect() }]
    };
    assert_eq!(keys(|record| record.metadata.system_profile = None), machine(&["system_profile"]));
    let changed = |record: &mut UnifiedRecord| {
        record.metadata.system_profile.as_mut().unwrap().memory_gb = Some(64.0);
    };
    assert_eq!(keys(changed), machine(&["memory_gb"]));
    // Another scheduler is another point.
    let comparison = compare(
        &originals(|record| record.metadata.scheduler_name = Some("fifo".into())),
        &Options::default(),
    );
    assert_eq!(comparison.unwrap().points.len(), 2);
}

#[test]
fn a_point_that_was_only_warmed_up_is_not_missing() {
    let old = [pair(7), blocks("null", 7, &[("a", 1.0), ("b", 2.0)])].concat();
    let mut new = pair(7);
    new.push(example("a", "null", 0, 1.0).with(|it| it.trial.purpose = Purpose::WarmUp(0)));
    let found = history(&recorded(old), &recorded(new), 0.05, |_| AaFactors::default()).unwrap();
    assert!(found.changes.iter().all(|change| !change.fails), "{:?}", found.changes);
    assert_eq!((found.changes.len(), found.only_old.len()), (2, 2));
}
