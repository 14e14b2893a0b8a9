//! The details of each row: every value, every trial, and the command that repeats it.

use minijinja::{Value, context};

use super::layout::{Group, Layout, PlacedPoint};
use super::row_charts::has_only_peaks;
use crate::compare::model::{MeanRatio, NoInterval, NoRatio, Ratio, Row, Sample, Spread, Status, Withheld};
use crate::record::format::to_the_second;
use crate::report::labels::{self, MAX_COMMAND, name, one_line, or_none};
use crate::report::number;
use crate::stats::MARGIN;

/// The longest path of a file.
const MAX_PATH: usize = 300;

/// The rows of each workload, and the file of all records if it is one.
pub(super) fn trials(layout: &Layout<'_>) -> Value {
    let file = one_file(layout.rows().flat_map(|row| &row.samples));
    let several_machines =
        layout.rows().zip(layout.rows().skip(1)).any(|(one, next)| one.machine != next.machine);
    let rows = |point: &PlacedPoint<'_>| {
        let details = |(id, row): &(String, &Row)| {
            context! {
                id,
                point => &point.id,
                number => layout.label_number(&row.label),
                settings => labels::settings(point.point),
                machine => row.machine.filter(|_| several_machines),
                file => one_file(&row.samples).filter(|_| file.is_none()).map(|file| one_line(file, MAX_PATH)),
                ..row_details(row)
            }
        };
        point.rows.iter().map(details).collect::<Vec<_>>()
    };
    let group = |group: &Group<'_>| {
        context! { workload => &group.workload, number => group.number, rows => group.points.iter().flat_map(rows).collect::<Vec<_>>() }
    };
    context! {
        groups => layout.groups.iter().map(group).collect::<Vec<_>>(),
        file => file.map(|file| one_line(file, MAX_PATH)),
        shared_once => !layout.rows().any(has_only_peaks),
        // Trials outside of a comparison ran without warm-ups too.
        cold => layout.rows().flat_map(|row| &row.samples).any(|sample| sample.block.is_some()),
    }
}

/// The file with the records of all these trials, if it is one.
fn one_file<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Option<&'a str> {
    let mut samples = samples.into_iter();
    let file = &samples.next()?.source.file;
    samples.all(|sample| sample.source.file == *file).then_some(file)
}

fn row_details(row: &Row) -> Value {
    let samples = &row.samples;
    let command = samples.iter().find_map(|sample| sample.command.as_deref());
    let in_one_file = one_file(samples).is_some();
    let started = |sample: &Sample| one_line(to_the_second(&sample.timestamp), 32).replacen('T', " ", 1);
    let mut started: Vec<_> = samples.iter().map(started).collect();
    let mut commands: Vec<_> =
        samples.iter().map(|sample| difference(command, sample.command.as_deref())).collect();
    let varying_commands = commands.iter().any(|command| !command.is_empty());
    let (day, option) = (split_common_word(&mut started), split_common_word(&mut commands));
    let trials = samples.iter().zip(started).zip(commands).map(|((sample, started), command)| {
        let line = sample.source.line.to_string();
        context! {
            block => labels::block(sample.block),
            started,
            duration => or_none(sample.duration, number::duration),
            status => crate::text::word(sample.status),
            bad => !sample.status.has_figures(),
            record => if in_one_file { line } else { format!("{}:{line}", one_line(&sample.source.file, MAX_PATH)) },
            command,
        }
    });
    let compared = labels::compared(row);
    context! {
        label => name(&row.label),
        outcome => format!("{compared}, {} of {} verified", row.counts.verified, row.counts.trials),
        values => values(row),
        ratio => ratio(row),
        differences => row.incomparable.iter().map(labels::incomparable).collect::<Vec<_>>(),
        failures => row.failures.iter().map(|failure| labels::failure(failure, row)).collect::<Vec<_>>(),
        command => command.map(|command| one_line(command, MAX_COMMAND)),
        log => samples.iter().find_map(|sample| sample.log.as_ref()).map(|log| one_line(log, MAX_PATH)),
        in_one_file,
        // The status of each trial, unless every answer was verified.
        statuses => samples.iter().any(|sample| sample.status != Status::Verified),
        varying_commands,
        day,
        option,
        trials => trials.collect::<Vec<_>>(),
        notes => notes(samples),
    }
}

