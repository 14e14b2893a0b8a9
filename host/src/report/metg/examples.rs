//! METG for the tests of every format, without clock and randomness.

use serde_json::Map;

use crate::compare::metg::model::*;
use crate::compare::metg::tables::tables;
use crate::compare::model::{Form, RatioInterval, Source, Status};
use crate::metg::Value;
use crate::record::{Library, SystemProfile};

/// Seconds of an iteration.
const ITERATION: f64 = 1e-9;
/// Seven blocks, the default.
const BLOCKS: u32 = 7;

/// A backend with an overhead of `floor` seconds per task.
pub(in crate::report) fn row(backend: &str, floor: f64) -> Row {
    let points: Vec<_> = exponents(floor).map(|exponent| point(exponent, floor)).collect();
    let block = |block| Block {
        run: "run".into(),
        block,
        seconds_per_iteration: ITERATION,
        outcome: SweepOutcome::Value {
            metg: Value::At { seconds: 2.0 * floor },
            value: Value::At { seconds: floor },
        },
        floor: Some(floor),
        // Every block would have the same: the first is enough for a page.
        points: points[..if block == 0 { points.len() } else { 1 }].to_vec(),
    };
    Row {
        backend: backend.into(),
        label: backend.into(),
        cores: 2,
        metg: Some(Value::At { seconds: 2.0 * floor }),
        metg_interval: Some(interval(2.0 * floor)),
        value: Some(Value::At { seconds: floor }),
        interval: Some(interval(floor)),
        floor: Some(floor * 0.98),
        blocks_with_value: BLOCKS,
        blocks: (0..BLOCKS).map(block).collect(),
        curve: points.iter().filter_map(step).collect(),
        plugin: Some(Library::new(format!("plugins/lib{backend}.so").as_ref(), "ab12".repeat(16))),
        workload_library: Some(Library::new("plugins/libworkloads.so".as_ref(), "cd34".repeat(16))),
        versions: Map::from_iter([("crossrun".into(), "0.1.0".into())]),
        ..Row::default()
    }
}

fn interval(middle: f64) -> RatioInterval {
    RatioInterval { low: middle / 1.03, high: middle * 1.04, confidence: 0.984_375 }
}

/// From an efficiency below a tenth to one above nine tenths.
fn exponents(floor: f64) -> std::ops::RangeInclusive<u32> {
    let middle = (floor / ITERATION).log2().round() as i32;
    (middle - 4).clamp(0, 25) as u32..=(middle + 4).clamp(1, 29) as u32
}

fn point(exponent: u32, floor: f64) -> Point {
    let kernel_seconds = f64::from(1 << exponent) * ITERATION;
    let tasks = ((0.8 / (kernel_seconds + floor)) as u64).max(16);
    Point {
        source: Source { file: "results/run/trials.jsonl".into(), line: u64::from(exponent) + 1 },
        status: Status::Verified,
        iterations: Some(1 << exponent),
        kernel_seconds,
        tasks,
        seconds: Some(tasks as f64 * (kernel_seconds + floor) / 2.0),
        granularity_seconds: Some(kernel_seconds + floor),
        efficiency: Some(kernel_seconds / (kernel_seconds + floor)),
        command: Some(format!(
            "crossrun run --workload pipeline --items {tasks} --extra iters={}",
            1 << exponent
        )),
        log: None,
    }
}

fn step(point: &Point) -> Option<Step> {
    let efficiency = point.efficiency?;
    Some(Step {
        iterations: point.iterations?,
        kernel_seconds: point.kernel_seconds,
        granularity_seconds: point.granularity_seconds?,
        efficiency,
        least: efficiency * 0.97,
        most: efficiency * 1.02,
        blocks: BLOCKS,
    })
}

/// A row whose blocks are still to be given an outcome without a value.
fn without_value(backend: &str, floor: f64) -> Row {
    let mut row = row(backend, floor);
    row.blocks_with_value = 0;
    (row.metg, row.metg_interval, row.value, row.interval, row.floor) = (None, None, None, None, None);
    for block in &mut row.blocks {
        block.floor = None;
    }
    row
}

