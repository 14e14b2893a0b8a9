//! What stands behind each row: every figure, every trial, and the command that repeats it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::layout::{Layout, Placed};
use crate::compare::model::{NoInterval, NoRatio, Ratio, Row, Sample, Spread, Status, Withheld};
use crate::report::{figure, words};

#[derive(Serialize)]
pub(super) struct Evidence {
    /// The file of all records, if it is one.
    file: Option<String>,
    groups: Vec<Group>,
}

/// The rows of a workload.
#[derive(Serialize)]
struct Group {
    workload: String,
    rows: Vec<Backing>,
}

#[derive(Serialize)]
struct Backing {
    cell: usize,
    point: usize,
    label: String,
    settings: String,
    said: String,
    figures: Vec<Figure>,
    judgement: Option<String>,
    differences: Vec<String>,
    failures: Vec<String>,
    command: Option<String>,
    /// If there are several.
    machine: Option<usize>,
    log: Option<String>,
    in_one_file: bool,
    /// That file, if other rows have another.
    file: Option<String>,
    /// Whether not every answer was verified, so that each trial says how it ended.
    answers: bool,
    /// The day on which all trials started, if it is one.
    day: Option<String>,
    /// The option in which their commands differ, if it is one.
    option: Option<String>,
    varying_commands: bool,
    samples: Vec<Trial>,
    notes: Vec<String>,
}

/// A figure over the blocks.
#[derive(Serialize)]
struct Figure {
    name: &'static str,
    median: String,
    min: String,
    max: String,
    /// Of how many trials it is, where that is not how many were measured.
    n: Option<u32>,
}

type Unit = fn(f64) -> String;

/// A measured trial in words.
#[derive(Serialize)]
struct Trial {
    block: String,
    started: String,
    duration: String,
    status: &'static str,
    bad: bool,
    record: String,
    command: String,
}

impl Evidence {
    pub(super) fn of(layout: &Layout<'_>) -> Self {
        let file = one_file(layout.rows().flat_map(|(_, _, row)| &row.samples));
        let first = layout.rows().next().map(|(_, _, row)| row.machine);
        let machines = layout.rows().any(|(_, _, row)| Some(row.machine) != first);
        let backing = |placed: &Placed<'_>| {
            let rows = placed.rows.iter().map(|(cell, row)| Backing {
                machine: row.machine.filter(|_| machines),
                ..backing(placed, *cell, row, file.is_some())
            });
            rows.collect::<Vec<_>>()
        };
        let group = |group: &super::layout::Group<'_>| Group {
            workload: group.workload.clone(),
            rows: group.points.iter().flat_map(backing).collect(),
        };
        Self {
            groups: layout.groups.iter().map(group).collect(),
            file: file.map(|file| words::line(file, 300)),
        }
    }
}

/// The file in which all of these are recorded.
fn one_file<'a>(mut samples: impl Iterator<Item = &'a Sample>) -> Option<&'a str> {
    let file = &samples.next()?.source.file;
    samples.all(|sample| sample.source.file == *file).then_some(file)
}

fn backing(placed: &Placed<'_>, cell: usize, row: &Row, file_is_known: bool) -> Backing {
    let first = row.samples.iter().find_map(|sample| sample.command.as_deref());
    let file = one_file(row.samples.iter());
    let median = words::median(row.duration.as_ref(), figure::duration);
    let mut samples: Vec<_> = row.samples.iter().map(|sample| trial(sample, file.is_some(), first)).collect();
    Backing {
        cell,
        point: placed.number,
        label: words::line(&row.label, 60),
        settings: words::settings(placed.point),
        said: format!("{median}, {} of {} verified", row.counts.verified, row.counts.trials),
        figures: figures(row),
        judgement: judgement(row),
        differences: row.incomparable.iter().map(words::incomparable).collect(),
        failures: row.failures.iter().map(|failure| words::failure(failure, row)).collect(),
        command: first.map(|command| words::line(command, 2000)),
        machine: None,
        log: row.samples.iter().find_map(|sample| sample.log.as_ref()).map(|log| words::line(log, 300)),
        in_one_file: file.is_some(),
        file: file.filter(|_| !file_is_known).map(|file| words::line(file, 300)),
        answers: row.samples.iter().any(|sample| sample.status != Status::Verified),
        varying_commands: samples.iter().any(|trial| !trial.command.is_empty()),
        day: one_prefix(&mut samples, |trial| &mut trial.started),
        option: one_prefix(&mut samples, |trial| &mut trial.command),
        samples,
        notes: notes(&row.samples),
    }
}

