//! Files of records, of either kind, and what is made of them: a comparison, and every report on it.

use crossrun::internals::compare::{Input, Options, compare};
use crossrun::internals::compare::{Rigor, Source};
use crossrun::internals::record::{Entry, RecordError, Records, TrialRecord, UnifiedRecord};
use crossrun::internals::report::{self, Palette};

/// What must hold for any bytes.
pub fn check(data: &[u8]) {
    let trials = Records::<TrialRecord, _>::new(data, "trials.jsonl".as_ref());
    let unified = Records::<UnifiedRecord, _>::new(data, "unified_results.jsonl".as_ref());
    let trials = all(trials, data, assert_trial_survives).into_iter();
    let unified = all(unified, data, assert_record_survives).into_iter();
    let source = |line| Source { file: "records.jsonl".into(), line };
    let inputs: Vec<_> = trials
        .map(|(line, record)| Input::trial(source(line), record))
        .chain(unified.map(|(line, record)| Input::measured(source(line), record)))
        .collect();
    for rigor in [Rigor::Quick, Rigor::Standard, Rigor::Publish] {
        check_comparison(&inputs, rigor);
    }
}

/// The records that can be read, with their lines. A line is a record, torn, or an error that names it, once.
fn all<T>(
    entries: impl Iterator<Item = Result<Entry<T>, RecordError>>,
    data: &[u8],
    check: impl Fn(&T),
) -> Vec<(u64, T)> {
    let lines = data.split_inclusive(|byte| *byte == b'\n').count() as u64;
    let (mut records, mut last) = (Vec::new(), 0);
    for entry in entries {
        let at = match entry {
            Ok(Entry::Record { line, record }) => {
                check(&record);
                records.push((line, *record));
                line
            }
            Ok(Entry::Torn { line }) => {
                assert_eq!(line, lines);
                line
            }
            Err(RecordError::Line { line, .. } | RecordError::Later { line, .. }) => line,
            Err(error) => panic!("{error}"),
        };
        assert!(last < at && at <= lines, "{at} after {last} of {lines}");
        last = at;
    }
    records
}

fn assert_trial_survives(trial: &TrialRecord) {
    let line = serde_json::to_vec(trial).unwrap();
    let mut entries = Records::<TrialRecord, _>::new(line.as_slice(), "trials.jsonl".as_ref());
    let Some(Ok(Entry::Record { record, .. })) = entries.next() else { panic!("{trial:?}") };
    assert_eq!(*record, *trial);
}

fn assert_record_survives(record: &UnifiedRecord) {
    let line = serde_json::to_vec(record).unwrap();
    let mut entries = Records::<UnifiedRecord, _>::new(line.as_slice(), "unified_results.jsonl".as_ref());
    let Some(Ok(Entry::Record { record: again, .. })) = entries.next() else { panic!("{record:?}") };
    assert_eq!(*again, *record);
}

fn check_comparison(inputs: &[Input], rigor: Rigor) {
    let options = Options { rigor, ..Options::default() };
    let comparison = compare(inputs, &options).unwrap();
    // Nothing that was measured is lost on the way.
    let rows = || comparison.points.iter().flat_map(|point| &point.rows);
    for row in rows() {
        let counts = &row.counts;
        let ended = counts.verified + counts.unverified + counts.wrong + counts.invalid + counts.failed;
        assert_eq!((counts.trials, row.samples.len()), (ended, ended as usize));
        if let Some(ratio) = &row.ratio {
            assert!(ratio.estimate > 0.0, "{ratio:?}");
            let within =
                |interval: &crossrun::internals::compare::RatioInterval| interval.low <= interval.high;
            assert!(ratio.interval.as_ref().is_none_or(within), "{ratio:?}");
        }
    }
    let json = report::json(&comparison).unwrap();
    serde_json::from_str::<crossrun::internals::compare::Comparison>(&json).unwrap();
    let texts = [
        report::text(&comparison, &Palette::plain(), 100),
        report::markdown(&comparison),
        report::csv(&comparison).unwrap(),
        report::html(&comparison, "now", None).unwrap(),
    ];
    for text in &texts[..2] {
        assert!(!text.contains('\u{1b}'), "an escape sequence reached {text:?}");
    }
}
