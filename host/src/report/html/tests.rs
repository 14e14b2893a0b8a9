use super::*;
use crate::report::examples;

fn page(comparison: &Comparison) -> String {
    let command = Some("crossrun compare --backends alpha,beta,gamma");
    html(comparison, "2026-02-21 05:00:00 UTC", command).unwrap()
}

// The snapshots are pages that a browser opens, byte for byte: `tests/report_page.rs` does.

#[test]
fn a_page_with_every_verdict_a_failure_and_a_warning() {
    insta::assert_binary_snapshot!(
        "several_workloads.html",
        page(&examples::several_workloads()).into_bytes()
    );
}

#[test]
fn a_page_with_charts_of_scaling() {
    insta::assert_binary_snapshot!("scaling.html", page(&examples::scaling()).into_bytes());
}

#[test]
fn a_page_with_the_latency_of_an_open_loop() {
    let page = page(&examples::open_loop());
    assert_eq!(
        page.matches("class=\"line d1\" d=\"M").count(),
        4 + 2,
        "a curve of service times for each and a key"
    );
    // What is not measurable is a reason, not a number; an invalid run is neither in the table nor in the chart.
    assert_eq!(page.matches("not measurable with 400 items: it takes 662").count(), 2);
    assert!(page.contains("no latency, as source and sinks do not share a clock"));
    assert!(page.contains("no trial counts, so there is no latency"));
    insta::assert_binary_snapshot!("open_loop.html", page.into_bytes());
}

#[test]
fn a_page_with_records_of_the_original_project() {
    insta::assert_binary_snapshot!("original.html", page(&examples::original()).into_bytes());
}

#[test]
fn a_page_in_which_every_word_means_harm() {
    let page = page(&examples::hostile());
    assert!(!page.contains("<script") && !page.contains("<img"), "markup of others got through");
    assert!(!page.contains(|c: char| c.is_control() && c != '\n'));
    insta::assert_binary_snapshot!("hostile.html", page.into_bytes());
}

#[test]
fn a_page_without_records_says_so() {
    let page = page(&examples::empty());
    assert!(page.contains("There are no records to compare."));
    assert!(!page.contains("<figure"));
}

/// The references of a page, and the anchors that it has.
fn anchors(page: &str) -> (Vec<&str>, std::collections::HashSet<&str>) {
    let quoted =
        |start: &str| page.split(start).skip(1).filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>();
    (quoted("href=\"#"), quoted(" id=\"").into_iter().collect())
}

#[test]
fn every_link_leads_to_one_place_in_the_page() {
    for comparison in [
        examples::several_workloads(),
        examples::scaling(),
        examples::open_loop(),
        examples::original(),
        examples::hostile(),
    ] {
        let page = page(&comparison);
        let (references, anchors) = anchors(&page);
        assert!(references.len() > 20);
        for reference in references {
            assert!(anchors.contains(reference), "{reference} leads nowhere");
        }
        assert_eq!(page.matches(" id=\"").count(), anchors.len(), "an anchor stands twice");
    }
}

#[test]
fn every_figure_of_every_row_leads_to_its_trials() {
    let comparison = examples::several_workloads();
    let page = page(&comparison);
    let rows: usize = comparison.points.iter().map(|point| point.rows.len()).sum();
    for cell in 0..rows {
        assert!(page.matches(&format!("href=\"#c{cell}\"")).count() >= 4, "row {cell}");
        assert!(page.contains(&format!("<div class=\"inside\" id=\"c{cell}\">")), "row {cell}");
    }
    let lines =
        comparison.points.iter().flat_map(|point| &point.rows).map(|row| row.samples.len()).sum::<usize>();
    assert_eq!(page.matches("<tr><td>").count(), lines);
}

#[test]
fn a_thousand_rows_of_ten_trials_are_a_small_page() {
    let comparison = examples::large(1000);
    let started = std::time::Instant::now();
    let page = page(&comparison);
    println!("{} bytes in {:?}", page.len(), started.elapsed());
    assert!(page.len() < 3 << 20, "{} bytes", page.len());
}