fn figures(row: &Row) -> Vec<Figure> {
    let latency = row.latency.unwrap_or_default();
    let resources = row.resources.unwrap_or_default();
    let all: [(_, _, Unit); 12] = [
        ("run", row.duration, figure::duration),
        ("items in per second", row.input_rate, figure::quantity),
        ("items out per second", row.output_rate, figure::quantity),
        ("latency, median", latency.p50, figure::duration),
        ("latency, 95th percentile", latency.p95, figure::duration),
        ("latency, 99th percentile", latency.p99, figure::duration),
        ("load", row.stages.load, figure::duration),
        ("start of the engine", row.stages.open, figure::duration),
        ("first run", row.stages.first, figure::duration),
        ("shutdown", row.stages.close, figure::duration),
        ("processor time", resources.cpu_seconds, figure::duration),
        ("memory, sum of peaks", resources.peak_memory_bytes, figure::memory),
    ];
    let known = all.into_iter().filter_map(|(name, spread, unit)| {
        let Spread { n, min, median, max } = spread?;
        let n = (n != row.counts.trials).then_some(n);
        Some(Figure { name, median: unit(median), min: unit(min), max: unit(max), n })
    });
    known.collect()
}

/// How the ratio came about, or why there is none.
fn judgement(row: &Row) -> Option<String> {
    match (&row.ratio, row.no_ratio) {
        (Some(ratio), _) => Some(ratio_sentence(ratio, row.compared_with.as_deref())),
        (None, Some(why)) => Some(format!("No ratio: {}.", no_ratio(why))),
        (None, None) => None,
    }
}

fn ratio_sentence(ratio: &Ratio, other: Option<&str>) -> String {
    let other = other.map_or_else(|| "the baseline".into(), |label| words::line(label, 60));
    let how = if ratio.paired {
        format!("Hodges-Lehmann over {} blocks", ratio.blocks)
    } else {
        "of the medians".into()
    };
    let mut sentence = format!("{} as fast as {other} ({how})", figure::ratio(ratio.estimate));
    if let Some(interval) = ratio.interval {
        let (bounds, confidence) =
            (figure::interval(interval.low, interval.high), figure::percent(interval.confidence));
        sentence += &format!(", between {bounds} with {confidence} confidence");
    }
    if let Some(p) = ratio.p_value {
        sentence += &format!(", p = {p:.4}");
    }
    if let Some(p) = ratio.adjusted_p_value {
        sentence += &format!(", {p:.4} after Holm");
    }
    sentence.push('.');
    sentence + reservation(ratio)
}

fn reservation(ratio: &Ratio) -> &'static str {
    match (ratio.withheld, ratio.no_interval) {
        (Some(Withheld::BelowNoiseFloor), _) => {
            " Not called a difference: one backend under two names differed as much."
        }
        (Some(Withheld::Holm), _) => {
            " Not called a difference: it does not stand when all of the table is judged together."
        }
        (None, Some(NoInterval::Quick)) => " No interval: a quick comparison has none.",
        (None, Some(NoInterval::TooFewBlocks)) => " No interval: that takes 6 blocks that both finished.",
        (None, Some(NoInterval::Unpaired)) => {
            " No interval: the records do not say which trials belong to one block."
        }
        (None, None) => "",
    }
}

