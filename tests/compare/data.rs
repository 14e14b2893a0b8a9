//! The data of a comparison: each block has its own, which its backends share, also where it is resumed.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;

use super::measured;
use crate::support::{Place, plugin};

#[test]
fn blocks_have_their_own_data_and_backends_of_a_point_share_them() {
    let place = Place::with_misbehaving();
    place.stage(&plugin("native_runner"));
    let run = "compare --backends native,misbehaving --workloads pipeline --items 50 --blocks 2 --run-id r";
    place.run(run).code(0);
    let seeds = |block: u32, backend: &str| {
        let trials = measured(&place, "r");
        let trial = trials.into_iter().find(|trial| {
            trial["record"]["metadata"]["block"] == block && trial["record"]["backend"] == backend
        });
        trial.unwrap()["record"]["metadata"]["data_seed"].as_u64().unwrap()
    };
    assert_eq!(seeds(0, "native"), seeds(0, "misbehaving"));
    assert_ne!(seeds(0, "native"), seeds(1, "native"));
    // The records of one point are of one configuration, whatever the block and the backend.
    let hashes: HashSet<_> =
        measured(&place, "r").iter().map(|trial| trial["record"]["config_hash"].to_string()).collect();
    assert_eq!(hashes.len(), 1);
}

/// The block, point and kind of a trial, and the seed of its data.
fn data_seed(trial: &Value) -> (String, u64) {
    let (record, metadata) = (&trial["record"], &trial["record"]["metadata"]);
    let point = record["run_id"].as_str().unwrap().split_once('/').unwrap().1;
    (format!("{} {point} {}", metadata["block"], trial["kind"]), metadata["data_seed"].as_u64().unwrap())
}

const SCHEDULERS: &str = "compare --backends misbehaving --workloads null,pipeline --schedulers default,fifo --items 20 \
                          --blocks 2 --extra behaviour=memoise";

#[test]
fn a_backend_that_remembers_answers_sees_no_data_twice() {
    let place = Place::with_misbehaving();
    // On a busy machine a trial may be invalid.
    let ran = place.run(&format!("{SCHEDULERS} --run-id r --parallelism 1,2"));
    let trials = place.records("r", "trials.jsonl");
    assert!(trials.len() >= 16, "{}", ran.explain());
    for trial in &trials {
        assert_eq!(trial["record"]["metadata"]["raw_metrics"]["remembered"], false, "{trial}");
        // The seed by which cells of two runs pair is the one that was configured.
        assert_eq!(trial["record"]["seed"], 42);
    }
    let seeds: HashSet<_> = trials.iter().map(|trial| data_seed(trial).1).collect();
    assert_eq!(seeds.len(), trials.len(), "one backend sees all data once");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn two_comparisons_have_different_data_unless_it_is_chosen() {
    let place = Place::with_misbehaving();
    let seeds = |run: &str, more: &str| {
        let ran = place.run(&format!("{SCHEDULERS} --run-id {run} {more}"));
        let chosen = more.contains("--data-seed");
        assert_eq!(
            ran.stdout().contains("the data were chosen with --data-seed"),
            chosen,
            "{}",
            ran.explain()
        );
        for trial in place.records(run, "trials.jsonl") {
            let recorded = trial["record"]["metadata"].get("data_seed_chosen");
            assert_eq!(recorded, chosen.then_some(&Value::from(true)));
        }
        let verified = |trial: &&Value| trial["status"] == "verified";
        measured(&place, run).iter().filter(verified).map(data_seed).collect::<BTreeMap<_, _>>()
    };
    let same = |one: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>| {
        let both: Vec<_> = one.iter().filter_map(|(what, seed)| Some(*seed == *other.get(what)?)).collect();
        assert!(both.len() >= 4, "{one:?} {other:?}");
        let same = both.iter().filter(|same| **same).count();
        assert!(same == 0 || same == both.len(), "{one:?} {other:?}");
        same > 0
    };
    let (one, other) = (seeds("one", ""), seeds("other", ""));
    assert!(!same(&one, &other));
    let again = seeds("again", "--data-seed 7");
    assert!(same(&again, &seeds("once_more", "--data-seed 7")));
    assert!(!same(&again, &seeds("another", "--data-seed 8")));
    assert_eq!(again.values().collect::<HashSet<_>>().len(), again.len());
    let plan = std::fs::read_to_string(place.path().join("results/one/plan.json")).unwrap();
    assert!(one.values().all(|seed| !plan.contains(&seed.to_string())), "{plan}");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_resumed_block_has_the_data_of_its_records() {
    let place = Place::with_misbehaving();
    place.stage(&plugin("native_runner"));
    place.run(&format!("{SCHEDULERS} --backends native --run-id r --insist"));
    let path = place.path().join("results/r/trials.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    // As if it had been killed in the first session of a block, and in a later one.
    for length in [lines.len() / 2 - 2, lines.len() / 2 + 3] {
        std::fs::write(&path, lines[..length].join("\n") + "\n").unwrap();
        std::fs::remove_file(path.with_file_name("unified_results.jsonl")).unwrap();
        place.crossrun(&["compare", "--resume", "r"]);
        let seeds = |backend: &str| {
            let mut seeds = BTreeMap::<_, BTreeSet<u64>>::new();
            let all = place.records("r", "trials.jsonl");
            for (what, seed) in
                all.iter().filter(|trial| trial["record"]["backend"] == backend).map(data_seed)
            {
                seeds.entry(what).or_default().insert(seed);
            }
            seeds
        };
        let (one, other) = (seeds("native"), seeds("misbehaving"));
        assert!(one.len() >= 8, "{one:#?}");
        for (what, one) in one {
            // One of them may need more warm-ups.
            let Some(other) = other.get(&what) else { continue };
            assert!(one.is_subset(other) || other.is_subset(&one), "{what}: {one:?} {other:?}");
        }
    }
}
