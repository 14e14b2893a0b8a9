//! Tests of every workload of this library, over its C ABI as a backend would use it.

use plugin_api::workload::{Outcome, capi::status};
use plugin_api::{Batch, BatchBuilder, Plan, StageKind, State, WorkloadError, WorkloadHandle, WorkloadSpec};
use proptest::prelude::*;

use crate::random::{Stream, rnd};

/// Each workload, in each of its shapes, with kernels short enough for thousands of runs.
const SHAPES: [(&str, &str); 35] = [
    ("scheduler_comparison", r#"{"sleep_us":0}"#),
    ("null", "{}"),
    ("pipeline", r#"{"iters":20}"#),
    ("pipeline", r#"{"iters":0,"stages":1}"#),
    ("pipeline", r#"{"iters":1,"stages":7}"#),
    ("imbalance", r#"{"iters":20}"#),
    ("imbalance", r#"{"iters":20,"stages":2,"distribution":"bimodal"}"#),
    ("imbalance", r#"{"iters":20,"distribution":"pareto"}"#),
    ("word_count", r#"{"keys":50}"#),
    ("word_count", r#"{"keys":50,"skew":0}"#),
    ("word_count", r#"{"keys":1,"skew":4}"#),
    ("open_loop", r#"{"iters":20,"rate":10000000}"#),
    ("open_loop", r#"{"iters":1,"stages":3,"rate":10000000,"schedule":"bursts"}"#),
    ("payload", r#"{"bytes":8}"#),
    ("payload", r#"{"bytes":29}"#),
    ("group", r#"{"groups":20}"#),
    ("group", r#"{"groups":1}"#),
    ("shuffle_match", r#"{"rules":30,"matches":3,"bytes":40}"#),
    ("shuffle_match", r#"{"rules":1,"matches":100,"bytes":8}"#),
    ("memory", r#"{"span_mib":1,"reads":5}"#),
    ("nexmark_q0", "{}"),
    ("nexmark_q1", "{}"),
    ("nexmark_q2", "{}"),
    ("nexmark_q3", "{}"),
    ("nexmark_q4", "{}"),
    ("nexmark_q5", r#"{"window_ms":300,"slide_ms":100}"#),
    ("nexmark_q7", r#"{"window_ms":100}"#),
    ("nexmark_q8", r#"{"window_ms":300}"#),
    ("nexmark_q9", "{}"),
    ("nexmark_q11", r#"{"gap_ms":20}"#),
    ("task_graph", r#"{"width":10,"iters":20}"#),
    ("task_graph", r#"{"width":11,"kernel":"empty","pattern":"trivial"}"#),
    (
        "task_graph",
        r#"{"width":12,"kernel":"memory","span_bytes":64,"iters":2,"pattern":"dom","output_bytes":24}"#,
    ),
    ("task_graph", r#"{"width":13,"iters":5,"pattern":"tree","imbalance":1.5,"output_bytes":1000}"#),
    ("task_graph", r#"{"width":14,"iters":5,"pattern":"random_nearest","radix":5}"#),
];

/// Workload, extra, items, and the expected outcome with seed 42. `golden.py` computes these without this library.
const GOLDEN: [(&str, &str, u64, u64, &str); 26] = [
    ("scheduler_comparison", r#"{"sleep_us":0}"#, 25, 13, "72c0dbb88c271721ade3bd613d4b8c43"),
    ("null", r#"{}"#, 1000, 1000, "193b71978118f5b49163a58774986fa0"),
    ("pipeline", r#"{"iters":100,"stages":3}"#, 200, 100, "16bb6a777d356b3c8e124deeb123e640"),
    ("open_loop", r#"{"iters":100,"stages":3}"#, 200, 100, "16bb6a777d356b3c8e124deeb123e640"),
    ("imbalance", r#"{"iters":100,"distribution":"uniform"}"#, 200, 100, "c3f2ac9bb264c7131a923e24b2772c0f"),
    ("imbalance", r#"{"iters":100,"distribution":"bimodal"}"#, 200, 100, "b8f03a49946e284c738c1773bd1a6a00"),
    ("imbalance", r#"{"iters":100,"distribution":"pareto"}"#, 200, 100, "e43ea743f8e2b35dfa752cda7466f699"),
    ("word_count", r#"{"keys":100,"skew":1.2}"#, 2000, 100, "fb8a685a1d249558c40da0d37f9d6386"),
    ("payload", r#"{"bytes":29}"#, 100, 94, "fcc891ed136457be8ce76eb43ee49fc0"),
    ("group", r#"{"groups":20}"#, 1000, 20, "8060039c456119ad7d9f0720fd96803d"),
    ("shuffle_match", r#"{"rules":30,"matches":3,"bytes":40}"#, 500, 30, "56b58cd898ca48c23661a4f283ee4364"),
    ("memory", r#"{"span_mib":1,"reads":20}"#, 100, 100, "75689dd254e72ec99fd62c96844aaaa3"),
    ("nexmark_q0", r#"{"rate":1000}"#, 10000, 10000, "a218136b5eddbce400226b47fb0956b6"),
    ("nexmark_q0", r#"{"rate":7}"#, 3000, 3000, "f0778187aabc7cdcc31e700f15aaae00"),
    ("nexmark_q1", r#"{"rate":300}"#, 15000, 13800, "c8cd34658789aa03ddfb25ac5756189b"),
    ("nexmark_q2", r#"{"rate":300}"#, 15000, 56, "a7f7e318002d655a0c9ef311187b8cf6"),
    ("nexmark_q3", r#"{"rate":300}"#, 15000, 152, "efdb00299ed4fb141dad96664904af64"),
    ("nexmark_q4", r#"{"rate":300}"#, 15000, 5, "2fdb9a60092fcab2a5cf1d6491c8c04a"),
    ("nexmark_q5", r#"{"rate":300}"#, 15000, 11, "d60c3ce3a76014d7d53818884b79457b"),
    ("nexmark_q7", r#"{"rate":300}"#, 15000, 5, "04c4b9446fcace9546c385c47dd9ae97"),
    ("nexmark_q8", r#"{"rate":300}"#, 15000, 359, "f04eeda3b3b3dc27862e30f521da1c69"),
    ("nexmark_q9", r#"{"rate":300}"#, 15000, 559, "8475e3bafaff0b3359e2b9ea90a4cf1f"),
    ("nexmark_q11", r#"{"rate":300}"#, 15000, 332, "8c6899041c5d52326c0201d3e705890a"),
    ("task_graph", r#"{"width":8,"iters":100}"#, 50, 8, "65011a7369c39374ab7f405c37c7ab00"),
    (
        "task_graph",
        r#"{"width":8,"iters":3,"pattern":"fft","kernel":"memory","span_bytes":80,"output_bytes":101}"#,
        50,
        8,
        "3494104696584dc85c9bfe84dced12d2",
    ),
    (
        "task_graph",
        r#"{"width":8,"iters":100,"pattern":"tree","imbalance":1.5}"#,
        50,
        16,
        "6b55bca8df898282d0f50fbe41238ce0",
    ),
];

/// The workload `name` with a seed, if it can be opened.
pub(crate) fn try_open(
    name: &str,
    extra: &str,
    items: u64,
    seed: u64,
) -> Result<WorkloadHandle, WorkloadError> {
    let json = format!(
        r#"{{"schema":1,"name":"{name}","total_items":{items},"seed":{seed},"extra":{extra},"use":["watermarks"]}}"#
    );
    crate::workload_library().open(&WorkloadSpec::from_json(json.as_bytes()).unwrap())
}

/// The workload `name` of `items` items with the usual seed.
pub(crate) fn open(name: &str, extra: &str, items: u64) -> WorkloadHandle {
    try_open(name, extra, items, 42).unwrap()
}

pub(crate) fn source(workload: &WorkloadHandle, first: u64, count: u64, to: usize) -> Vec<u8> {
    let mut out = workload.buffer();
    workload.source(first, count, to, &mut out).unwrap();
    out.to_vec()
}

pub(crate) fn run_stages(workload: &WorkloadHandle, from: usize, to: usize, batch: &[u8]) -> Vec<u8> {
    let mut out = workload.buffer();
    workload.run_stages(from, to, batch, &mut out).unwrap();
    out.to_vec()
}

pub(crate) fn items_of(batch: &[u8]) -> Vec<Vec<u8>> {
    Batch::parse(batch).unwrap().iter().map(<[u8]>::to_vec).collect()
}

/// The items without their last 16 bytes in an open loop, which have readings of the clock.
fn contents_of(workload: &WorkloadHandle, batch: &[u8]) -> Vec<Vec<u8>> {
    let stamp = if workload.plan().open_loop { 16 } else { 0 };
    items_of(batch).into_iter().map(|item| item[..item.len() - stamp].to_vec()).collect()
}

pub(crate) fn batch_of(items: &[Vec<u8>]) -> Vec<u8> {
    let mut encoded = Vec::new();
    items.iter().map(Vec::as_slice).collect::<BatchBuilder>().encode(&mut encoded).unwrap();
    encoded
}

/// How an engine might distribute a run. All of it is allowed, and none of it may change the answer.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// Where the source is cut into batches.
    pub(crate) cuts: Vec<u64>,
    /// From which the order of batches and of merges is drawn.
    pub(crate) order: u64,
    /// How many states each reduction and sink has before they are merged.
    pub(crate) workers: usize,
    /// Over how many partitions the keys are spread.
    pub(crate) partitions: u32,
    /// Whether stages run in one call.
    pub(crate) fused: bool,
    /// How many keys are emitted at once.
    pub(crate) emit: u64,
}

impl Schedule {
    pub(crate) fn serial(items: u64, batch_size: u64) -> Self {
        let cuts = (0..items).step_by(batch_size as usize).collect();
        Self { cuts, order: 0, workers: 1, partitions: 1, fused: true, emit: 1000 }
    }

    fn shuffled<T>(&self, round: u64, things: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut things: Vec<_> = (0..).zip(things).collect();
        things.sort_by_key(|(number, _)| rnd(self.order ^ round, Stream::DATA, *number));
        things.into_iter().map(|(_, thing)| thing).collect()
    }

    pub(crate) fn run(&self, workload: &WorkloadHandle) -> Outcome {
        let plan = workload.plan();
        let mut stage = plan.end_of_chain(1);
        let mut batches = self.shuffled(1, self.source(workload, stage));
        while plan.kind(stage) == Some(StageKind::KeyedReduce) {
            let reduced = self.shuffled(2, self.reduce(workload, stage, &batches));
            let next = plan.end_of_chain(stage + 1);
            batches = reduced.iter().map(|batch| self.through(workload, stage + 1, next, batch)).collect();
            stage = next;
        }
        let sink = self.fold(batches.iter().map(Vec::as_slice), || workload.new_sink().unwrap());
        let outcome = workload.outcome(&{ sink }.encode().unwrap()).unwrap();
        assert_eq!(outcome.latency.is_some(), plan.open_loop);
        // The answer does not include how long it took.
        Outcome { latency: None, ..outcome }
    }

    fn source(&self, workload: &WorkloadHandle, to: usize) -> Vec<Vec<u8>> {
        let mut cuts = self.cuts.clone();
        cuts.extend([0, workload.spec().total_items]);
        cuts.sort_unstable();
        let slices = cuts.windows(2).map(|pair| (pair[0], pair[1] - pair[0]));
        slices
            .map(|(first, count)| match self.fused {
                true => source(workload, first, count, to),
                false => self.through(workload, 1, to, &source(workload, first, count, 1)),
            })
            .collect()
    }

    fn through(&self, workload: &WorkloadHandle, from: usize, to: usize, batch: &[u8]) -> Vec<u8> {
        if self.fused {
            return run_stages(workload, from, to, batch);
        }
        (from..to).fold(batch.to_vec(), |batch, stage| run_stages(workload, stage, stage + 1, &batch))
    }

    /// Splits every batch, folds each partition on its own, and emits.
    fn reduce(&self, workload: &WorkloadHandle, stage: usize, batches: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let parts: Vec<_> =
            batches.iter().map(|batch| workload.split(stage, batch, self.partitions).unwrap()).collect();
        (0..self.partitions as usize)
            .flat_map(|partition| {
                let mine = parts.iter().map(|parts| &*parts[partition]);
                emitted(self.fold(mine, || workload.new_state(stage).unwrap()), self.emit, workload)
            })
            .collect()
    }

    /// Deals batches out to the workers' states, and merges these in another order.
    fn fold<'a>(&self, batches: impl Iterator<Item = &'a [u8]>, new: impl Fn() -> State) -> State {
        let mut states: Vec<_> = (0..self.workers).map(|_| new()).collect();
        for (number, batch) in batches.enumerate() {
            let worker = rnd(self.order, Stream::KEY, number as u64) as usize % self.workers;
            states[worker].fold(batch).unwrap();
        }
        let mut merged = new();
        for mut state in self.shuffled(3, states) {
            merged.merge(&state.encode().unwrap()).unwrap();
        }
        merged
    }
}

fn emitted(mut state: State, limit: u64, workload: &WorkloadHandle) -> Vec<Vec<u8>> {
    let mut out = workload.buffer();
    let mut batches = Vec::new();
    loop {
        state.emit(limit, &mut out).unwrap();
        if out.item_count() == 0 {
            return batches;
        }
        batches.push(out.to_vec());
    }
}

#[test]
fn the_oracle_says_what_a_serial_run_gives() {
    for (name, extra) in SHAPES {
        for items in [0, 1, 2, 7, 1000] {
            let workload = open(name, extra, items);
            let expected = workload.expected().unwrap();
            for batch_size in [1, 3, 1024] {
                let outcome = Schedule::serial(items, batch_size).run(&workload);
                assert_eq!(outcome, expected, "{name} {extra}, {items} items in batches of {batch_size}");
            }
        }
    }
}

#[test]
fn answers_are_those_of_a_second_implementation() {
    for (name, extra, items, count, checksum) in GOLDEN {
        let workload = open(name, extra, items);
        let expected = Outcome { count, checksum: checksum.into(), waiting_seconds: None, latency: None };
        assert_eq!(workload.expected().unwrap(), expected, "the oracle of {name} {extra}");
        assert_eq!(Schedule::serial(items, 64).run(&workload), expected, "a run of {name} {extra}");
    }
}

#[test]
fn another_seed_gives_another_answer_where_data_are_random() {
    let page = include_str!("../../../docs/method.md");
    let (_, row) = page.split_once("where the data do not depend on the seed, as those of ").unwrap();
    let (named, _) = row.split_once(" | ").unwrap();
    for (name, extra) in SHAPES {
        // Few events of an auction house have an answer: there are two people in a hundred.
        let items = if name.starts_with("nexmark") { 10_000 } else { 100 };
        let [one, two] = [1, 2].map(|seed| try_open(name, extra, items, seed).unwrap().expected().unwrap());
        // The others have answers that a backend may know before a run, which the page of the method says of them.
        let is_random = !named.contains(&format!("`{name}`"));
        assert_eq!(one != two, is_random, "{name} {extra}");
    }
}

/// What comes out if each stage does with a batch what `through` says.
fn outcome_with(
    workload: &WorkloadHandle,
    through: impl Fn(usize, Vec<u8>) -> Result<Vec<u8>, WorkloadError>,
) -> Result<Outcome, WorkloadError> {
    let made = source(workload, 0, workload.spec().total_items, 1);
    let batch = (1..workload.plan().sink()).try_fold(made, |batch, stage| through(stage, batch))?;
    let mut sink = workload.new_sink()?;
    sink.fold(&batch)?;
    Ok(Outcome { latency: None, ..workload.outcome(&sink.encode()?)? })
}

/// What a stage makes of a batch: all of it, in one state if it is a reduction.
fn through_stage(workload: &WorkloadHandle, stage: usize, batch: &[u8]) -> Result<Vec<u8>, WorkloadError> {
    let mut out = workload.buffer();
    if workload.plan().kind(stage) == Some(StageKind::KeyedReduce) {
        let mut state = workload.new_state(stage)?;
        state.fold(batch)?;
        state.emit(u64::MAX, &mut out)?;
    } else {
        workload.run_stages(stage, stage + 1, batch, &mut out)?;
    }
    Ok(out.to_vec())
}

/// What comes out if the items pass by the stage `left_out` as they are.
fn outcome_without(workload: &WorkloadHandle, left_out: usize) -> Result<Outcome, WorkloadError> {
    outcome_with(workload, |stage, batch| match stage == left_out {
        true => Ok(batch),
        false => through_stage(workload, stage, &batch),
    })
}

/// What comes out if each reduction has two states, which emit without being merged.
fn outcome_without_shuffle(workload: &WorkloadHandle) -> Result<Outcome, WorkloadError> {
    outcome_with(workload, |stage, batch| {
        if workload.plan().kind(stage) != Some(StageKind::KeyedReduce) {
            return through_stage(workload, stage, &batch);
        }
        let (one, other): (Vec<_>, Vec<_>) = (0..)
            .zip(items_of(&batch))
            .partition(|(number, _)| rnd(7, Stream::KEY, *number).is_multiple_of(2));
        let mut emitted = Vec::new();
        for half in [one, other] {
            let half: Vec<_> = half.into_iter().map(|(_, item)| item).collect();
            emitted.extend(items_of(&through_stage(workload, stage, &batch_of(&half))?));
        }
        Ok(batch_of(&emitted))
    })
}

#[test]
fn a_shuffle_that_is_left_out_shows() {
    // A task that needs one other at most can run where that has run.
    let needs_no_shuffle = |extra: &str| extra.contains("trivial") || extra.contains("tree");
    for (name, extra) in SHAPES.into_iter().filter(|(_, extra)| !needs_no_shuffle(extra)) {
        // Few events of an auction house have an answer.
        let items = if name.starts_with("nexmark") { 10_000 } else { 1000 };
        let workload = open(name, extra, items);
        let expected = workload.expected().unwrap();
        let shows = outcome_without_shuffle(&workload) != Ok(expected);
        assert_eq!(shows, workload.plan().has_reduction(), "{name} {extra}");
    }
}

#[test]
fn a_map_that_is_left_out_shows_but_where_items_pass_as_they_are() {
    let page = include_str!("../../../docs/method.md");
    let (_, row) = page.split_once("each item carries the result of its work; but in ").unwrap();
    let (named, _) = row.split_once(" a stage passes items on as they are").unwrap();
    for (name, extra) in SHAPES {
        let workload = open(name, extra, 50);
        let expected = workload.expected().unwrap();
        assert_eq!(outcome_without(&workload, 0), Ok(expected.clone()), "{name} {extra}");
        let maps = 1..workload.plan().sink();
        for map in maps.filter(|stage| workload.plan().kind(*stage) == Some(StageKind::Map)) {
            let shows = outcome_without(&workload, map) != Ok(expected.clone());
            assert_eq!(shows, !named.contains(&format!("`{name}`")), "{name} {extra}, stage {map}");
        }
    }
}

#[test]
fn the_catalogue_lists_every_workload_with_sound_defaults() {
    let catalogue = crate::workload_library().catalogue().unwrap();
    let names: Vec<_> = catalogue.iter().map(|entry| entry.name.as_str()).collect();
    let first = ["scheduler_comparison", "null", "pipeline", "imbalance", "word_count", "open_loop"];
    let first = first.into_iter().chain(["payload", "group", "shuffle_match", "memory", "task_graph"]);
    let queries = [0, 1, 2, 3, 4, 5, 7, 8, 9, 11].map(|query| format!("nexmark_q{query}"));
    assert!(names.into_iter().eq(first.chain(queries.iter().map(String::as_str))));
    for entry in &catalogue {
        assert!(entry.plan.is_well_formed(), "{}", entry.name);
        // How large a graph is depends on the items.
        let stages = |plan: &Plan| Plan { graph: None, ..plan.clone() };
        assert_eq!(stages(open(&entry.name, "{}", 10).plan()), stages(&entry.plan));
    }
}

#[test]
fn a_parameter_outside_its_range_is_named_with_the_range() {
    for (name, extra, range) in [
        ("scheduler_comparison", r#"{"sleep_us":10000001}"#, "from 0 to 10000000"),
        ("pipeline", r#"{"stages":0}"#, "from 1 to 64"),
        ("pipeline", r#"{"stages":65}"#, "from 1 to 64"),
        ("pipeline", r#"{"iters":1000000001}"#, "from 0 to 1000000000"),
        ("pipeline", r#"{"iters":-1}"#, "from 0 to 1000000000"),
        ("imbalance", r#"{"distribution":"normal"}"#, "one of uniform, bimodal, pareto"),
        ("imbalance", r#"{"iters":0.5}"#, "from 0 to 1000000000"),
        ("word_count", r#"{"keys":0}"#, "from 1 to 1000000"),
        ("word_count", r#"{"skew":4.5}"#, "from 0 to 4"),
        ("payload", r#"{"bytes":7}"#, "from 8 to 1048576"),
        ("group", r#"{"groups":0}"#, "from 1 to 1000000"),
        ("shuffle_match", r#"{"rules":100001}"#, "from 1 to 100000"),
        ("memory", r#"{"span_mib":0}"#, "from 1 to 4096"),
        ("nexmark_q0", r#"{"rate":0}"#, "from 1 to 10000000"),
        ("nexmark_q0", r#"{"disorder":901}"#, "from 1 to 900"),
        ("nexmark_q5", r#"{"window_ms":0}"#, "from 1 to 86400000"),
        (
            "nexmark_q5",
            r#"{"window_ms":10,"slide_ms":3}"#,
            "must be a multiple of extra.slide_ms, which is 3",
        ),
        (
            "nexmark_q5",
            r#"{"window_ms":10,"slide_ms":20}"#,
            "must be a multiple of extra.slide_ms, which is 20",
        ),
        (
            "nexmark_q5",
            r#"{"window_ms":10001,"slide_ms":1}"#,
            "at most 10000 times extra.slide_ms, which is 1",
        ),
    ] {
        let error = try_open(name, extra, 1, 42).unwrap_err();
        assert!(error.is_invalid_spec(), "{name} {extra}: {error}");
        assert!(error.to_string().contains(range), "{name} {extra}: {error}");
    }
}

#[test]
fn a_slide_that_is_refused_leads_to_one_that_is_not() {
    for (window, slide, better) in [
        (10, 3, 5),
        (10, 20, 10),
        (7, 5, 7),
        (10_000, 86_400_000, 10_000),
        // Each time would be in more than 10 000 windows. The second length is a prime number.
        (86_400_000, 1, 8640),
        (86_399_993, 1, 86_399_993),
        (86_400_000, 7, 8640),
    ] {
        let opened = |slide: u64| {
            try_open("nexmark_q5", &format!(r#"{{"window_ms":{window},"slide_ms":{slide}}}"#), 1, 42)
                .map(drop)
        };
        let told = opened(slide).unwrap_err().to_string();
        assert!(told.ends_with(&format!("; try: --extra slide_ms={better}")), "{told}");
        assert_eq!(opened(better), Ok(()), "{told}");
    }
    assert!(try_open("nexmark_q5", r#"{"window_ms":10000,"slide_ms":1}"#, 1, 42).is_ok());
}

/// Not `PANIC` and not `POISONED`: any other error is allowed, as an answer is.
fn is_told<T>(result: Result<T, WorkloadError>) -> bool {
    match result {
        Err(WorkloadError::Call { status, .. }) => !matches!(status, status::PANIC | status::POISONED),
        _ => true,
    }
}

/// Passes `bytes` to every call that takes bytes.
fn survives(workload: &WorkloadHandle, bytes: &[u8]) -> bool {
    let (stages, mut out) = (workload.plan().stages.len(), workload.buffer());
    let chains = (0..=stages)
        .flat_map(|from| (0..=stages + 1).map(move |to| (from, to)))
        .all(|(from, to)| is_told(workload.run_stages(from, to, bytes, &mut out)));
    let splits = (0..=stages).all(|stage| is_told(workload.split(stage, bytes, 3)));
    chains && splits && states_survive(workload, bytes) && is_told(workload.outcome(bytes))
}

fn states_survive(workload: &WorkloadHandle, bytes: &[u8]) -> bool {
    let mut out = workload.buffer();
    (0..=workload.plan().stages.len()).filter_map(|stage| workload.new_state(stage).ok()).all(|mut state| {
        is_told(state.fold(bytes))
            && is_told(state.close(1, 1, &mut out))
            && is_told(state.fold(bytes))
            && is_told(state.merge(bytes))
            && is_told(state.close(u64::MAX - 1, 1, &mut out))
            && is_told(state.encode())
            && is_told(state.emit(1, &mut out))
            && is_told(state.emit(10, &mut out))
    })
}

/// Items like those of the workloads, and arbitrary ones.
fn any_item() -> impl Strategy<Value = Vec<u8>> {
    let of_graph = (0_u8..5, 0_u64..12, prop::sample::select(&[0_usize, 8, 24, 48, 64][..]), any::<u8>())
        .prop_map(|(tag, point, length, byte)| {
            [&[tag], &point.to_le_bytes()[..], &vec![byte; length]].concat()
        });
    let entry = (0_u8..6, prop::collection::vec(any::<u8>(), 0..24))
        .prop_map(|(length, rest)| [&[length, 0, 0, 0], &rest[..]].concat());
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(any::<u8>(), 16),
        "(processed_)?item_[0-9]{0,24}".prop_map(String::into_bytes),
        entry,
        of_graph,
    ]
}

proptest! {
    #[test]
    fn no_schedule_changes_the_answer(
        shape in prop::sample::select(&SHAPES[..]),
        (items, cuts) in (0_u64..80).prop_flat_map(|items| {
            (Just(items), prop::collection::vec(0..=items, 0..12))
        }),
        seed: u64, order: u64, workers in 1_usize..5, partitions in 1_u32..6, fused: bool, emit in 1_u64..20,
    ) {
        let (name, extra) = shape;
        let workload = try_open(name, extra, items, seed).unwrap();
        let schedule = Schedule { cuts, order, workers, partitions, fused, emit };
        prop_assert_eq!(schedule.run(&workload), workload.expected().unwrap());
    }

    #[test]
    fn stage_by_stage_is_the_same_as_fused(
        shape in prop::sample::select(&SHAPES[..]), items in 0_u64..40, seed: u64,
    ) {
        let (name, extra) = shape;
        let workload = try_open(name, extra, items, seed).unwrap();
        let end = workload.plan().end_of_chain(1);
        let same = |one: &[u8], other: &[u8]| contents_of(&workload, one) == contents_of(&workload, other);
        let mut batch = source(&workload, 0, items, 1);
        for stage in 1..end {
            batch = run_stages(&workload, stage, stage + 1, &batch);
            prop_assert!(same(&source(&workload, 0, items, stage + 1), &batch));
        }
        prop_assert!(same(&run_stages(&workload, 1, end, &source(&workload, 0, items, 1)), &batch));
    }

    #[test]
    fn any_bytes_are_refused_or_taken(bytes: Vec<u8>) {
        for (name, extra) in SHAPES {
            prop_assert!(survives(&open(name, extra, 30), &bytes), "{} {}", name, extra);
        }
    }

    #[test]
    fn any_items_are_refused_or_taken(items in prop::collection::vec(any_item(), 0..6)) {
        let batch = batch_of(&items);
        for (name, extra) in SHAPES {
            prop_assert!(survives(&open(name, extra, 30), &batch), "{} {}", name, extra);
        }
    }
}