type Format = fn(f64) -> String;

/// The spread of every value over the blocks.
fn values(row: &Row) -> Vec<Value> {
    let latency = row.latency.unwrap_or_default();
    let resources = row.resources.unwrap_or_default();
    let efficiency = row.efficiency.unwrap_or_default();
    let all: [(_, _, Format); 20] = [
        ("run", row.duration, number::duration),
        ("input items/s", row.input_rate, number::quantity),
        ("output items/s", row.output_rate, number::quantity),
        ("latency, median", latency.p50, number::duration),
        ("latency, 95th percentile", latency.p95, number::duration),
        ("latency, 99th percentile", latency.p99, number::duration),
        ("load", row.stages.load, number::duration),
        ("start of the engine", row.stages.open, number::duration),
        ("first run with its preparation", row.stages.first, number::duration),
        ("preparing a run", row.stages.prepare, number::duration),
        ("shutdown", row.stages.close, number::duration),
        ("CPU time", resources.cpu_seconds, number::duration),
        ("CPU time an item", resources.cpu_seconds_per_item, number::duration),
        ("cores used", resources.cores_used, number::quantity),
        ("memory", resources.memory_bytes, number::memory),
        (
            "memory, sum of peaks",
            // Only where pages that processes share were not counted once.
            resources.peak_memory_bytes.filter(|_| resources.memory_bytes.is_none()),
            number::memory,
        ),
        ("memory an item", resources.memory_bytes_per_item, number::memory),
        ("serial reference", efficiency.reference_cpu_seconds, number::duration),
        ("efficiency", efficiency.efficiency, number::percent),
        ("overhead an item", efficiency.overhead_seconds_per_item, number::duration),
    ];
    let known = all.into_iter().filter_map(|(name, spread, format)| {
        let Spread { n, min, median, max } = spread?;
        let range = number::range(&format(min), &format(max));
        // The number of trials, where it is not the number of measured ones.
        Some(context! { name, median => format(median), range, n => (n != row.counts.trials).then_some(n) })
    });
    known.collect()
}

/// How the ratio was computed, or why there is none.
fn ratio(row: &Row) -> Option<String> {
    match (&row.ratio, row.no_ratio) {
        (Some(ratio), _) => Some(match labels::not_whole(row) {
            None => ratio_sentence(ratio, row.compared_with.as_deref()),
            why => reservation(why, ratio.no_interval).trim_start().to_owned(),
        }),
        (None, Some(why)) => Some(format!("No ratio: {}.", no_ratio(why))),
        (None, None) => None,
    }
}

fn ratio_sentence(ratio: &Ratio, baseline: Option<&str>) -> String {
    let baseline = baseline.map_or_else(|| "the baseline".into(), name);
    let how = if ratio.paired {
        format!("Hodges-Lehmann over {}", crate::text::plural(ratio.blocks.into(), "block"))
    } else {
        "ratio of the medians".into()
    };
    let mut sentence = format!("{} as fast as {baseline} ({how})", number::ratio(ratio.estimate));
    if let Some(interval) = ratio.interval {
        let bounds = number::interval(interval.low, interval.high);
        sentence += &format!(", between {bounds} with {} confidence", number::percent(interval.confidence));
    }
    if let Some(p) = ratio.p_value {
        sentence += &format!(", p {}", probability("= ", p));
    }
    // What Holm adjusts is the probability of another hypothesis.
    if let Some((of_margin, adjusted)) = ratio.margin_p_value.zip(ratio.adjusted_p_value) {
        let (of_margin, adjusted) = (probability("= ", of_margin), probability("", adjusted));
        let margin = number::tick(&number::percent(MARGIN - 1.0));
        sentence += &format!(" (equal speeds), p {of_margin} (within {margin}), {adjusted} after Holm");
    }
    sentence + "." + &mean_ratio(ratio) + &dependence(ratio) + reservation(ratio.withheld, ratio.no_interval)
}