/// Seven backends: four with a value, one with a bound, one that never reached 90 %, one that fails.
pub(in crate::report) fn several() -> Sweeps {
    let below = |seconds| Value::Below { seconds };
    let mut bounded = row("alpha", 20e-9);
    (bounded.metg, bounded.value) = (Some(below(1e-7)), Some(below(5e-8)));
    (bounded.metg_interval, bounded.interval) = (None, None);
    for block in &mut bounded.blocks {
        block.outcome = SweepOutcome::Value { metg: below(1e-7), value: below(5e-8) };
    }
    let mut busy = row("zeta", 40e-6);
    busy.blocks_with_value = BLOCKS - 1;
    busy.blocks[2].outcome = SweepOutcome::NeverEfficient { kernel_seconds: 0.016, efficiency: 0.74 };
    let mut slow = without_value("delta", 3.0);
    for block in &mut slow.blocks {
        block.outcome = SweepOutcome::NeverEfficient { kernel_seconds: 0.5, efficiency: 0.143 };
    }
    let mut failing = without_value("epsilon", 1e-4);
    failing.curve.clear();
    for block in &mut failing.blocks {
        block.points.truncate(1);
        let point = &mut block.points[0];
        (point.status, point.seconds, point.efficiency) = (Status::Failed, None, None);
        point.granularity_seconds = None;
        block.outcome = SweepOutcome::Failed {
            status: Status::Failed,
            phase: "run".into(),
            message: "the worker was ended by SIGSEGV".into(),
            remedy: Some("crossrun run --isolation none".into()),
        };
    }
    let mut invalid = row("gamma", 5.4e-3);
    invalid.blocks_with_value = BLOCKS - 1;
    invalid.blocks[3].outcome = SweepOutcome::Invalid { kernel_seconds: 0.033, efficiency: 1.21 };
    Sweeps {
        version: VERSION,
        target: 0.5,
        rows: vec![bounded, row("native", 1.02e-6), busy, row("beta", 163e-6), invalid, slow, failing],
        machines: vec![SystemProfile {
            hostname: Some("machine".into()),
            cpu_model: Some("A Processor of 2 GHz".into()),
            cpu_logical_cores: Some(2),
            ..SystemProfile::default()
        }],
        warnings: vec!["the session was postponed once, because the machine was noisy (1 trial)".into()],
        ..Sweeps::default()
    }
}

/// A backend that runs the dependencies of tasks and one that runs stages, on three graphs with two lengths of an output. One sweep
/// failed, and one graph was measured on one of them only.
pub(in crate::report) fn graphs() -> Sweeps {
    let graph = |pattern: &str, radix, bytes, form| SweptGraph {
        workload: "task_graph".into(),
        pattern: Some(pattern.into()),
        radix,
        output_bytes: Some(bytes),
        settings: [].into(),
        width: 8,
        steps: 100,
        form: Some(form),
    };
    let mut rows = Vec::new();
    for (pattern, radix, factor) in
        [("nearest", Some(1), 2.0), ("nearest", Some(3), 3.0), ("trivial", None, 1.0)]
    {
        for (bytes, longer) in [(64, 1.0), (65_536, 5.0)] {
            for (backend, form, floor) in [("native", Form::Graph, 1e-6), ("spark", Form::Stages, 4e-3)] {
                let graph = Some(graph(pattern, radix, bytes, form));
                let mut row = Row { graph, blocks_with_value: 2, ..row(backend, floor * factor * longer) };
                row.blocks.truncate(2);
                rows.push(row);
            }
        }
    }
    rows.pop();
    let failed = SweepOutcome::Failed {
        status: Status::Wrong,
        phase: "judge".into(),
        message: "8 items reached the sink, but 16 must".into(),
        remedy: None,
    };
    (rows[1].blocks[0].outcome, rows[1].blocks_with_value) = (failed, 1);
    Sweeps { tables: tables(&rows), rows, ..several() }
}

/// Names and reasons with hostile text.
pub(in crate::report) fn hostile() -> Sweeps {
    let harm = "</text><script>alert(1)</script>|\x1b[2J\u{202e}`*_[x](http://x)";
    let (mut sweeps, mut of_graphs) = (several(), graphs());
    for (number, row) in of_graphs.rows.iter_mut().enumerate() {
        let graph = row.graph.as_mut().unwrap();
        graph.pattern = Some(format!("{harm}{number}"));
        graph.settings.insert(harm.into(), format!("{harm}{}", number % 3).into());
    }
    sweeps.rows.extend(of_graphs.rows);
    for row in &mut sweeps.rows {
        (row.backend, row.label) = (harm.into(), harm.into());
        for block in &mut row.blocks {
            block.outcome = SweepOutcome::Failed {
                status: Status::Wrong,
                phase: harm.into(),
                message: harm.repeat(20),
                remedy: Some(harm.into()),
            };
            for point in &mut block.points {
                point.command = Some(harm.into());
                point.log = Some(harm.into());
            }
        }
    }
    sweeps.warnings = vec![harm.into()];
    sweeps.tables = tables(&sweeps.rows);
    sweeps
}
