//! Every query has the answer of its oracle in any order, partition and merge; and the rules of single queries.

mod closing;
mod due;

use plugin_api::WorkloadHandle;
use proptest::prelude::*;

use crate::conformance::{Schedule, batch_of, items_of, open, try_open};
use crate::record::read;

/// Queries with windows of which a run of a few thousand events has many. At 20 events a millisecond many have one time.
const SHAPES: [(&str, &str); 14] = [
    ("nexmark_q0", r#"{"disorder":900}"#),
    ("nexmark_q1", r#"{"disorder":1}"#),
    ("nexmark_q2", "{}"),
    ("nexmark_q3", "{}"),
    ("nexmark_q4", r#"{"rate":20000}"#),
    ("nexmark_q4", r#"{"rate":1}"#),
    ("nexmark_q5", r#"{"rate":100,"window_ms":2000,"slide_ms":500}"#),
    ("nexmark_q5", r#"{"window_ms":1,"slide_ms":1,"rate":20000}"#),
    ("nexmark_q7", r#"{"window_ms":70}"#),
    ("nexmark_q8", r#"{"window_ms":900}"#),
    ("nexmark_q9", r#"{"rate":20000,"disorder":9}"#),
    ("nexmark_q9", "{}"),
    ("nexmark_q11", r#"{"gap_ms":60}"#),
    ("nexmark_q11", r#"{"gap_ms":2,"rate":20000}"#),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_schedule_changes_the_answer(
        shape in prop::sample::select(&SHAPES[..]),
        (events, cuts) in (0_u64..4000).prop_flat_map(|events| {
            (Just(events), prop::collection::vec(0..=events, 0..40))
        }),
        seed: u64, order: u64, workers in 1_usize..6, partitions in 1_u32..6, fused: bool, emit in 1_u64..100,
    ) {
        let (name, extra) = shape;
        let workload = try_open(name, extra, events, seed).unwrap();
        let schedule = Schedule { cuts, order, workers, partitions, fused, emit };
        prop_assert_eq!(schedule.run(&workload), workload.expected().unwrap());
    }
}

#[test]
fn no_disorder_changes_the_answer() {
    for (name, _) in SHAPES {
        let answers = [1, 10, 899].map(|disorder| {
            let workload = open(name, &format!(r#"{{"disorder":{disorder}}}"#), 3333);
            Schedule::serial(3333, 50).run(&workload)
        });
        assert!(answers[0] == answers[1] && answers[1] == answers[2], "{name}");
    }
}

#[test]
fn every_query_has_results_with_its_defaults() {
    for (name, _) in SHAPES {
        assert!(open(name, "{}", 20_000).expected().unwrap().count > 0, "{name}");
    }
}

/// Folds records into two states, dealt out in turns, merges them, and gives the records that come out, sorted.
fn reduced<const N: usize, const M: usize>(
    workload: &WorkloadHandle,
    stage: usize,
    records: &[[u64; N]],
) -> Vec<[u64; M]> {
    let bytes = |words: &[u64; N]| words.map(u64::to_le_bytes).as_flattened().to_vec();
    let of = |turn: usize| -> Vec<Vec<u8>> { records.iter().skip(turn).step_by(2).map(bytes).collect() };
    let [mut state, mut other] = [0, 1].map(|turn| {
        let mut state = workload.new_state(stage).unwrap();
        state.fold(&batch_of(&of(turn))).unwrap();
        state
    });
    state.merge(&other.encode().unwrap()).unwrap();
    let mut out = workload.buffer();
    state.emit(100, &mut out).unwrap();
    let mut emitted: Vec<[u64; M]> = items_of(&out).iter().map(|item| read(item).unwrap()).collect();
    emitted.sort_unstable();
    emitted
}

#[test]
fn a_bid_between_two_sessions_joins_them() {
    let workload = open("nexmark_q11", r#"{"gap_ms":10}"#, 0);
    let separate = [[7, 100], [7, 110], [7, 129], [8, 105]];
    assert_eq!(
        reduced(&workload, 2, &separate),
        [[7, 100, 110, 1], [7, 110, 120, 1], [7, 129, 139, 1], [8, 105, 115, 1]]
    );
    let joined = [[7, 100], [7, 110], [7, 101], [7, 129]];
    assert_eq!(reduced(&workload, 2, &joined), [[7, 100, 120, 3], [7, 129, 139, 1]]);
}

#[test]
fn all_of_the_highest_bids_of_a_window_are_kept() {
    let workload = open("nexmark_q7", "{}", 0);
    let bids = [[10, 5, 1, 1, 1, 1], [10, 6, 2, 1, 1, 1], [10, 6, 3, 2, 1, 1], [10, 4, 4, 3, 1, 1]];
    assert_eq!(reduced(&workload, 2, &bids), [bids[1], bids[2]]);
}

#[test]
fn a_bid_wins_only_while_its_auction_is_open_and_from_its_reserve_on() {
    let workload = open("nexmark_q9", "{}", 0);
    let auction = [9, 1, 500, 12, 1000, 20, 30];
    // Price, time, number and bidder; the words behind them are left out below.
    let bids = [
        [999, 25, 1, 1],
        [1000, 19, 2, 2],
        [1000, 30, 3, 3],
        [1000, 29, 4, 4],
        [1000, 20, 6, 6],
        [1000, 20, 5, 5],
    ];
    let records = |kept: &[usize]| -> Vec<Vec<u8>> {
        let bytes = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        let bids = kept.iter().map(|place| bytes(&[&[9, 0], bids[*place].as_slice()].concat()));
        bids.chain([bytes(&auction)]).collect()
    };
    for (kept, winner) in [(vec![0, 1, 2], None), (vec![0, 3], Some(4)), (vec![4, 3, 5, 0], Some(5))] {
        for turns in 0..=kept.len() {
            let mut records = records(&kept);
            records.rotate_left(turns);
            let mut state = workload.new_state(2).unwrap();
            for record in records {
                state.fold(&batch_of(&[record])).unwrap();
            }
            let mut out = workload.buffer();
            state.emit(10, &mut out).unwrap();
            let number = items_of(&out).first().map(|item| read::<7>(item).unwrap()[3]);
            assert_eq!(number, winner, "{kept:?}, {turns} turns");
        }
    }
}

#[test]
fn bids_for_an_auction_that_never_opens_and_auctions_of_unknown_people_have_no_answer() {
    assert_eq!(
        reduced::<6, 7>(&open("nexmark_q9", "{}", 0), 2, &[[9, 0, 1000, 1, 1, 1]]),
        [] as [[u64; 7]; 0]
    );
    assert_eq!(reduced::<3, 6>(&open("nexmark_q3", "{}", 0), 2, &[[9, 1, 1000]]), [] as [[u64; 6]; 0]);
}