/// To four decimals, after a sign. No probability is 0, as one that is less than half of the last digit would be.
fn probability(sign: &str, p: f64) -> String {
    if p < 0.000_05 { "< 0.0001".into() } else { format!("{sign}{p:.4}") }
}

fn mean_ratio(ratio: &Ratio) -> String {
    let Some(MeanRatio { estimate, interval }) = ratio.mean_ratio else { return String::new() };
    let bounds = interval.map(|it| format!(", between {}", number::interval(it.low, it.high)));
    format!(" Ratio of the mean times: {}{}.", number::ratio(estimate), bounds.unwrap_or_default())
}

fn dependence(ratio: &Ratio) -> String {
    let (Some(factor), Some(correlation)) = (ratio.widened, ratio.autocorrelation) else {
        return String::new();
    };
    format!(
        " Each block is like the one before (autocorrelation {correlation:.2}), so that the interval is {factor:.1} times as \
         wide as that of independent blocks."
    )
}

fn reservation(withheld: Option<Withheld>, no_interval: Option<NoInterval>) -> &'static str {
    match (withheld, no_interval) {
        (Some(Withheld::BelowNoiseFloor), _) => {
            " There is no verdict of a difference: in the A/A comparison one backend differed from itself by as much."
        }
        (Some(Withheld::Holm), _) => {
            " The verdict is withheld: the difference is not significant after the correction for all comparisons."
        }
        (Some(Withheld::WrongAnswers), _) => {
            " There is neither a ratio nor a verdict: a run gave a wrong answer, and a backend that is sometimes wrong is not \
             faster."
        }
        (Some(Withheld::Failures), _) => {
            " There is neither a ratio nor a verdict: a run failed, and those that did not may be the easy ones."
        }
        (Some(Withheld::BaselineFailures), _) => {
            " There is neither a ratio nor a verdict: a run of the baseline failed or gave a wrong answer."
        }
        (Some(Withheld::Doubts), _) => {
            " There is neither a ratio nor a verdict: together its runs are what no honest backend has. The notes say why."
        }
        (Some(Withheld::BaselineDoubts), _) => {
            " There is neither a ratio nor a verdict: together the runs of the baseline are what no honest backend has. The notes \
             say why."
        }
        (None, Some(NoInterval::Quick)) => " No interval: a quick comparison has none.",
        (None, Some(NoInterval::TooFewBlocks)) => " No interval: it needs 6 blocks that both finished.",
        (None, Some(NoInterval::Tied)) => {
            " No interval: at most half of the blocks have different ratios. The runs are too short for the clock that timed \
             them."
        }
        (None, Some(NoInterval::Unpaired)) => " No interval: the records do not assign trials to blocks.",
        (None, None) => "",
    }
}

fn no_ratio(why: NoRatio) -> &'static str {
    match why {
        NoRatio::NoBaseline => "the baseline was not measured at this point",
        NoRatio::BaselineFailed => "the baseline has no successful trial at this point",
        NoRatio::Failed => "no trial was successful",
        NoRatio::NoLatency => "there are no latencies to compare",
        NoRatio::NoCommonBlock => "there is no block in which both succeeded",
        NoRatio::Incomparable => "the row is not comparable with the baseline",
    }
}

/// The option in which a command differs from the one that is shown in full, usually the seed of its data. The whole
/// command if it differs in more.
fn difference(shown: Option<&str>, command: Option<&str>) -> String {
    let Some(shown) = shown else { return String::new() };
    let Some(command) = command else { return "not recorded".into() };
    if shown == command {
        return String::new();
    }
    let (one, other): (Vec<_>, Vec<_>) = (shown.split(' ').collect(), command.split(' ').collect());
    let differs = |at: &usize| one[*at] != other[*at];
    if one.len() != other.len() {
        return one_line(command, MAX_COMMAND);
    }
    let Some(first) = (0..one.len()).find(differs) else { return String::new() };
    let last = (0..one.len()).rev().find(differs).unwrap_or(first);
    if first == 0 || last - first >= 4 {
        return one_line(command, MAX_COMMAND);
    }
    // The word before is the name of the option.
    one_line(&other[first - 1..=last].join(" "), MAX_COMMAND)
}

