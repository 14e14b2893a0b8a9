//! A verified answer is not enough: a run must have taken the time and the processor time that its work takes.

use serde_json::Value;

use crate::session::unspoilt;
use crate::support::{Place, Ran, arguments_in, assert_once_at_most, hostile, run_arguments};

/// Half a second of work or more.
const WORK: &str = "--workload pipeline --items 2000 iters=60000";

fn misbehave(behaviour: &str, work: &str) -> Ran {
    let run = format!("--backend misbehaving behaviour={behaviour} {work}");
    Place::with_misbehaving().crossrun(&run_arguments(&run))
}

#[test]
fn the_right_answer_without_the_work_is_invalid_for_its_duration() {
    let ran = misbehave("shortcut", WORK).code(6).says("by the serial reference").says("the run took");
    let metadata = &ran.json()["metadata"];
    assert_eq!(metadata["results_count"], metadata["expected_count"], "{}", ran.explain());
    assert_eq!(metadata["checksum"], metadata["expected_checksum"], "{}", ran.explain());
    assert_eq!(metadata["reference"]["bounds"], "checked", "{}", ran.explain());
    assert!(metadata["efficiency"].is_null(), "{}", ran.explain());
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_clock_that_is_slow_in_the_whole_process_is_invalid() {
    misbehave("slow_clock", "--workload null --items 10").code(6).says("the worker's clock shows");
}

#[test]
fn work_after_a_run_is_measured_and_leads_to_a_warning() {
    let place = Place::with_misbehaving();
    place.stage(&hostile("misbehaving_workloads"));
    let compare = "compare --backends misbehaving --workloads patient --items 10 --blocks 1 --run-id after";
    for (behaviour, works) in [("work_afterwards", true), ("none", false)] {
        let _ = std::fs::remove_dir_all(place.path().join("results"));
        let mut command = place.command(&arguments_in(&format!("{compare} --extra behaviour={behaviour}")));
        command.env("CROSSRUN_TEST_AFTERWARDS", place.path());
        let ran = Ran::of(command);
        // Work after a run can delay the reply so much, on a busy machine, that the run is invalid by the host's clock.
        if !works {
            ran.code(0);
        }
        let trials = place.records("after", "trials.jsonl");
        assert!(trials.len() >= 6, "{trials:?}");
        // The fewest warm-ups: the judge opens the workload for each of them only when its run is over.
        for (number, trial) in trials[..5].iter().enumerate() {
            let metadata = &trial["record"]["metadata"];
            let between = metadata["resources"]["cpu_seconds_between_runs"].as_f64();
            let warned = metadata["warnings"].to_string().contains("between runs, when it had nothing to do");
            // Nothing comes before the first run.
            assert_eq!((between.is_some(), warned), (number > 0, works && number > 0), "{trial}");
            assert!(!works || between.is_none_or(|seconds| seconds > 0.4), "{trial}");
        }
    }
}

#[test]
fn a_workload_that_is_opened_in_the_time_of_the_run_leads_to_a_warning() {
    // Making the table of `memory` takes far more than a hundredth of ten items.
    for (behaviour, is_told) in [("opened_late", true), ("none", false)] {
        let record = misbehave(behaviour, "--workload memory --items 10").code(0).json();
        let warnings = record["metadata"]["warnings"].to_string();
        assert_eq!(warnings.contains("opened 1 time in the time of the run"), is_told, "{record}");
    }
}

#[test]
fn work_on_several_machines_is_not_checked_and_the_record_says_so() {
    let ran = misbehave("shortcut", &format!("{WORK} --nodes 2")).code(0);
    let record = ran.says("not checked against the serial reference").json();
    assert_eq!(record["metadata"]["reference"]["bounds"], "not checked", "{record}");
    // Nobody knows how many cores worked.
    for figure in ["efficiency", "overhead_seconds_per_item", "efficiency_cores"] {
        assert!(record["metadata"][figure].is_null(), "{record}");
    }
}

/// The metadata of an honest run, which is verified.
fn honest(place: &Place, work: &str) -> Value {
    let run = format!("--backend native {work}");
    unspoilt(|| place.crossrun(&run_arguments(&run))).code(0).json()["metadata"].clone()
}

#[test]
fn an_honest_run_is_verified_and_has_its_efficiency() {
    let place = Place::new();
    for work in [
        "--workload pipeline --items 2000 iters=20000",
        "--workload imbalance --items 500 iters=20000",
        "--workload word_count --items 20000 batch_size=500",
        "--workload null --items 20000 batch_size=500",
    ] {
        for parallelism in [1, 3] {
            let metadata = honest(&place, &format!("{work} --parallelism {parallelism}"));
            let number = |key: &str| metadata[key].as_f64().unwrap_or(f64::NAN);
            assert!(number("reference_cpu_seconds") > 0.0, "{metadata}");
            assert!(number("efficiency") > 0.0, "{metadata}");
            assert!(number("overhead_seconds_per_item").is_finite(), "{metadata}");
            assert_eq!(metadata["resources"]["cpu_source"], "process_clocks", "{metadata}");
        }
    }
}

#[test]
fn the_reference_of_short_items_is_not_that_of_reading_the_clock() {
    let metadata = honest(&Place::new(), "--workload null --items 3000000 batch_size=10000");
    let of_sample = |key: &str| metadata["reference"][key].as_f64().unwrap();
    let of_item = metadata["reference_cpu_seconds"].as_f64().unwrap() / 3e6;
    let of_slice = of_item * of_sample("items") / of_sample("slices");
    // A slice takes half a millisecond, of which a half at least is of this time, and less on a core that is faster than when the slices
    // were made. Reading the clock takes half a microsecond.
    assert!(of_slice > 1e-4, "the clock is read every {of_slice} s: {metadata}");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn the_reference_of_short_tasks_is_the_same_in_narrow_rows() {
    let place = Place::new();
    let of_task = |width: u32| {
        let shape = format!("width={width} pattern=no_comm kernel=empty");
        let metadata = honest(&place, &format!("--workload task_graph --items 1000000 {shape}"));
        metadata["reference_cpu_seconds"].as_f64().unwrap() / 1e6
    };
    let what = "times as long a task in rows of two as in rows of 64";
    assert_once_at_most(2.5, what, || of_task(2) / of_task(64));
}

#[test]
fn the_reference_of_windows_is_a_sample_that_closes_them() {
    let place = Place::new();
    for (query, more) in [("nexmark_q5", "slide_ms=10000"), ("nexmark_q11", "gap_ms=10000")] {
        // With the whole input the second reduction of q5 would be part of a reference.
        let work = format!("--workload {query} --items 200000 {more} batch_size=5000");
        let metadata = honest(&place, &work);
        let items = metadata["reference"]["items"].as_u64().unwrap();
        assert!(items > 0 && items < 200_000, "{metadata}");
        let number = |key: &str| metadata[key].as_f64().unwrap_or(f64::NAN);
        let least = metadata["reference"]["least_cpu_seconds"].as_f64().unwrap();
        assert!(number("efficiency") > 0.0 && least <= number("reference_cpu_seconds"), "{metadata}");
    }
}

#[test]
fn the_reference_of_items_of_very_different_length_bounds_most_of_the_work() {
    let work = "--workload imbalance --items 6000 batch_size=20 iters=10000 distribution=bimodal";
    let metadata = honest(&Place::new(), work);
    let of_reference = metadata["reference"]["least_cpu_seconds"].as_f64().unwrap();
    let reference = metadata["reference_cpu_seconds"].as_f64().unwrap();
    assert!(of_reference > 0.6 * reference, "{metadata}");
}

#[test]
fn the_work_of_a_few_long_items_or_tasks_is_bounded() {
    let place = Place::new();
    for work in [
        "--workload pipeline --items 2 iters=5000000",
        "--workload task_graph --items 64 width=64 iters=200000",
        "--workload task_graph --items 128 width=64 iters=200000",
        "--workload task_graph --items 5 width=1 iters=200000",
    ] {
        let metadata = honest(&place, work);
        let least = metadata["reference"]["least_cpu_seconds"].as_f64().unwrap();
        assert!(least > 0.5 * metadata["reference_cpu_seconds"].as_f64().unwrap(), "{metadata}");
    }
}

#[test]
fn work_that_waits_and_an_open_loop_have_no_reference() {
    let place = Place::new();
    for work in [
        "--workload scheduler_comparison --items 4",
        // All items are due at once, so that the source is not late by itself.
        "--workload open_loop --items 400 --parallelism 1 rate=1000000 iters=100000",
    ] {
        let metadata = honest(&place, work);
        for figure in ["reference_cpu_seconds", "reference", "efficiency"] {
            assert!(metadata[figure].is_null(), "{work}: {metadata}");
        }
    }
}

#[test]
fn a_comparison_on_a_number_of_cores_repeats_itself_on_as_many() {
    let place = Place::new();
    let compare = "compare --backends native --workloads pipeline --items 500 --quick --cores 1 --run-id one";
    place.run(compare).code(0);
    let folder = place.path().join("results/one");
    let trials = std::fs::read_to_string(folder.join("trials.jsonl")).unwrap();
    for line in trials.lines() {
        let trial: Value = serde_json::from_str(line).unwrap();
        let metadata = &trial["record"]["metadata"];
        assert_eq!(metadata["cores"].as_array().unwrap().len(), 1, "{trial}");
        assert_eq!(metadata["efficiency_cores"], 1, "{trial}");
        assert!(metadata["command"].as_str().unwrap().contains("--cores 1"), "{trial}");
        assert!(metadata["reference_cpu_seconds"].as_f64().is_some(), "{trial}");
    }
    let report: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("report.json")).unwrap()).unwrap();
    let row = &report["points"][0]["rows"][0];
    assert!(row["efficiency"]["efficiency"]["median"].as_f64().is_some(), "{row}");
    assert!(row["resources"]["cores_used"]["median"].as_f64().is_some(), "{row}");
    assert!(std::fs::read_to_string(folder.join("report.md")).unwrap().contains("overhead/item"));
    place.crossrun(&["compare", "--resume", "one", "--cores", "2"]).code(2).says("--cores");
}
