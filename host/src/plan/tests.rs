use std::collections::{BTreeMap, BTreeSet};

use plugin_api::random::mix;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::stats::WarmUp;

fn example() -> Matrix {
    Matrix {
        run: "night".into(),
        backends: ["a", "b", "c"].map(BackendChoice::new).into(),
        workloads: vec![
            WorkloadChoice { name: "null".into(), items: vec![1000], ..WorkloadChoice::default() },
            WorkloadChoice {
                name: "pipeline".into(),
                items: vec![10, 1000],
                extra: Map::from_iter([("iters".to_owned(), json!(250))]),
                ..WorkloadChoice::default()
            },
        ],
        schedulers: vec!["default".into()],
        parallelisms: vec![1, 2],
        nodes: 1,
        options: Map::new(),
        blocks: 7,
        seed: 42,
        data_seed: None,
        warm_up: WarmUp::default(),
        aa: None,
    }
}

fn plan(matrix: &Matrix) -> Plan {
    Plan::new(matrix).unwrap()
}

#[test]
fn too_many_trials_are_refused_before_they_take_memory() {
    let most = Matrix { blocks: u32::MAX, ..example() };
    assert_eq!(Plan::new(&most), Err(PlanError::TooMany(u64::from(u32::MAX) * 3 * 3 * 2)));
    let wide = Matrix { parallelisms: (1..=100_000).collect(), ..example() };
    assert!(matches!(Plan::new(&wide), Err(PlanError::TooMany(_))));
}

#[test]
fn each_combination_of_what_is_varied_is_a_point() {
    let mut matrix = example();
    let variation =
        |key: &str, values: [serde_json::Value; 2]| Variation { key: key.into(), values: values.into() };
    matrix.workloads[1].vary =
        vec![variation("iters", [json!(1), json!(2)]), variation("mode", [json!("a"), json!("b")])];
    let points: Vec<_> = matrix.cells(1).into_iter().map(|cell| cell.point).collect();
    let of = |items: u32, iters: u32, mode: &str| {
        format!("pipeline/items={items}/parallelism=1/scheduler=default/iters={iters}/mode={mode}")
    };
    let ten = [of(10, 1, "a"), of(10, 1, "b"), of(10, 2, "a"), of(10, 2, "b")];
    assert_eq!(points[0], "null/items=1000/parallelism=1/scheduler=default");
    assert_eq!((&points[1..5], points.len()), (&ten[..], 9));
    assert_eq!(plan(&matrix).trials().count(), 7 * 3 * 2 * 9);
    matrix.workloads[1].vary[0].values.push(json!(1));
    assert!(
        matches!(Plan::new(&matrix), Err(PlanError::SamePoint(point)) if point.starts_with("pipeline/items=10/"))
    );
    matrix.workloads[1].vary[0].values.clear();
    assert_eq!(Plan::new(&matrix), Err(PlanError::Empty("values of an option that is varied")));
}

fn matrices() -> impl Strategy<Value = Matrix> {
    let shape = (1..5_usize, 1..4_usize, 1..3_usize, 1..3_usize, 1..4_u32);
    (shape, 1..14_u32, any::<u64>(), any::<bool>()).prop_map(|(shape, blocks, seed, aa)| {
        let (backends, workloads, items, schedulers, parallelisms) = shape;
        let names = |prefix: &'static str, n: usize| (0..n).map(move |at| format!("{prefix}{at}"));
        let workload =
            |name| WorkloadChoice { name, items: (1..=items as u64).collect(), ..WorkloadChoice::default() };
        Matrix {
            backends: names("b", backends).map(BackendChoice::new).collect(),
            workloads: names("w", workloads).map(workload).collect(),
            schedulers: names("s", schedulers).collect(),
            parallelisms: (1..=parallelisms).collect(),
            blocks,
            seed,
            aa: aa.then(|| "b0".into()),
            ..example()
        }
    })
}

/// The backends of a block, in order, each once.
fn order(block: &Block) -> Vec<&str> {
    let mut names: Vec<_> = block.sessions.iter().map(|session| session.backend.name.as_str()).collect();
    names.dedup();
    names
}