/// Removes the first of two words from all texts that are not empty, if it is the same in all of them, and returns it.
fn split_common_word(texts: &mut [String]) -> Option<String> {
    let mut texts: Vec<_> = texts.iter_mut().filter(|text| !text.is_empty()).collect();
    let (word, _) = texts.first()?.split_once(' ')?;
    let word = word.to_owned();
    let has_it = |text: &&mut String| {
        text.split_once(' ').is_some_and(|(first, rest)| first == word && !rest.contains(' '))
    };
    if !texts.iter().all(has_it) {
        return None;
    }
    for text in &mut texts {
        text.drain(..=word.len());
    }
    Some(word)
}

/// The warnings of the trials. The blocks of several runs have the same numbers, which would not say which trials these are.
fn notes(samples: &[Sample]) -> Vec<String> {
    let run = |sample: &Sample| (sample.run_id.clone(), sample.run_started.clone());
    let is_one_run = samples.windows(2).all(|pair| run(&pair[0]) == run(&pair[1]));
    let warnings = samples.iter().flat_map(|sample| {
        let block = sample.block.filter(|_| is_one_run);
        sample.warnings.iter().map(move |text| (text.clone(), block))
    });
    let mut notes = labels::by_block(warnings);
    notes.sort();
    notes.into_iter().map(|(note, blocks)| format!("{} ({blocks})", one_line(&note, 300))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::model::Verdict;
    use crate::report::examples;

    #[test]
    fn a_similar_command_is_shortened_to_the_option_that_differs() {
        let shown = "crossrun run --items 10 --seed 7 --extra a=1";
        for (command, expected) in [
            (shown, ""),
            ("crossrun run --items 10 --seed 8 --extra a=1", "--seed 8"),
            ("crossrun run --seed 8", "crossrun run --seed 8"),
            ("another", "another"),
        ] {
            assert_eq!(difference(Some(shown), Some(command)), expected);
        }
    }

    #[test]
    fn a_warning_of_several_runs_has_the_number_of_trials_and_not_that_of_blocks() {
        let mut samples = examples::row("native", None).samples;
        samples.truncate(2);
        samples.iter_mut().for_each(|sample| sample.warnings = vec!["busy".into()]);
        assert_eq!(notes(&samples), ["busy (blocks 1, 2)"]);
        samples[1].run_started = Some("later".into());
        assert_eq!(notes(&samples), ["busy (2 trials)"]);
    }

    #[test]
    fn a_small_probability_is_not_rounded_to_nothing() {
        let written = [0.015_625, 0.000_06, 7e-6].map(|p| probability("= ", p));
        assert_eq!(written, ["= 0.0156", "= 0.0001", "< 0.0001"]);
    }

    #[test]
    fn the_probability_that_holm_adjusts_stands_before_the_adjusted_one() {
        let mut row = examples::row("beta", Some(1.3));
        let told = |row: &Row| ratio(row).unwrap();
        assert!(told(&row).contains(" confidence, p = 0.0156. "), "{}", told(&row));
        row.ratio.as_mut().unwrap().adjusted_p_value = Some(0.125);
        let p_values = ", p = 0.0156 (equal speeds), p = 0.0312 (within 5 %), 0.1250 after Holm. ";
        assert!(told(&row).contains(p_values), "{}", told(&row));
    }

    #[test]
    fn within_noise_there_is_no_verdict_of_a_difference_also_of_an_inconclusive_row() {
        let mut row = examples::row("beta", Some(1.07));
        let ratio_of_row = row.ratio.as_mut().unwrap();
        ratio_of_row.verdict = Some(Verdict::Inconclusive { more_blocks: None });
        ratio_of_row.withheld = Some(Withheld::BelowNoiseFloor);
        let told = ratio(&row).unwrap();
        assert!(told.contains(". There is no verdict of a difference: in the A/A comparison "), "{told}");
    }
}
