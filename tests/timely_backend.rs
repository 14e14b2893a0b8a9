//! The timely backend: right answers in every shape, failures as failures, and memory that does not grow with the run.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::{Place, Ran, build_outside, plugin};

/// A place with the timely backend, the native one and the standard workloads.
fn place() -> Place {
    let place = Place::new();
    place.stage(&plugin("timely_runner"));
    place
}

/// With the workloads of the contract's own tests in place of the standard ones.
fn place_with_samples() -> Place {
    static SAMPLES: OnceLock<PathBuf> = OnceLock::new();
    let place = place();
    std::fs::remove_file(place.plugins().join("libstandard_workloads.so")).unwrap();
    // The table of its functions is there for unit tests only.
    let source = include_str!("../plugin-api/tests/samples/mod.rs");
    let source = source.replace("__crossrun_workloads::table()", "unreachable!()");
    place.stage(SAMPLES.get_or_init(|| build_outside("timely_samples", &source)));
    place
}

/// `run` with `words`, where `key=value` is an extra. Does not wait for other measurements: nothing is measured.
fn run_command(place: &Place, backend: &str, words: &str) -> Command {
    let mut arguments = vec!["run", "--json", "--no-lock", "--backend", backend];
    for word in words.split(' ') {
        arguments.extend(word.contains('=').then_some("--extra"));
        arguments.push(word);
    }
    place.command(&arguments)
}

/// Runs on timely, and demands a verified answer.
fn verified(place: &Place, words: &str) -> Value {
    let ran = Ran::of(run_command(place, "timely", words)).code(0);
    let record = ran.json();
    assert_eq!(record["metadata"]["verified"], true, "{}", ran.explain());
    record
}

const WORKLOADS: [&str; 5] =
    ["null", "pipeline", "imbalance", "word_count", "scheduler_comparison sleep_us=100"];
const ITEMS: [u32; 4] = [0, 1, 7, 1000];
const BATCH_SIZE: [u32; 2] = [1, 64];
const PARALLELISM: [u32; 2] = [1, 2];
const FUSION: [&str; 2] = ["auto", "off"];

/// Every workload at every size, and every pair of any two settings, by their places in the lists above.
fn shapes() -> impl Iterator<Item = [usize; 5]> {
    (0..WORKLOADS.len()).flat_map(|workload| {
        (0..ITEMS.len()).map(move |items| {
            let (low, high) = (items & 1, items >> 1);
            [workload, items, low ^ workload & 1, high ^ workload & 1, low ^ high ^ workload >> 1 & 1]
        })
    })
}

#[test]
fn the_shapes_cover_every_pair() {
    let sizes = [WORKLOADS.len(), ITEMS.len(), BATCH_SIZE.len(), PARALLELISM.len(), FUSION.len()];
    for one in 0..sizes.len() {
        for two in one + 1..sizes.len() {
            for (a, b) in (0..sizes[one]).flat_map(|a| (0..sizes[two]).map(move |b| (a, b))) {
                let covered = shapes().any(|shape| shape[one] == a && shape[two] == b);
                assert!(covered, "no shape has {a} at {one} and {b} at {two}");
            }
        }
    }
}

#[test]
fn every_workload_comes_to_what_it_comes_to_on_native() {
    let place = place();
    for [workload, items, batch_size, parallelism, fusion] in shapes() {
        let words = format!(
            "--workload {} --items {} --parallelism {} batch_size={} fusion={}",
            WORKLOADS[workload],
            ITEMS[items],
            PARALLELISM[parallelism],
            BATCH_SIZE[batch_size],
            FUSION[fusion]
        );
        let native = Ran::of(run_command(&place, "native", &words)).code(0).json();
        let record = verified(&place, &words);
        for key in ["checksum", "results_count"] {
            assert_eq!(record["metadata"][key], native["metadata"][key], "{words}");
        }
        assert_eq!(record["metadata"]["raw_metrics"]["nodes"], 1);
    }
}

#[test]
fn a_chain_is_one_operator_with_fusion_and_one_a_stage_without() {
    let place = place();
    for (fusion, operators) in [("auto", 2), ("off", 6)] {
        let record = verified(&place, &format!("--workload pipeline --items 100 fusion={fusion}"));
        let metrics = &record["metadata"]["raw_metrics"];
        assert_eq!(metrics["operators"].as_array().unwrap().len(), operators, "{metrics}");
    }
}

#[test]
fn two_reductions_in_a_row_are_right() {
    let place = place_with_samples();
    for fusion in FUSION {
        let words = "--workload count_of_counts --items 500 --parallelism 3 batch_size=9";
        verified(&place, &format!("{words} fusion={fusion}"));
    }
}

#[test]
fn what_fails_in_an_operator_fails_the_run_with_its_reason() {
    let place = place_with_samples();
    let faults = [
        ("map_fails", "the map said no"),
        ("map_panics", "the map gave up"),
        ("fold_panics", "the fold gave up"),
    ];
    for (fault, reason) in faults {
        for fusion in FUSION {
            let words =
                format!("--workload faulty --items 2000 --parallelism 3 fault={fault} fusion={fusion}");
            let record = Ran::of(run_command(&place, "timely", &words)).code(4).says(reason).json();
            assert_eq!(record["success_rate"], 0.0);
            assert_eq!(record["metadata"]["error"]["kind"], "workload", "{record}");
        }
    }
}

#[test]
fn memory_does_not_grow_with_the_run() {
    let place = place();
    let peak = |items: u32| {
        let words = format!("--workload word_count --items {items} --parallelism 2 batch_size=1000");
        verified(&place, &words)["metadata"]["resources"]["peak_memory_bytes"].as_f64().unwrap()
    };
    let (short, long) = (peak(50_000), peak(500_000));
    // The items that the longer run has more are some 6 MB in batches.
    assert!(long < short + 4e6, "{short} bytes, then {long}");
}
