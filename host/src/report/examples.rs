//! Comparisons for the tests of every format, without clock and randomness.

use serde_json::{Map, json};

use crate::compare::model::*;

/// Seven blocks, the default of a comparison.
const BLOCKS: u32 = 7;

/// The durations of the blocks in relation to the median.
const SCATTER: [f64; 7] = [1.0, 0.97, 1.02, 0.99, 1.05, 0.985, 1.01];

pub(super) fn empty() -> Comparison {
    Comparison { version: VERSION, margin: 1.05, ..Comparison::default() }
}

pub(super) fn point(workload: &str, items: Option<u64>, parallelism: u32) -> Point {
    let written = items.map_or_else(|| "unknown".into(), |items| items.to_string());
    Point {
        id: format!("{workload}/items={written}/parallelism={parallelism}/scheduler=default"),
        workload: workload.into(),
        items,
        parallelism,
        scheduler: "default".into(),
        nodes: 1,
        ..Point::default()
    }
}

/// What an A/A comparison under these two names shows.
pub(super) fn noise_floor(names: [&str; 2], factor: f64) -> Option<NoiseFloor> {
    let ratio = RatioInterval { low: 1.0 / factor, high: factor, confidence: 0.95 };
    Some(NoiseFloor { names: names.map(str::to_owned), ratio, factor })
}

pub(super) fn spread(median: f64) -> Spread {
    Spread { n: BLOCKS, min: median * 0.97, median, max: median * 1.05 }
}

fn sample(label: &str, block: u32, duration: Option<f64>, status: Status) -> Sample {
    Sample {
        source: Source { file: "results/run/trials.jsonl".into(), line: u64::from(block) * 20 + 1 },
        status,
        run_id: "20260221-035847/pipeline".into(),
        run_started: None,
        block: Some(block),
        timestamp: format!("2026-02-21T04:{block:02}:47.134641+00:00"),
        duration,
        command: Some(format!(
            "crossrun run --backend {label} --workload pipeline --items 1000 --parallelism 2 --seed 1721696113546224{block:04} --extra iters=250"
        )),
        log: Some(format!("logs/run/{label}.log")),
        warnings: Vec::new(),
    }
}

/// A row of 0.33 s, or the baseline if there is no ratio.
pub(super) fn row(label: &str, ratio: Option<f64>) -> Row {
    timed_row(label, ratio, 0.33 / ratio.unwrap_or(1.0), 1000.0)
}

fn timed_row(label: &str, ratio: Option<f64>, seconds: f64, items: f64) -> Row {
    let samples = (0..BLOCKS)
        .zip(SCATTER)
        .map(|(block, part)| sample(label, block, Some(seconds * part), Status::Verified));
    Row {
        is_baseline: ratio.is_none(),
        compared_with: ratio.map(|_| "alpha".into()),
        counts: Counts { trials: BLOCKS, verified: BLOCKS, ..Counts::default() },
        input_rate: Some(rate(items, seconds)),
        output_rate: Some(rate(items / 2.0, seconds)),
        duration: Some(spread(seconds)),
        median_intervals: Some(MedianIntervals {
            duration: of_median(spread(seconds)),
            input_rate: Some(of_median(rate(items, seconds))),
            latency: None,
        }),
        variation: Some(Variation { coefficient: 0.026, slowest_to_fastest: 1.08 }),
        stages: Stages {
            load: Some(spread(0.0031)),
            open: Some(spread(seconds * 2.0)),
            first: Some(spread(seconds * 1.4)),
            prepare: None,
            close: Some(spread(0.012)),
        },
        resources: Some(Resources {
            cpu_seconds: Some(spread(seconds * 1.9)),
            peak_memory_bytes: Some(spread(28_311_552.0 * (1.0 + seconds))),
            cpu_seconds_per_item: Some(spread(seconds * 1.9 / items)),
            memory_bytes: Some(spread(20_971_520.0 * (1.0 + seconds))),
            memory_bytes_per_item: Some(spread(20_971_520.0 * (1.0 + seconds) / items)),
            cores_used: Some(spread(1.9)),
        }),
        efficiency: Some(Efficiency {
            reference_cpu_seconds: Some(spread(seconds * 1.6)),
            efficiency: Some(spread(0.8)),
            overhead_seconds_per_item: Some(spread(seconds * 0.4 / items)),
        }),
        ratio: ratio.map(judged),
        samples: samples.collect(),
        ..row_without_figures(label)
    }
}

