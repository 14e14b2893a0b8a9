//! The timely backend: right answers in every shape, failures as failures, and memory that does not grow with the run.

use crate::installed_engine::{FUSION, Installed, shapes};

fn timely() -> Installed {
    Installed::new("timely")
}

#[test]
fn every_workload_comes_to_what_it_comes_to_on_native() {
    let timely = timely();
    for (words, own) in shapes() {
        let record = timely.agrees_with_native(&words, &own);
        assert_eq!(record["metadata"]["raw_metrics"]["nodes"], 1);
    }
}

#[test]
fn a_chain_is_one_operator_with_fusion_and_one_a_stage_without() {
    let timely = timely();
    for (fusion, operators) in [("auto", 2), ("off", 6)] {
        let record = timely.verified(&format!("--workload pipeline --items 100 fusion={fusion}"));
        let metrics = &record["metadata"]["raw_metrics"];
        assert_eq!(metrics["operators"].as_array().unwrap().len(), operators, "{metrics}");
    }
}

#[test]
fn two_reductions_in_a_row_are_right() {
    let timely = Installed::with_samples("timely");
    for fusion in FUSION {
        let words = "--workload count_of_counts --items 500 --parallelism 3 batch_size=9";
        timely.verified(&format!("{words} fusion={fusion}"));
    }
}

#[test]
fn what_fails_in_an_operator_fails_the_run_with_its_reason() {
    let timely = Installed::with_samples("timely");
    let faults = [
        ("map_fails", "the map said no"),
        ("map_panics", "the map gave up"),
        ("fold_panics", "the fold gave up"),
    ];
    for (fault, reason) in faults {
        for fusion in FUSION {
            let words =
                format!("--workload faulty --items 2000 --parallelism 3 fault={fault} fusion={fusion}");
            let record = timely.run(&words).code(4).says(reason).json();
            assert_eq!(record["success_rate"], 0.0);
            assert_eq!(record["metadata"]["error"]["kind"], "workload", "{record}");
        }
    }
}

#[test]
fn memory_does_not_grow_with_the_run() {
    let timely = timely();
    let peak = |items: u32| {
        let words = format!("--workload word_count --items {items} --parallelism 2 batch_size=1000");
        timely.verified(&words)["metadata"]["resources"]["peak_memory_bytes"].as_f64().unwrap()
    };
    let (short, long) = (peak(50_000), peak(500_000));
    // The items that the longer run has more are some 6 MB in batches.
    assert!(long < short + 4e6, "{short} bytes, then {long}");
}