#[test]
fn the_first_block_has_the_given_order_and_the_next_has_other_predecessors() {
    let plan = plan(&example());
    assert_eq!(order(&plan.blocks[0]), ["a", "b", "c"]);
    assert_eq!(order(&plan.blocks[1]), ["c", "b", "a"]);
    assert_eq!(order(&plan.blocks[6]), ["a", "b", "c"]);
}

#[test]
fn ids_are_stable_and_readable() {
    let plan = plan(&example());
    let trials: BTreeSet<_> = plan.trials().map(|trial| trial.to_string()).collect();
    assert!(
        trials.contains(
            "night/pipeline/items=1000/parallelism=2/scheduler=default/iters=250/backend=a/block=6"
        )
    );
    let cell = &plan.blocks[0].sessions[0].cells[0];
    assert_eq!(cell.run_id, format!("night/{}", cell.point));
    assert_eq!(cell.spec.seed, 42);
}

#[test]
fn the_same_matrix_is_the_same_plan_and_the_seed_changes_the_order() {
    assert_eq!(plan(&example()), plan(&example()));
    let other = plan(&Matrix { seed: 43, ..example() });
    assert_ne!(other.trials().collect::<Vec<_>>(), plan(&example()).trials().collect::<Vec<_>>());
}

#[test]
fn the_copy_for_an_aa_comparison_runs_the_same_backend_far_from_it() {
    let plan = plan(&Matrix { aa: Some("a".into()), blocks: 1, ..example() });
    assert_eq!(order(&plan.blocks[0]), ["a", "b", "c", "a-again"]);
    let again = plan.blocks[0].sessions.iter().find(|session| session.backend.name == "a-again").unwrap();
    assert_eq!(again.backend.runs, "a");
}

#[test]
fn options_of_the_session_reach_every_run() {
    let options = Map::from_iter([("fusion".to_owned(), json!("off"))]);
    let plan = plan(&Matrix { options: options.clone(), ..example() });
    for session in &plan.blocks[0].sessions {
        assert_eq!(session.options, options);
        assert!(session.cells.iter().all(|cell| cell.spec.extra["fusion"] == "off"));
    }
}