fn row_without_figures(label: &str) -> Row {
    Row {
        backend: label.into(),
        label: label.into(),
        compared_with: Some("alpha".into()),
        machine: Some(0),
        plugin: Some(library(label)),
        workload_library: Some(library("standard_workloads")),
        versions: Map::from_iter([("crossrun".into(), json!("0.1.0")), ("engine".into(), json!("9.1"))]),
        config_hash: Some("65cdbe3c1370a167".repeat(4)),
        ..Row::default()
    }
}

/// The interval of the median of seven values: from the smallest to the largest.
fn of_median(spread: Spread) -> RatioInterval {
    RatioInterval { low: spread.min, high: spread.max, confidence: 0.984_375 }
}

fn rate(items: f64, seconds: f64) -> Spread {
    Spread { n: BLOCKS, min: items / seconds / 1.05, median: items / seconds, max: items / seconds / 0.97 }
}

fn library(name: &str) -> Library {
    // Rows of one file would be an A/A comparison.
    let hash = name.bytes().fold(0, |hash: u32, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    let build = [("rustc", json!("1.95.0")), ("opt_level", json!("3")), ("debug_assertions", json!(false))];
    Library {
        path: format!("plugins/lib{name}.so"),
        sha256: format!("{hash:08x}").repeat(8),
        version: Some("1.2.3".into()),
        build: build.map(|(key, value)| (key.to_owned(), value)).into_iter().collect(),
        locked_by: None,
        path_bytes: None,
    }
}

/// The ratio with an interval of ±4 %, and its verdict.
fn judged(estimate: f64) -> Ratio {
    let (low, high) = (estimate / 1.04, estimate * 1.04);
    let verdict = match () {
        () if low > 1.05 => Verdict::Faster,
        () if high < 1.0 / 1.05 => Verdict::Slower,
        () if low > 1.0 / 1.05 && high < 1.05 => Verdict::Equivalent,
        () => Verdict::Inconclusive { more_blocks: Some(5) },
    };
    Ratio {
        estimate,
        paired: true,
        blocks: BLOCKS,
        interval: Some(RatioInterval { low, high, confidence: 0.984_375 }),
        p_value: Some(0.015_625),
        margin_p_value: Some(0.031_25),
        mean_ratio: Some(MeanRatio {
            estimate: estimate * 0.99,
            interval: Some(RatioInterval { low: low * 0.98, high, confidence: 0.95 }),
        }),
        autocorrelation: Some(-0.1),
        verdict: Some(verdict),
        ..Ratio::default()
    }
}

pub(super) fn failed_row(label: &str, kind: &str, message: &str) -> Row {
    let status = if kind == "wrong_answer" { Status::Wrong } else { Status::Failed };
    let samples = (0..BLOCKS).map(|block| sample(label, block, None, status)).collect();
    Row {
        counts: Counts { trials: BLOCKS, failed: BLOCKS, ..Counts::default() },
        efficiency: row(label, Some(1.0)).efficiency,
        failures: vec![FailureGroup {
            status,
            phase: "run".into(),
            kind: kind.into(),
            message: message.into(),
            other_messages: 0,
            remedy: Some("crossrun run --isolation none".into()),
            count: BLOCKS,
            samples: (0..BLOCKS as usize).collect(),
        }],
        no_ratio: Some(NoRatio::Failed),
        samples,
        ..row_without_figures(label)
    }
}

fn filled(mut point: Point, seconds: f64, others: &[(&str, f64)]) -> Point {
    let items = point.items.unwrap_or_default() as f64;
    point.rows.push(timed_row("alpha", None, seconds, items));
    let others = others.iter().map(|(label, ratio)| timed_row(label, Some(*ratio), seconds / ratio, items));
    point.rows.extend(others);
    point
}

fn machine() -> SystemProfile {
    SystemProfile {
        hostname: Some("machine".into()),
        os: Some("Linux 6.6.87".into()),
        arch: Some("x86_64".into()),
        cpu_model: Some("A Processor of 2 GHz".into()),
        cpu_physical_cores: Some(2),
        cpu_logical_cores: Some(4),
        memory_gb: Some(11.68),
        governor: Some("performance".into()),
        smt: Some(false),
        cpu_quota: Some(1.5),
        mitigations: Some([("spectre_v1".to_owned(), "Mitigation: barriers".to_owned())].into()),
        ..SystemProfile::default()
    }
}

pub(super) fn reading() -> MachineReading {
    let check = MachineCheck {
        nanos_per_iteration: 1.25,
        steal_share: Some(0.01),
        preemptions: 3,
        ..MachineCheck::default()
    };
    MachineReading { run: "look".into(), block: Some(0), backend: "beta".into(), check }
}

/// Three backends on four workloads: every verdict, one failure, one warning.
pub(super) fn several_workloads() -> Comparison {
    let mut imbalance = filled(point("imbalance", Some(20_000), 2), 1.1, &[("beta", 0.82)]);
    let message = "the worker was ended by SIGSEGV while it ran, after 3 batches of 16 items in 2 stages";
    imbalance.rows.push(failed_row("gamma", "crashed", message));
    let warning = Warning {
        kind: WarningKind::OnlySleep,
        message: "scheduler_comparison only sleeps: it tells schedulers apart, not engines".into(),
        points: vec!["scheduler_comparison/items=100/parallelism=2/scheduler=default".into()],
    };
    let mean = |backend: &str, ratio: f64| Geomean {
        backend: backend.into(),
        ratio: Some(ratio),
        interval: Some(RatioInterval { low: ratio / 1.03, high: ratio * 1.03, confidence: 0.984_375 }),
        covered: 2,
        points: 3,
        left_out: vec!["scheduler_comparison/items=100/parallelism=2/scheduler=default".into()],
        mixed: false,
    };
    Comparison {
        baseline: Some("alpha".into()),
        points: vec![
            filled(point("scheduler_comparison", Some(100), 2), 0.505, &[("beta", 1.0), ("gamma", 0.96)]),
            filled(point("pipeline", Some(1000), 2), 0.033, &[("beta", 1.31), ("gamma", 0.0021)]),
            imbalance,
            filled(point("word_count", Some(1_200_000), 2), 0.91, &[("beta", 1.07), ("gamma", 0.5)]),
        ],
        geomeans: vec![mean("beta", 1.12), mean("gamma", 0.1)],
        noise_floor: Some(1.018),
        machines: vec![machine()],
        warnings: vec![warning],
        ..empty()
    }
}

/// One workload at three parallelisms and two sizes.
pub(super) fn scaling() -> Comparison {
    let at = |parallelism: u32, items: u64| {
        let seconds = items as f64 / 2000.0 / f64::from(parallelism).powf(0.8);
        let others = [("beta", 1.0 / f64::from(parallelism)), ("gamma", 0.01)];
        filled(point("pipeline", Some(items), parallelism), seconds, &others)
    };
    let points =
        [1, 2, 4].into_iter().flat_map(|parallelism| [at(parallelism, 1000), at(parallelism, 100_000)]);
    Comparison {
        baseline: Some("alpha".into()),
        points: points.collect(),
        machines: vec![machine()],
        ..empty()
    }
}

/// A backend with so many items in each trial, and these medians of scheduled and service latency in milliseconds.
fn with_latency(label: &str, ratio: Option<f64>, samples: u64, [due, made]: [f64; 2]) -> Row {
    // An exponential tail, as a queue has.
    let at = |quantile: f64, middle: f64| middle / 1e3 * (1.0 + (0.5 / (1.0 - quantile)).ln());
    let named = crate::record::Percentiles::default().named();
    let percentiles = named.map(|(name, quantile, _)| {
        let samples_needed = crate::stats::samples_needed(quantile).unwrap();
        let figure = |middle| (samples >= samples_needed).then(|| spread(at(quantile, middle)));
        let (scheduled, service) = (figure(due), figure(made));
        let generator_lag = scheduled.map(|_| spread(20e-6));
        PercentileSpread { name: name.into(), quantile, samples_needed, scheduled, service, generator_lag }
    });
    let enough = |quantile: &f64| crate::stats::samples_needed(*quantile).is_some_and(|it| samples >= it);
    let quantiles = [0.5, 0.625, 0.75, 0.875, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999];
    let curve = |middle: f64| {
        let known =
            quantiles.into_iter().filter(enough).map(|quantile| (quantile, at(quantile, middle) * 1e3));
        [(0.0, middle / 5.0)].into_iter().chain(known).collect::<Vec<_>>()
    };
    let highest = percentiles.iter().rev().find(|it| it.name != "p99.9" && it.scheduled.is_some()).unwrap();
    let middle = highest.scheduled.unwrap();
    let row = row(label, ratio);
    let of_latency = |it| MedianIntervals { latency: Some(of_median(middle)), ..it };
    Row {
        median_intervals: row.median_intervals.map(of_latency),
        compared_latency: Some(ComparedLatency {
            percentile: highest.name.clone(),
            spread: middle,
            scheduled: curve(due),
            service: curve(made),
        }),
        open_loop: Some(OpenLoopLatency { shared_clock: true, samples, percentiles: percentiles.into() }),
        ..row
    }
}

/// An open loop at two rates: all percentiles, too few items for the highest, no shared clock, and no valid trial.
pub(super) fn open_loop() -> Comparison {
    let at = |rate: u32, rows: Vec<Row>| {
        let mut point = point("open_loop", Some(20_000), 2);
        point.extra.insert("rate".into(), rate.into());
        Point { id: format!("{}/rate={rate}", point.id), rows, ..point }
    };
    let mut several_machines = row("gamma", Some(0.5));
    (several_machines.ratio, several_machines.no_ratio) = (None, Some(NoRatio::NoLatency));
    let alpha = with_latency("alpha", None, 10_000, [0.8, 0.7]);
    let nothing = |it: &PercentileSpread| PercentileSpread {
        scheduled: None,
        service: None,
        generator_lag: None,
        ..it.clone()
    };
    let percentiles = alpha.open_loop.iter().flat_map(|it| &it.percentiles).map(nothing).collect();
    several_machines.open_loop = Some(OpenLoopLatency { shared_clock: false, samples: 0, percentiles });
    let late =
        "the source was late by itself: by 0.300 ms at the 99th percentile, where the latency is 0.900 ms";
    let mut invalid = failed_row("delta", "invalid_measurement", late);
    invalid.failures[0].status = Status::Invalid;
    let slower = |samples| with_latency("beta", Some(0.1), samples, [9.0, 1.1]);
    Comparison {
        baseline: Some("alpha".into()),
        points: vec![
            at(2000, vec![alpha, slower(10_000), several_machines, invalid]),
            at(500, vec![with_latency("alpha", None, 400, [0.7, 0.6]), slower(400)]),
        ],
        machines: vec![machine()],
        ..empty()
    }
}

/// Three blocks: ratios, but neither intervals nor verdicts.
pub(super) fn quick() -> Comparison {
    let mut comparison = several_workloads();
    comparison.rigor = Rigor::Quick;
    for row in comparison.points.iter_mut().flat_map(|point| &mut point.rows) {
        row.samples.truncate(3);
        row.counts.trials = 3;
        row.counts.verified = row.counts.verified.min(3);
        row.counts.failed = row.counts.failed.min(3);
        for failure in &mut row.failures {
            failure.count = 3;
            failure.samples.truncate(3);
        }
        if let Some(ratio) = &mut row.ratio {
            (ratio.interval, ratio.verdict, ratio.p_value) = (None, None, None);
            (ratio.blocks, ratio.no_interval) = (3, Some(NoInterval::Quick));
        }
    }
    comparison
}

/// Records of the original project and ours: a different machine, and unverified answers.
pub(super) fn original() -> Comparison {
    let mut point = filled(point("scheduler_comparison", None, 4), 0.5, &[]);
    point.rows[0].input_rate = None;
    point.rows[0].output_rate = Some(rate(50.0, 0.5));
    let mut theirs = row("theirs", Some(0.2));
    theirs.machine = Some(1);
    theirs.counts = Counts { trials: 1, unverified: 1, ..Counts::default() };
    (theirs.ratio, theirs.no_ratio, theirs.input_rate) = (None, Some(NoRatio::Incomparable), None);
    (theirs.plugin, theirs.workload_library, theirs.resources) = (None, None, None);
    theirs.stages = Stages::default();
    theirs.incomparable = vec![Incomparable::Machine { keys: vec!["hostname".into(), "cpu_model".into()] }];
    theirs.samples.truncate(1);
    theirs.samples[0].status = Status::Unverified;
    (theirs.samples[0].command, theirs.samples[0].log, theirs.samples[0].block) = (None, None, None);
    point.rows.push(theirs);
    let warning = Warning {
        kind: WarningKind::Unverified,
        message: "nobody verified the answers of 1 record".into(),
        points: vec![point.id.clone()],
    };
    let other = SystemProfile { hostname: Some("laptop".into()), ..machine() };
    Comparison {
        baseline: Some("alpha".into()),
        points: vec![point],
        machines: vec![machine(), other],
        warnings: vec![warning],
        ..empty()
    }
}

/// Hostile text of a plugin.
pub(super) const HOSTILE: &str =
    "</pre></script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>|{{ 7*7 }}\u{202e}\x1b[2J\u{0}";

/// Every text from plugins and records is [`HOSTILE`], or long.
pub(super) fn hostile() -> Comparison {
    let mut comparison = several_workloads();
    let long = "x".repeat(10_000);
    comparison.baseline = Some(HOSTILE.into());
    comparison.machines[0].cpu_model = Some(HOSTILE.into());
    comparison.machines[0].other.insert(HOSTILE.into(), json!(HOSTILE));
    comparison.warnings[0].message = format!("{HOSTILE}{long}");
    comparison.geomeans[0].backend = HOSTILE.into();
    for point in &mut comparison.points {
        (point.id, point.workload) = (format!("{}{HOSTILE}", point.id), HOSTILE.into());
        point.scheduler = HOSTILE.into();
        point.extra.insert(HOSTILE.into(), json!([HOSTILE]));
        point.rows.iter_mut().for_each(make_hostile);
    }
    comparison
}

fn make_hostile(row: &mut Row) {
    let long = "x".repeat(10_000);
    row.label = format!("{HOSTILE}{}", row.label);
    row.compared_with = row.compared_with.as_ref().map(|label| format!("{HOSTILE}{label}"));
    row.backend = HOSTILE.into();
    row.versions.insert(HOSTILE.into(), json!({ HOSTILE: long }));
    if let Some(library) = &mut row.plugin {
        (library.path, library.version) = (HOSTILE.into(), Some(HOSTILE.into()));
        library.sha256 = "ab12cd34".repeat(8);
        library.build.insert(HOSTILE.into(), json!(HOSTILE));
    }
    for failure in &mut row.failures {
        (failure.phase, failure.kind) = (HOSTILE.into(), HOSTILE.into());
        (failure.message, failure.remedy) = (format!("{HOSTILE}\n{long}"), Some(HOSTILE.into()));
    }
    row.incomparable = vec![Incomparable::Configuration { keys: vec![HOSTILE.into()] }];
    for sample in &mut row.samples {
        (sample.source.file, sample.run_id) = (HOSTILE.into(), HOSTILE.into());
        (sample.timestamp, sample.command) =
            (HOSTILE.into(), Some(format!("{HOSTILE} {}", sample.timestamp)));
        (sample.log, sample.warnings) = (Some(HOSTILE.into()), vec![HOSTILE.into()]);
    }
}

pub(super) fn many_failures(count: usize) -> Comparison {
    let mut comparison = several_workloads();
    comparison.points.truncate(1);
    let failed = (0..count).map(|place| failed_row(&format!("backend_{place}"), "crashed", "it crashed"));
    comparison.points[0].rows = failed.collect();
    comparison
}

/// This many rows, in points of four, over four workloads.
pub(super) fn large(rows: u32) -> Comparison {
    let at = |place: u32| {
        let workload = ["pipeline", "imbalance", "word_count", "null"][place as usize % 4];
        let (items, parallelism) = (10u64.pow(3 + place / 4 % 3), 1 << (place / 12 % 4));
        let mut point = point(workload, Some(items), parallelism);
        point.extra.insert("iters".into(), (place / 48).into());
        filled(point, 0.01 * f64::from(place + 1), &[("beta", 0.9), ("gamma", 0.02), ("delta", 1.3)])
    };
    let mut comparison = Comparison {
        baseline: Some("alpha".into()),
        points: (0..rows / 4).map(at).collect(),
        machines: vec![machine()],
        ..empty()
    };
    for row in comparison.points.iter_mut().flat_map(|point| &mut point.rows) {
        let label = row.label.clone();
        row.samples.extend((7..10).map(|block| sample(&label, block, Some(0.1), Status::Verified)));
    }
    comparison
}

/// Text for a terminal without the codes that colour it.
pub(super) fn without_colours(text: &str) -> String {
    let (first, coloured) = text.split_once('\x1b').unwrap_or((text, ""));
    let parts = coloured.split('\x1b').map(|part| part.split_once('m').map_or("", |(_, rest)| rest));
    [first].into_iter().chain(parts).collect()
}
