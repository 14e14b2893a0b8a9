//! The graph beside Task Bench's, and faults that must be another answer.

use plugin_api::workload::Outcome;
use plugin_api::{WorkloadError, WorkloadHandle, WorkloadSpec};
use proptest::prelude::*;

use super::graph::Graph;
use super::output::{HEADER, Header};
use super::pattern::{Pattern, Shape};
use crate::conformance::{Schedule, batch_of, items_of, open, run_stages, source, try_open};
use crate::task_graph::items::Item;

/// Edges that Task Bench itself printed; `print.cc` beside it says how.
const DEPENDENCES: &str = include_str!("../../task_bench/dependences.txt");

/// How many bytes stand before the output in an item.
const PREFIX: usize = 9;

fn extra_of(pattern: &str, width: u64) -> String {
    format!(r#"{{"pattern":"{pattern}","width":{width},"iters":3}}"#)
}

fn graph_of(pattern: &str, [width, steps, radix]: [u64; 3], fraction_connected: f64) -> Graph {
    Graph::new(Pattern { shape: Shape::named(pattern), radix, fraction_connected }, steps, width)
}

fn inputs(graph: &Graph, step: u64, point: u64) -> Vec<u64> {
    let mut inputs = Vec::new();
    graph.for_each_input(step, point, |from| inputs.push(from));
    inputs
}

fn outputs(graph: &Graph, step: u64, point: u64) -> Vec<u64> {
    let mut outputs = Vec::new();
    graph.for_each_output(step, point, |target| outputs.push(target));
    outputs
}

/// The inputs of a point as they were printed: `.`, or points and spans of points.
fn printed_inputs(text: &str) -> Vec<u64> {
    let spans = text.split(',').filter(|span| *span != ".");
    spans
        .flat_map(|span| {
            let (from, to) = span.split_once('-').unwrap_or((span, span));
            from.parse::<u64>().unwrap()..=to.parse().unwrap()
        })
        .collect()
}

#[test]
fn rows_and_edges_are_those_of_task_bench() {
    let (mut edges, mut patterns) = (0, std::collections::BTreeSet::new());
    for line in DEPENDENCES.lines() {
        let mut parts = line.split(" | ");
        let words: Vec<_> = parts.next().unwrap().split(' ').collect();
        let [pattern, width, steps, radix, fraction] = words.try_into().unwrap();
        let sizes = [width, steps, radix].map(|number| number.parse().unwrap());
        let graph = graph_of(pattern, sizes, fraction.parse().unwrap());
        patterns.insert(pattern);
        for (step, row) in (0..).zip(parts) {
            let (first, points) = row.split_once(": ").unwrap();
            let points: Vec<_> = points.split(' ').map(printed_inputs).collect();
            let first: u64 = first.parse().unwrap();
            assert_eq!(graph.row(step), first..first + points.len() as u64, "step {step} of {line}");
            for (point, printed) in (first..).zip(points) {
                edges += printed.len();
                assert_eq!(inputs(&graph, step, point), printed, "step {step}, point {point} of {line}");
            }
        }
        assert_eq!(line.matches(" | ").count() as u64, graph.steps());
    }
    assert_eq!(patterns, Shape::names().into());
    assert!(edges > 20_000, "{edges}");
}

proptest! {
    #[test]
    fn outputs_are_the_inputs_in_the_other_direction(
        pattern in prop::sample::select(Shape::names().to_vec()),
        sizes in [1_u64..40, 1_u64..12, 0_u64..50],
        fraction in 0.0..=1.0,
    ) {
        let graph = graph_of(pattern, sizes, fraction);
        for step in 1..graph.steps() {
            let before = graph.row(step - 1);
            let pairs = |from, targets: Vec<u64>| targets.into_iter().map(move |target| (from, target));
            let mut forwards: Vec<_> =
                before.flat_map(|from| pairs(from, outputs(&graph, step - 1, from))).collect();
            let mut backwards: Vec<_> = graph
                .row(step)
                .flat_map(|point| inputs(&graph, step, point).into_iter().map(move |from| (from, point)))
                .collect();
            forwards.sort_unstable();
            backwards.sort_unstable();
            prop_assert_eq!(forwards, backwards, "step {}", step);
        }
        for point in graph.row(graph.steps() - 1) {
            prop_assert!(!graph.has_outputs(graph.steps() - 1, point));
        }
    }
}

#[test]
fn an_fft_of_one_point_needs_that_point() {
    let graph = graph_of("fft", [1, 4, 3], 0.25);
    assert_eq!((1..4).map(|step| inputs(&graph, step, 0)).collect::<Vec<_>>(), [[0], [0], [0]]);
}

#[test]
fn every_pattern_has_its_answer_at_many_sizes() {
    for pattern in Shape::names() {
        for (items, width) in [(1, 1), (5, 1), (6, 2), (40, 7), (90, 9), (16, 16), (7, 16)] {
            for radix in [0, 3] {
                let extra = format!(r#"{{"pattern":"{pattern}","width":{width},"radix":{radix},"iters":3}}"#);
                let workload = open("task_graph", &extra, items);
                let expected = workload.expected().unwrap();
                assert!(expected.count > 0);
                assert_eq!(Schedule::serial(items, 4).run(&workload), expected, "{items} items, {extra}");
            }
        }
    }
}

/// A task more than there are items would not be bounded by them.
#[test]
fn there_are_never_more_tasks_than_items() {
    for (items, width, tasks) in [(0, 8, 0), (3, 8, 3), (8, 8, 8), (15, 8, 8), (16, 8, 16), (800, 8, 800)] {
        let workload = open("task_graph", &format!(r#"{{"pattern":"trivial","width":{width}}}"#), items);
        assert_eq!(workload.expected().unwrap().count, tasks, "{items} items");
    }
}

#[test]
fn more_than_a_hundred_steps_are_refused_with_what_to_do() {
    let error = try_open("task_graph", r#"{"width":10}"#, 1010, 42).unwrap_err();
    assert!(error.is_invalid_spec(), "{error}");
    assert!(error.to_string().ends_with("try: --items 1000 or --extra width=11"), "{error}");
    for (extra, items) in [(r#"{"width":10}"#, 1009), (r#"{"width":10}"#, 1000), (r#"{"width":11}"#, 1010)] {
        assert!(open("task_graph", extra, items).plan().stages.len() <= 302);
    }
    let error = try_open("task_graph", "{}", u64::MAX, 42).unwrap_err().to_string();
    assert!(error.ends_with("try: --items 6400"), "{error}");
}

/// A `trivial` graph has a finished output for each task, and each would be an item in every reduction that follows.
#[test]
fn finished_outputs_go_on_as_one_item_a_point() {
    let (width, steps) = (8, 40);
    let workload = open("task_graph", &extra_of("trivial", width), width * steps);
    let mut messages = 0;
    run_with(&workload, |_, items| messages += items.len()).unwrap();
    // Each step has for each point a token, what was finished in the step before, and what had been finished before that.
    assert!(messages as u64 <= 3 * width * steps, "{messages}");
}

/// Runs the stages one after the other, and lets `change` have the items that were sent to the tasks of each step.
fn run_with(
    workload: &WorkloadHandle,
    mut change: impl FnMut(usize, &mut Vec<Vec<u8>>),
) -> Result<Outcome, WorkloadError> {
    let plan = workload.plan();
    let mut batch = source(workload, 0, workload.spec().total_items, 3);
    for step in 1..plan.stages.len() / 3 {
        let mut items = items_of(&run_stages(workload, 3 * step, 3 * step + 1, &batch));
        change(step, &mut items);
        let mut state = workload.new_state(3 * step + 1)?;
        state.fold(&batch_of(&items))?;
        let mut emitted = workload.buffer();
        state.emit(u64::MAX, &mut emitted)?;
        batch = run_stages(workload, 3 * step + 2, 3 * step + 3, &emitted);
    }
    let mut sink = workload.new_sink()?;
    sink.fold(&run_stages(workload, plan.sink() - 1, plan.sink(), &batch))?;
    workload.outcome(&sink.encode()?)
}

/// The places of the items that carry an output.
fn carried(items: &[Vec<u8>]) -> Vec<usize> {
    let is_output = |item: &Vec<u8>| matches!(Item::parse(item), Ok(Item::Output { .. }));
    (0..items.len()).filter(|place| is_output(&items[*place])).collect()
}

const STEP: usize = 3;

/// What comes out of a graph of five steps if `fault` changes one output on its way to step 3; it is told which.
fn faulty(
    pattern: &str,
    place: usize,
    mut fault: impl FnMut(&mut Vec<Vec<u8>>, usize, &[Vec<u8>]),
) -> (Outcome, Result<Outcome, WorkloadError>) {
    let workload = open("task_graph", &extra_of(pattern, 8), 40);
    let mut before = Vec::new();
    let ran = run_with(&workload, |step, items| {
        if step + 1 == STEP {
            before.clone_from(items);
        } else if step == STEP {
            let outputs = carried(items);
            fault(items, outputs[place % outputs.len()], &before);
        }
    });
    (workload.expected().unwrap(), ran)
}

/// The patterns in which outputs are sent.
fn connected() -> impl Iterator<Item = &'static str> {
    Shape::names().into_iter().filter(|name| *name != "trivial")
}

#[test]
fn an_edge_that_is_dropped_or_doubled_is_a_wrong_answer() {
    for pattern in connected() {
        for place in [0, 1, 5] {
            let (expected, same) = faulty(pattern, place, |_, _, _| {});
            assert_eq!(same.unwrap(), expected, "{pattern}");
            let (_, dropped) = faulty(pattern, place, |items, at, _| drop(items.remove(at)));
            let (_, doubled) = faulty(pattern, place, |items, at, _| items.push(items[at].clone()));
            assert_ne!(dropped.unwrap(), expected, "{pattern}");
            assert_ne!(doubled.unwrap(), expected, "{pattern}");
        }
    }
}

#[test]
fn an_edge_of_another_point_is_a_wrong_answer() {
    for pattern in connected() {
        let (expected, ran) = faulty(pattern, 0, |items, at, _| {
            let own = Header::of(&items[at][PREFIX..]).unwrap();
            let other =
                carried(items).into_iter().find(|place| Header::of(&items[*place][PREFIX..]).unwrap() != own);
            let other = items[other.unwrap()][PREFIX..].to_vec();
            items[at][PREFIX..].copy_from_slice(&other);
        });
        assert_ne!(ran.unwrap(), expected, "{pattern}");
    }
}

#[test]
fn an_edge_of_the_wrong_step_is_refused_and_one_that_hides_it_is_a_wrong_answer() {
    for pattern in connected() {
        let old = |before: &[Vec<u8>]| before[carried(before)[0]][PREFIX..].to_vec();
        let (_, refused) = faulty(pattern, 0, |items, at, before| {
            items[at].splice(PREFIX.., old(before));
        });
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("needs the output of step 2") && refused.contains("one of step 1"),
            "{refused}"
        );
        let (expected, hidden) = faulty(pattern, 0, |items, at, before| {
            // Only the step and the point are those of the right output.
            items[at].splice(PREFIX + 16.., old(before)[16..].to_vec());
        });
        assert_ne!(hidden.unwrap(), expected, "{pattern}");
    }
}

#[test]
fn a_payload_that_is_zeroed_or_cut_is_seen() {
    for pattern in connected() {
        let (expected, zeroed) = faulty(pattern, 1, |items, at, _| items[at][PREFIX + HEADER..].fill(0));
        assert_ne!(zeroed.unwrap(), expected, "{pattern}");
        let (_, cut) = faulty(pattern, 1, |items, at, _| items[at].truncate(PREFIX + HEADER));
        let cut = cut.unwrap_err().to_string();
        assert!(cut.contains("of 64 bytes") && cut.contains("of 24 bytes"), "{cut}");
    }
}

#[test]
fn outputs_of_another_seed_are_a_wrong_answer() {
    for pattern in connected() {
        let mut others = Vec::new();
        let other = try_open("task_graph", &extra_of(pattern, 8), 40, 43).unwrap();
        run_with(&other, |step, items| {
            if step == STEP {
                others.clone_from(items);
            }
        })
        .unwrap();
        // All of them, as an engine would have them that ran with the wrong seed until then.
        let (expected, ran) = faulty(pattern, 0, |items, _, _| items.clone_from(&others));
        assert_ne!(ran.unwrap(), expected, "{pattern}");
    }
}

#[test]
fn a_payload_is_as_long_as_asked_and_follows_from_the_digest() {
    for length in [24, 25, 31, 32, 33, 1000] {
        let mut bytes = vec![7];
        Header { step: 1, point: 2, digest: 3 }.append_output(length, &mut bytes);
        assert_eq!(bytes.len(), length + 1);
        assert_eq!(Header::of(&bytes[1..]), Ok(Header { step: 1, point: 2, digest: 3 }));
        let mut other = vec![7];
        Header { step: 1, point: 2, digest: 4 }.append_output(length, &mut other);
        let differing = bytes[25..].iter().zip(&other[25..]).filter(|(one, other)| one != other).count();
        assert!(differing >= (length - 24) / 8, "{length}: {differing}");
    }
}

/// The workload where its tasks may be run by their dependencies.
fn open_graph(pattern: &str, width: u64, items: u64, seed: u64) -> WorkloadHandle {
    let extra = extra_of(pattern, width);
    let json = format!(
        r#"{{"schema":1,"name":"task_graph","total_items":{items},"seed":{seed},"extra":{extra},"use":["graph"]}}"#
    );
    crate::workload_library().open(&WorkloadSpec::from_json(json.as_bytes()).unwrap()).unwrap()
}

/// Runs the tasks row after row, and lets `change` have the inputs of each.
fn run_graph(
    workload: &WorkloadHandle,
    mut change: impl FnMut(u32, u32, &mut Vec<Vec<u8>>),
) -> Result<Outcome, WorkloadError> {
    let shape = workload.plan().graph.unwrap();
    let (mut before, mut first, mut finished) = (Vec::<Vec<u8>>::new(), 0, Vec::new());
    for step in 0..shape.steps as u32 {
        let row = workload.graph_row(step)?;
        let needed = |point: u32| {
            let next = workload.graph_row(step + 1);
            next.is_ok_and(|next| (0..next.width()).any(|place| next.inputs(place).contains(&point)))
        };
        assert_eq!(workload.graph_width(step)?, Some(row.width()));
        let mut outputs = Vec::new();
        for (place, point) in (0..).zip(row.points()) {
            let mut inputs: Vec<_> =
                row.inputs(place).iter().map(|from| before[(from - first) as usize].clone()).collect();
            change(step, point, &mut inputs);
            let inputs: Vec<_> = inputs.iter().map(Vec::as_slice).collect();
            let mut output = Vec::new();
            workload.graph_task(step, point, &inputs, shape.output_bytes as usize, &mut output)?;
            assert_eq!(output.len(), if needed(point) { shape.output_bytes as usize } else { HEADER });
            if !needed(point) {
                finished.push(output.clone());
            }
            outputs.push(output);
        }
        (before, first) = (outputs, row.points().start);
    }
    let mut sink = workload.new_sink()?;
    sink.fold(&batch_of(&finished))?;
    workload.outcome(&sink.encode()?)
}

#[test]
fn both_forms_have_one_answer() {
    for pattern in Shape::names() {
        for (items, width) in [(0, 4), (1, 1), (6, 2), (40, 7), (90, 9), (7, 16)] {
            let workload = open_graph(pattern, width, items, 42);
            let ran = run_graph(&workload, |_, _, _| {}).unwrap();
            let staged = open("task_graph", &extra_of(pattern, width), items);
            let in_stages = staged.expected().unwrap();
            assert_eq!(
                (&ran, &workload.expected().unwrap()),
                (&in_stages, &in_stages),
                "{pattern}, {items} of {width}"
            );
            assert_eq!(Schedule::serial(items, 3).run(&staged), in_stages);
        }
    }
}

#[test]
fn a_graph_that_is_opened_to_run_by_its_tasks_refuses_stages() {
    let workload = open_graph("stencil_1d", 8, 40, 42);
    let (mut out, batch) = (workload.buffer(), source(&open("null", "{}", 1), 0, 1, 1));
    let refused = [
        workload.source(0, 1, 1, &mut out).unwrap_err(),
        workload.run_stages(1, 2, &batch, &mut out).unwrap_err(),
        workload.split(4, &batch, 2).err().unwrap(),
        workload.new_state(4).err().unwrap(),
    ];
    for error in refused {
        assert!(error.to_string().contains("supports graph, but ran the stages"), "{error}");
    }
    assert!(workload.new_sink().is_ok());
    // And in stages the functions of the graph.
    assert!(open("task_graph", r#"{"width":8}"#, 40).graph_row(0).is_err());
}

#[test]
fn a_task_refuses_inputs_that_are_not_those_of_its_edges() {
    type Fault = fn(&mut Vec<Vec<u8>>);
    let faults: [(&str, Fault); 6] = [
        ("needs 3 inputs; it was given 2", |inputs| drop(inputs.pop())),
        ("needs 3 inputs; it was given 4", |inputs| inputs.push(inputs[0].clone())),
        ("needs the output of step 2, point 3", |inputs| inputs.swap(0, 1)),
        ("of 64 bytes; it was given one of step 2, point 3, of 63 bytes", |inputs| inputs[0].truncate(63)),
        ("one of step 1", |inputs| inputs[1][0] = 1),
        ("at least 24 bytes", |inputs| inputs[2].clear()),
    ];
    for (says, fault) in faults {
        let workload = open_graph("stencil_1d", 8, 40, 42);
        let error = run_graph(&workload, |step, point, inputs| {
            if (step, point) == (3, 4) {
                fault(inputs);
            }
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
fn a_changed_payload_or_another_seed_is_a_wrong_answer_of_the_graph_too() {
    for pattern in connected() {
        let workload = open_graph(pattern, 8, 40, 42);
        let expected = workload.expected().unwrap();
        let zeroed = run_graph(&workload, |step, _, inputs| {
            if step == 3 {
                inputs.iter_mut().for_each(|input| input[HEADER..].fill(0));
            }
        });
        assert_ne!(zeroed.unwrap(), expected, "{pattern}");
        let mut others = Vec::new();
        run_graph(&open_graph(pattern, 8, 40, 43), |step, _, inputs| {
            if step == 3 {
                others.push(inputs.clone());
            }
        })
        .unwrap();
        let mut others = others.into_iter();
        let other_seed = run_graph(&workload, |step, _, inputs| {
            if step == 3 {
                inputs.clone_from(&others.next().unwrap());
            }
        });
        assert_ne!(other_seed.unwrap(), expected, "{pattern}");
    }
}

#[test]
fn a_graph_has_as_many_steps_as_items_make() {
    let workload = open_graph("stencil_1d", 2, 5000, 42);
    assert_eq!(workload.plan().graph.unwrap().steps, 2500);
    assert_eq!(run_graph(&workload, |_, _, _| {}).unwrap(), workload.expected().unwrap());
    assert!(workload.graph_row(2500).unwrap_err().to_string().contains("no graph with a step 2500"));
    let mut output = Vec::new();
    assert!(workload.graph_task(0, 2, &[], 64, &mut output).unwrap_err().to_string().contains("no point 2"));
    assert!(
        workload.graph_task(0, 1, &[], 63, &mut output).unwrap_err().to_string().contains("needs 64 bytes")
    );
}
