use std::collections::HashSet;

use serde_json::Value;

use super::*;
use crate::compare::model::{Comparison, Doubt, Withheld};
use crate::report::examples;
use crate::report::metg::examples as metg;

/// Everything that a row can be: verified, failed, an open loop with and without figures, and not verified by anybody.
fn every_kind() -> Comparison {
    let mut comparison = examples::several_workloads();
    comparison.points.extend(examples::open_loop().points);
    comparison.points.extend(examples::original().points);
    comparison
}

#[test]
fn every_format_has_every_kind_of_row() {
    let (rows, swept) = (every_kind().exported(), metg::several().exported());
    for (of, rows) in [("comparison", &rows), ("sweeps", &swept)] {
        insta::assert_snapshot!(format!("{of}_bencher"), bencher(rows).unwrap());
        insta::assert_snapshot!(format!("{of}_github"), github(rows).unwrap());
        check_openmetrics(&openmetrics(rows));
        insta::assert_snapshot!(format!("{of}_openmetrics"), openmetrics(rows));
        insta::assert_snapshot!(format!("{of}_junit"), junit(rows).unwrap());
        // A snapshot does not show the ends of lines at its end.
        assert!(bencher(rows).unwrap().ends_with("}\n"));
    }
}

#[test]
fn only_a_row_of_which_every_trial_is_verified_has_figures() {
    let comparison = every_kind();
    let rows = comparison.exported();
    let compared = comparison.points.iter().flat_map(|point| &point.rows);
    for (row, of) in rows.iter().zip(compared) {
        let has_value = of.open_loop.is_none() || of.compared_latency.is_some();
        let is_verified = of.counts.verified == of.counts.trials;
        assert_eq!(row.state == State::Verified, is_verified && has_value, "{}", row.name);
        assert_eq!(row.state == State::Verified, !row.figures.is_empty(), "{}", row.name);
    }
    assert!(rows.iter().any(|row| row.state != State::Verified));
    // One of seven trials is wrong, and the figures of the others are there.
    let mut comparison = examples::several_workloads();
    let row = &mut comparison.points[0].rows[1];
    (row.counts.verified, row.counts.wrong) = (6, 1);
    row.failures = examples::failed_row("beta", "wrong_answer", "7 items").failures;
    let rows = comparison.exported();
    assert!(rows[1].figures.is_empty() && matches!(rows[1].state, State::Failed(_)));
    let written = bencher(&rows).unwrap() + &github(&rows).unwrap();
    assert!(rows[0].name.len() > 10 && written.contains(&rows[0].name) && !written.contains(&rows[1].name));
}

#[test]
fn beside_a_baseline_of_which_a_trial_failed_there_is_no_speed() {
    let mut comparison = examples::several_workloads();
    let speeds = |comparison: &Comparison| {
        let rows = comparison.exported();
        rows[..2].iter().map(|row| row.figures.iter().any(|it| it.of == "speed")).collect::<Vec<_>>()
    };
    assert_eq!(speeds(&comparison), [false, true]);
    let baseline = &mut comparison.points[0].rows[0];
    (baseline.counts.verified, baseline.counts.failed) = (6, 1);
    baseline.failures = examples::failed_row("alpha", "crashed", "it crashed").failures;
    assert_eq!(speeds(&comparison), [false, false]);
    // The row has its own figures nevertheless.
    let row = &comparison.exported()[1];
    assert!(!row.figures.is_empty() && row.remark == "7 of 7 verified", "{row:?}");
}

#[test]
fn a_row_of_metg_is_named_after_its_graph_with_its_size_and_its_form() {
    let rows = metg::graphs().exported();
    let names: HashSet<_> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names.len(), rows.len());
    for name in [
        "native nearest(1) 64 B/metg/width=8/steps=100/cores=2",
        "spark nearest(3) 65536 B, stages/metg/width=8/steps=100/cores=2",
        "native trivial 65536 B/metg/width=8/steps=100/cores=2",
    ] {
        assert!(names.contains(name), "{names:?}");
    }
    let independent = metg::several().exported();
    assert_eq!(independent[0].name, "alpha/metg/cores=2");
    let written = bencher(&rows).unwrap();
    assert!(written.contains("\"native trivial 64 B/metg/width=8/steps=100/cores=2\""), "{written}");
    // A row with a wrong answer has no figure.
    assert!(!written.contains("spark nearest(1) 64 B,"), "{written}");
    check_openmetrics(&openmetrics(&rows));
}

#[test]
fn what_a_backend_does_not_support_is_skipped_and_no_failure() {
    let mut comparison = examples::several_workloads();
    let row = &mut comparison.points[0].rows[1];
    *row = examples::failed_row("beta", "unsupported", "unsupported: needs time");
    row.failures[0].phase = crate::run::session::NEGOTIATION.into();
    let rows = comparison.exported();
    assert_eq!(rows[1].state, State::WithoutFigures("unsupported: needs time".into()));
    assert!(junit(&rows).unwrap().contains("<skipped message=\"unsupported: needs time\"/>"));
}