#[test]
fn an_invalid_matrix_is_refused_with_the_reason() {
    type Change = fn(&mut Matrix);
    let cases: [(Change, &str); 13] = [
        (|matrix| matrix.backends.clear(), "no backends"),
        (|matrix| matrix.workloads.clear(), "no workloads"),
        (|matrix| matrix.workloads[0].items.clear(), "no numbers of items"),
        (|matrix| matrix.schedulers.clear(), "no schedulers"),
        (|matrix| matrix.parallelisms.clear(), "no parallelisms"),
        (|matrix| matrix.blocks = 0, "blocks is 0"),
        (|matrix| matrix.nodes = 0, "nodes is 0"),
        (|matrix| matrix.parallelisms.push(0), "parallelism is 0"),
        (|matrix| matrix.backends[1].name = "a".into(), "called `a`"),
        (|matrix| matrix.parallelisms.push(2), "asked for twice"),
        (|matrix| matrix.aa = Some("x".into()), "`x` does not take part"),
        (|matrix| matrix.warm_up.least = 21, "at most 20"),
        (|matrix| (matrix.backends[1].name, matrix.aa) = ("a-again".into(), Some("a".into())), "`a-again`"),
    ];
    for (change, words) in cases {
        let mut matrix = example();
        change(&mut matrix);
        let message = Plan::new(&matrix).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn every_part_of_the_matrix_changes_the_hash() {
    let changes: [fn(&mut Matrix); 11] = [
        |matrix| matrix.run.push('x'),
        |matrix| matrix.backends.swap(0, 1),
        |matrix| matrix.workloads[1].extra.clear(),
        |matrix| matrix.schedulers.push("fifo".into()),
        |matrix| matrix.parallelisms.reverse(),
        |matrix| matrix.nodes = 2,
        |matrix| matrix.blocks += 1,
        |matrix| matrix.seed += 1,
        |matrix| matrix.data_seed = Some(42),
        |matrix| matrix.warm_up.most += 1,
        |matrix| matrix.aa = Some("a".into()),
    ];
    let mut hashes = BTreeSet::from([plan(&example()).hash().to_owned()]);
    for change in changes {
        let mut matrix = example();
        change(&mut matrix);
        assert!(hashes.insert(plan(&matrix).hash().to_owned()), "{matrix:?}");
    }
    assert!(hashes.iter().all(|hash| hash.len() == 64));
}

#[test]
fn an_estimate_counts_sessions_warm_ups_and_runs() {
    let mut matrix = Matrix { blocks: 2, parallelisms: vec![1], ..example() };
    matrix.workloads =
        vec![WorkloadChoice { name: "null".into(), items: vec![2, 3], ..WorkloadChoice::default() }];
    let plan = plan(&matrix);
    matrix.warm_up.seconds = 25.0;
    let all = estimate(&plan.blocks, &matrix.warm_up, 10.0, 2.5);
    // Two blocks, three backends; runs of 5 s in all, with 5 to 10 warm-ups each.
    assert_eq!(all, (6.0 * (10.0 + 30.0), 6.0 * (10.0 + 55.0)));
    let half = estimate(&plan.blocks[1..], &matrix.warm_up, 10.0, 2.5);
    assert_eq!(half.0, all.0 / 2.0);
}

proptest! {
    #[test]
    fn each_block_runs_each_cell_on_each_backend_once_in_one_session_for_each_parallelism(matrix in matrices()) {
        let plan = plan(&matrix);
        let backends = matrix.backends.len() + usize::from(matrix.aa.is_some());
        let items: usize = matrix.workloads.iter().map(|workload| workload.items.len()).sum();
        let points = items * matrix.schedulers.len() * matrix.parallelisms.len();
        prop_assert_eq!(plan.blocks.len(), matrix.blocks as usize);
        for block in &plan.blocks {
            let trials: Vec<_> = block.trials().collect();
            prop_assert_eq!(trials.iter().collect::<HashSet<_>>().len(), backends * points);
            prop_assert_eq!(trials.len(), backends * points);
            let (mut sessions, mut orders) = (HashSet::new(), BTreeMap::new());
            for session in &block.sessions {
                prop_assert!(sessions.insert((&session.backend.name, session.parallelism)));
                prop_assert!(session.cells.iter().all(|cell| cell.spec.parallelism == session.parallelism));
                // All backends of a block have the same order of cells.
                prop_assert_eq!(*orders.entry(session.parallelism).or_insert(&session.cells), &session.cells);
            }
        }
    }

    #[test]
    fn each_backend_has_each_place_about_as_often(matrix in matrices()) {
        let plan = plan(&matrix);
        let mut places = BTreeMap::<_, u32>::new();
        for block in &plan.blocks {
            let order = order(block);
            // The sessions of a backend follow each other.
            prop_assert_eq!(order.iter().collect::<HashSet<_>>().len(), order.len());
            for (place, backend) in order.into_iter().enumerate() {
                *places.entry((backend.to_owned(), place)).or_default() += 1;
            }
        }
        let backends = matrix.backends.len() as u32 + u32::from(matrix.aa.is_some());
        // Where one is missing, its count is 0.
        let all = places.len() as u32 == backends * backends;
        let fewest = places.values().min().filter(|_| all).unwrap_or(&0);
        let most = if backends.is_multiple_of(2) { 1 } else { 2 };
        prop_assert!(places.values().all(|count| (*fewest..=fewest + most).contains(count)));
    }

    #[test]
    fn the_trials_that_are_not_done_remain_in_order(matrix in matrices(), choice: u64) {
        let plan = plan(&matrix);
        let is_done = |index: usize| mix(choice ^ index as u64) & 1 == 1;
        let (done, rest): (Vec<_>, Vec<_>) = plan.trials().enumerate().partition(|(index, _)| is_done(*index));
        let remaining = plan.remaining(&done.into_iter().map(|(_, trial)| trial).collect());
        let left: Vec<_> = remaining.iter().flat_map(Block::trials).collect();
        prop_assert_eq!(left, rest.into_iter().map(|(_, trial)| trial).collect::<Vec<_>>());
        for block in &remaining {
            prop_assert!(!block.sessions.is_empty());
            prop_assert!(block.sessions.iter().all(|session| !session.cells.is_empty()));
        }
    }
}