fn no_ratio(why: NoRatio) -> &'static str {
    match why {
        NoRatio::NoBaseline => "the baseline was not measured here",
        NoRatio::BaselineFailed => "the baseline has no successful trial here",
        NoRatio::Failed => "no trial was successful",
        NoRatio::NoLatency => "there are no latencies to compare",
        NoRatio::NoCommonBlock => "in no block did both succeed",
        NoRatio::Incomparable => "what should be equal differs",
    }
}

fn trial(sample: &Sample, one_file: bool, command: Option<&str>) -> Trial {
    let Sample { source, status, block, timestamp, duration, .. } = sample;
    let line = source.line;
    Trial {
        block: words::block(*block),
        started: moment(timestamp),
        duration: duration.map_or_else(|| words::NONE.into(), figure::duration),
        status: status.word(),
        bad: !status.has_figures(),
        record: if one_file {
            line.to_string()
        } else {
            format!("{}:{line}", words::line(&source.file, 300))
        },
        command: difference(command, sample.command.as_deref()),
    }
}

/// A time stamp to the second.
fn moment(timestamp: &str) -> String {
    words::line(timestamp.get(..19).unwrap_or(timestamp), 32).replacen('T', " ", 1)
}

/// In which words a command differs from the one that is shown whole: usually the seed of its data. All of it, if it is
/// another one.
fn difference(shown: Option<&str>, command: Option<&str>) -> String {
    let Some(shown) = shown else { return String::new() };
    let Some(command) = command else { return "not recorded".into() };
    if shown == command {
        return String::new();
    }
    let (one, other): (Vec<_>, Vec<_>) = (shown.split(' ').collect(), command.split(' ').collect());
    let before = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    let shorter = one.len().min(other.len()) - before;
    let after = one
        .iter()
        .rev()
        .zip(other.iter().rev())
        .take(shorter)
        .take_while(|(one, other)| one == other)
        .count();
    let differing = other.len() - before - after;
    if before == 0 || differing == 0 || differing > 4 || one.len() != other.len() {
        return words::line(command, 2000);
    }
    // With the word before it: that is the name of the option.
    words::line(&other.get(before - 1..other.len() - after).unwrap_or_default().join(" "), 2000)
}

/// Takes the first of two words away where all trials that say anything have the same one: it is said once.
fn one_prefix(trials: &mut [Trial], of: fn(&mut Trial) -> &mut String) -> Option<String> {
    let mut texts: Vec<_> = trials.iter_mut().map(of).filter(|text| !text.is_empty()).collect();
    let (prefix, _) = texts.first()?.split_once(' ')?;
    let prefix = prefix.to_owned();
    let has_it = |text: &&mut String| {
        text.split_once(' ').is_some_and(|(first, rest)| first == prefix && !rest.contains(' '))
    };
    if !texts.iter().all(has_it) {
        return None;
    }
    for text in &mut texts {
        text.drain(..=prefix.len());
    }
    Some(prefix)
}

/// What was noted of the trials, equal notes together.
fn notes(samples: &[Sample]) -> Vec<String> {
    let mut notes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for sample in samples {
        let block = words::block(sample.block);
        for warning in &sample.warnings {
            notes.entry(warning).or_default().push(block.clone());
        }
    }
    let told = |(note, blocks): (&str, Vec<String>)| {
        let noun = if blocks.len() == 1 { "block" } else { "blocks" };
        format!("{} ({noun} {})", words::line(note, 300), blocks.join(", "))
    };
    notes.into_iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_command_that_is_nearly_the_same_only_the_option_that_differs_is_told() {
        let shown = "crossrun run --items 10 --seed 7 --extra a=1";
        let told = |command| difference(Some(shown), Some(command));
        assert_eq!(told(shown), "");
        assert_eq!(told("crossrun run --items 10 --seed 8 --extra a=1"), "--seed 8");
        assert_eq!(told("crossrun run --seed 8"), "crossrun run --seed 8");
        assert_eq!(told("another"), "another");
    }

    #[test]
    fn a_moment_is_told_to_the_second() {
        assert_eq!(moment("2026-02-21T03:58:47.134641+00:00"), "2026-02-21 03:58:47");
        assert_eq!(moment("ü"), "ü");
    }
}