#[test]
fn a_row_in_doubt_and_a_ratio_to_a_baseline_that_is_not_whole_are_no_figures() {
    let mut comparison = examples::several_workloads();
    comparison.points[0].rows[1].doubts.push(Doubt::Duration { part: 0.8 });
    let ratio = comparison.points[1].rows[1].ratio.as_mut().unwrap();
    (ratio.verdict, ratio.withheld) = (None, Some(Withheld::BaselineFailures));
    let rows = comparison.exported();
    let State::WithoutFigures(why) = &rows[1].state else { panic!("{:?}", rows[1]) };
    assert!(why.starts_with("in doubt: ") && rows[1].figures.is_empty(), "{:?}", rows[1]);
    let has_ratio = |row: &ExportedRow| row.figures.iter().any(|figure| figure.unit == "ratio");
    let of_second = rows.iter().filter(|row| row.group == "pipeline").map(has_ratio).collect::<Vec<_>>();
    assert_eq!(of_second, [false, false, true]);
    let beside =
        rows.iter().find(|row| row.name == "beta/pipeline/items=1000/parallelism=2/scheduler=default");
    assert_eq!(beside.unwrap().remark, "7 of 7 verified");
}

#[test]
fn without_rows_every_format_is_complete() {
    assert_eq!((bencher(&[]).unwrap(), github(&[]).unwrap()), ("{}\n".into(), "[]\n".into()));
    assert_eq!(openmetrics(&[]), "# EOF\n");
    assert!(junit(&[]).unwrap().contains("tests=\"0\" failures=\"0\""));
}

#[test]
fn hostile_text_is_a_value_in_every_format() {
    let mut comparison = examples::hostile();
    for (place, row) in comparison.points.iter_mut().flat_map(|point| &mut point.rows).enumerate() {
        row.label = format!("{place}\\\"\n# EOF\n]]>&<a b='c'>\u{fffe}\u{0}{}", row.label);
    }
    let rows = comparison.exported();
    let count = |is: fn(&ExportedRow) -> bool| rows.iter().filter(|row| is(row)).count();
    let verified = count(|row| row.state == State::Verified);
    let json: Value = serde_json::from_str(&bencher(&rows).unwrap()).unwrap();
    assert_eq!(json.as_object().unwrap().len(), verified);
    let json: Value = serde_json::from_str(&github(&rows).unwrap()).unwrap();
    assert_eq!(json.as_array().unwrap().len(), verified);
    check_openmetrics(&openmetrics(&rows));
    check_xml(&junit(&rows).unwrap());
}

/// Parses the text as OpenMetrics 1.0 demands: each family once and whole, its unit at the end of its name, no sample twice, label
/// values escaped, and the end marked.
fn check_openmetrics(text: &str) {
    let body = text.strip_suffix("# EOF\n").unwrap();
    let (mut families, mut samples, mut family) = (HashSet::new(), HashSet::new(), "");
    for line in body.lines() {
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
        if let Some(described) = line.strip_prefix("# ") {
            let words: Vec<_> = described.splitn(3, ' ').collect();
            match words[0] {
                "TYPE" => {
                    assert!(families.insert(words[1]) && words[2] == "gauge", "{line}");
                    family = words[1];
                }
                "UNIT" => {
                    assert!(words[1] == family && family.ends_with(&format!("_{}", words[2])), "{line}")
                }
                "HELP" => assert_eq!(words[1], family, "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let rest = line.strip_prefix(family).and_then(|rest| rest.strip_prefix('{')).unwrap();
        let value = label_set(rest).strip_prefix(' ').unwrap();
        assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
        assert!(samples.insert(&line[..line.len() - value.len()]), "{line} is there twice");
    }
}

/// What follows a set of labels after its opening brace.
fn label_set(mut text: &str) -> &str {
    loop {
        let (name, rest) = text.split_once("=\"").unwrap();
        assert!(!name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name:?}");
        let mut escaped = false;
        let end = rest.find(|c| match c {
            '\\' if !escaped => {
                escaped = true;
                false
            }
            '"' if !escaped => true,
            c => {
                assert!(!escaped || ['\\', '"', 'n'].contains(&c), "{rest}");
                escaped = false;
                false
            }
        });
        text = &rest[end.unwrap() + 1..];
        match text.strip_prefix(',') {
            Some(rest) => text = rest,
            None => return text.strip_prefix('}').unwrap(),
        }
    }
}

/// Parses the text as XML that has elements, attributes and text: every element is closed, and no character is bare.
fn check_xml(text: &str) {
    let allowed =
        |c: char| matches!(c, '\n' | '\t' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(text.chars().all(allowed));
    let mut open = Vec::new();
    let body = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap();
    for part in body.split('<').skip(1) {
        let (tag, content) = part.split_once('>').unwrap();
        assert!(!content.contains('>'), "{part}");
        let references = ["&lt;", "&gt;", "&amp;", "&quot;", "&#x27;", "&#x2f;"];
        let bare = references.iter().fold(part.to_owned(), |text, reference| text.replace(reference, ""));
        assert!(!bare.contains('&'), "{part}");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name.to_owned())),
            None if tag.ends_with('/') || tag.ends_with('?') => {}
            None => open.push(tag.split(' ').next().unwrap().to_owned()),
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
    }
    assert!(open.is_empty(), "{open:?}");
}
