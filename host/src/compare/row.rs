//! The row of a group of trials.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::group::Group;
use super::model::{
    ComparedLatency, Counts, Efficiency, FailureGroup, LatencySpread, MedianIntervals, OpenLoopLatency,
    PercentileSpread, Resources, Row, Sample, Spread, Stages, Status,
};
use super::trial::Trial;
use super::versions::together;
use crate::first_seen::grouped;
use crate::record::outcome::figure;
use crate::record::{Metadata, OpenLoop, Percentiles, UnifiedRecord};
use crate::stats::{Variation, median, median_interval, samples_needed};

/// The row of a group, without its comparison.
pub(super) fn summarized(group: &Group<'_>, label: String) -> Row {
    let compared_latency = compared_latency(group);
    Row {
        backend: group.identity.backend.to_owned(),
        label,
        machine: group.identity.machine,
        plugin: group.plugin().cloned(),
        workload_library: group.workload_library().cloned(),
        versions: versions(group),
        form: group.form(),
        config_hash: group.identity.config_hash.map(str::to_owned),
        cores: group.identity.conditions.cores,
        counts: counts(&group.measured),
        input_rate: rates(group, input_rate),
        output_rate: rates(group, |trial, _| figure(trial.record.throughput)),
        duration: over(group, |_, seconds| Some(seconds)),
        median_intervals: median_intervals(group, compared_latency.is_some()),
        variation: Variation::of(&group.successes().map(|(_, seconds)| seconds).collect::<Vec<_>>()),
        unsettled: group.measured.iter().filter(|trial| trial.is_unsettled()).count() as u32,
        latency: latency(group),
        compared_latency,
        open_loop: open_loop(group),
        stages: stages(group),
        resources: resources(group),
        efficiency: efficiency(group),
        failures: failures(&group.measured),
        samples: group.measured.iter().map(sample).collect(),
        ..Row::default()
    }
}

/// Preferably of the successful trials: an engine that did not start has not reported its version.
fn versions(group: &Group<'_>) -> Map<String, Value> {
    let reported = together(group.successes().map(|(trial, _)| &trial.metadata().versions));
    let first = || group.first().map(|trial| trial.metadata().versions.clone()).unwrap_or_default();
    if reported.is_empty() { first() } else { reported }
}

/// The spread of a value over the successful trials, which `read` takes from a trial and its seconds.
fn over(group: &Group<'_>, read: impl Fn(&Trial<'_>, f64) -> Option<f64>) -> Option<Spread> {
    spread(group.successes().filter_map(|(trial, seconds)| read(trial, seconds)))
}

fn spread(values: impl Iterator<Item = f64>) -> Option<Spread> {
    // A quotient of two recorded figures may be no number.
    let values: Vec<_> = values.filter(|value| value.is_finite()).collect();
    Some(Spread {
        n: values.len() as u32,
        min: values.iter().copied().min_by(f64::total_cmp)?,
        median: median(&values)?,
        max: values.iter().copied().max_by(f64::total_cmp)?,
    })
}

/// The spread of rates. Between two middle ones the median is their harmonic mean: a run of the median duration has that rate.
fn rates(group: &Group<'_>, read: impl Fn(&Trial<'_>, f64) -> Option<f64>) -> Option<Spread> {
    let mut rates: Vec<_> = group.successes().filter_map(|(trial, seconds)| read(trial, seconds)).collect();
    rates.sort_by(f64::total_cmp);
    let spread = spread(rates.iter().copied())?;
    let half = rates.len() / 2;
    let median =
        if rates.len() % 2 == 1 { spread.median } else { 2.0 / (1.0 / rates[half - 1] + 1.0 / rates[half]) };
    Some(Spread { median, ..spread })
}

/// Input items per second. The rate of a very short run may overflow.
fn input_rate(trial: &Trial<'_>, seconds: f64) -> Option<f64> {
    figure(Some(trial.items()? as f64 / seconds))
}

fn median_intervals(group: &Group<'_>, has_latency: bool) -> Option<MedianIntervals> {
    let of = |read: fn(&Trial<'_>, f64) -> Option<f64>| {
        let values = group.successes().filter_map(|(trial, seconds)| read(trial, seconds));
        median_interval(&values.collect::<Vec<_>>())
    };
    let compared = || group.compared().map(|(_, seconds)| seconds).collect::<Vec<_>>();
    Some(MedianIntervals {
        duration: of(|_, seconds| Some(seconds))?,
        input_rate: of(input_rate),
        latency: has_latency.then(compared).and_then(|seconds| median_interval(&seconds)),
    })
}

fn counts(measured: &[Trial<'_>]) -> Counts {
    let mut counts = Counts { trials: measured.len() as u32, ..Counts::default() };
    for trial in measured {
        *match trial.status() {
            Status::Verified => &mut counts.verified,
            Status::Unverified => &mut counts.unverified,
            Status::Wrong => &mut counts.wrong,
            Status::Invalid => &mut counts.invalid,
            Status::Failed => &mut counts.failed,
        } += 1;
    }
    counts
}

fn latency(group: &Group<'_>) -> Option<LatencySpread> {
    let percentile = |of: fn(&UnifiedRecord) -> Option<f64>| {
        let of_trials = group.successes().map(|(trial, _)| in_seconds(of(&trial.record)));
        // A median of only those trials that have the percentile would be biased.
        spread(of_trials.collect::<Option<Vec<_>>>()?.into_iter())
    };
    let latency = LatencySpread {
        p50: percentile(|record| record.latency_p50),
        p95: percentile(|record| record.latency_p95),
        p99: percentile(|record| record.latency_p99),
    };
    (latency != LatencySpread::default()).then_some(latency)
}

fn compared_latency(group: &Group<'_>) -> Option<ComparedLatency> {
    let percentile = Percentiles::name(group.percentile?)?;
    let seen =
        group.compared().filter_map(|(trial, seconds)| Some((seconds, trial.metadata().open_loop.as_ref()?)));
    let mut seen: Vec<_> = seen.collect();
    seen.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (_, middle) = *seen.get(seen.len().checked_sub(1)? / 2)?;
    let curve = |percentiles: &Option<Percentiles>| {
        percentiles.as_ref().map(|it| it.curve.clone()).unwrap_or_default()
    };
    Some(ComparedLatency {
        percentile: percentile.into(),
        spread: spread(seen.iter().map(|(seconds, _)| *seconds))?,
        scheduled: curve(&middle.scheduled),
        service: curve(&middle.service),
    })
}

fn open_loop(group: &Group<'_>) -> Option<OpenLoopLatency> {
    let loops: Vec<_> =
        group.successes().filter_map(|(trial, _)| trial.metadata().open_loop.as_ref()).collect();
    let samples = loops.iter().map(|it| it.scheduled.as_ref().map_or(0, |scheduled| scheduled.samples));
    let over_blocks = |place: usize, which: fn(&OpenLoop) -> &Option<Percentiles>| {
        let of = |it: &&OpenLoop| in_seconds(which(it).as_ref()?.named().get(place)?.2);
        spread(loops.iter().map(of).collect::<Option<Vec<_>>>()?.into_iter())
    };
    let percentiles = Percentiles::default().named();
    let percentile = |(place, (name, quantile, _)): (usize, (&str, f64, _))| {
        Some(PercentileSpread {
            name: name.into(),
            quantile,
            samples_needed: samples_needed(quantile)?,
            scheduled: over_blocks(place, |it| &it.scheduled),
            service: over_blocks(place, |it| &it.service),
            generator_lag: over_blocks(place, |it| &it.generator_lag),
        })
    };
    Some(OpenLoopLatency {
        shared_clock: loops.iter().all(|it| it.shared_clock),
        samples: samples.min()?,
        percentiles: percentiles.into_iter().enumerate().filter_map(percentile).collect(),
    })
}

/// From the milliseconds of a record.
fn in_seconds(milliseconds: Option<f64>) -> Option<f64> {
    milliseconds.filter(|latency| latency.is_finite() && *latency >= 0.0).map(|latency| latency / 1e3)
}

/// Each trial records the phases of its engine, which count once in each block.
fn stages(group: &Group<'_>) -> Stages {
    let phase = |read: fn(&Metadata) -> Option<f64>| {
        spread(first_of_each_block(group.trials(), |trial| read(trial.metadata())))
    };
    Stages {
        load: phase(|metadata| metadata.phases.load_seconds),
        open: phase(|metadata| metadata.phases.open_seconds),
        // With its preparation, in which an engine may do what it has put off until then.
        first: spread(first_of_each_block(group.warm_ups.iter(), |trial| {
            Some(trial.duration()? + trial.metadata().phases.prepare_seconds.unwrap_or_default())
        })),
        prepare: over(group, |trial, _| trial.metadata().phases.prepare_seconds),
        close: phase(|metadata| metadata.phases.close_seconds),
    }
}

fn first_of_each_block<'t, 'a: 't>(
    trials: impl Iterator<Item = &'t Trial<'a>>,
    read: impl Fn(&Trial<'a>) -> Option<f64>,
) -> impl Iterator<Item = f64> {
    let mut seen = HashSet::new();
    let values = trials.filter_map(|trial| Some((trial.repetition(), read(trial)?)));
    let first: Vec<_> = values.filter(|(repetition, _)| seen.insert(*repetition)).collect();
    first.into_iter().map(|(_, value)| value)
}

fn resources(group: &Group<'_>) -> Option<Resources> {
    let cpu = |trial: &Trial<'_>| trial.metadata().resources.cpu_seconds;
    let peak = |trial: &Trial<'_>| Some(trial.metadata().resources.peak_memory_bytes? as f64);
    let shared_once = |trial: &Trial<'_>| Some(trial.metadata().resources.memory_bytes? as f64);
    let memory = |trial: &Trial<'_>| shared_once(trial).or_else(|| peak(trial));
    let resources = Resources {
        cpu_seconds: over(group, |trial, _| cpu(trial)),
        peak_memory_bytes: over(group, |trial, _| peak(trial)),
        memory_bytes: over(group, |trial, _| shared_once(trial)),
        cpu_seconds_per_item: over(group, |trial, _| part(cpu(trial)?, trial.items()? as f64)),
        memory_bytes_per_item: over(group, |trial, _| part(memory(trial)?, trial.items()? as f64)),
        cores_used: over(group, |trial, seconds| part(cpu(trial)?, seconds)),
    };
    (resources != Resources::default()).then_some(resources)
}

/// What was used for each. It may be nothing: where CPU time is read in ticks, a short run may have none, and the median of the other
/// runs alone would be too large.
fn part(used: f64, of: f64) -> Option<f64> {
    Some(used / of).filter(|each| *each >= 0.0)
}

fn efficiency(group: &Group<'_>) -> Option<Efficiency> {
    let efficiency = Efficiency {
        reference_cpu_seconds: over(group, |trial, _| figure(trial.metadata().reference_cpu_seconds)),
        efficiency: over(group, |trial, _| figure(trial.metadata().efficiency)),
        // The overhead may be below zero where the reference was taken under load.
        overhead_seconds_per_item: over(group, |trial, _| trial.metadata().overhead_seconds_per_item),
    };
    (efficiency != Efficiency::default()).then_some(efficiency)
}

/// The failures grouped by reason, the most frequent first.
fn failures(measured: &[Trial<'_>]) -> Vec<FailureGroup> {
    let failed = measured.iter().enumerate().filter_map(|(at, trial)| {
        let failure = trial.outcome.error()?;
        Some(((trial.status(), &failure.phase, failure.fault.label()), (at, failure)))
    });
    let mut groups = Vec::new();
    for ((status, phase, kind), failures) in grouped(failed) {
        let (_, first) = failures[0];
        let others = failures.iter().filter(|(_, failure)| failure.message != first.message);
        groups.push(FailureGroup {
            status,
            phase: phase.clone().into_owned(),
            kind: kind.into_owned(),
            message: first.message.clone(),
            other_messages: others.count() as u32,
            remedy: first.remedy.clone(),
            count: failures.len() as u32,
            samples: failures.iter().map(|(at, _)| *at).collect(),
        });
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

fn sample(trial: &Trial<'_>) -> Sample {
    let (record, metadata) = (&trial.record, trial.metadata());
    Sample {
        source: trial.source.clone(),
        status: trial.status(),
        run_id: record.run_id.clone(),
        run_started: trial.run_started.clone(),
        block: metadata.block,
        timestamp: record.timestamp.clone(),
        duration: trial.duration(),
        command: metadata.command.clone(),
        log: metadata.log.clone(),
        warnings: metadata.warnings.clone(),
    }
}
