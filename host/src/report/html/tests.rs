use super::*;
use crate::report::examples;

fn page(comparison: &Comparison) -> String {
    let command = Some("crossrun compare --backends alpha,beta,gamma");
    html(comparison, "2026-02-21 05:00:00 UTC", command).unwrap()
}

// `tests/report_page.rs` opens the snapshots in a browser.

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
        "two curves of service times and the legend of each chart"
    );
    // A percentile that cannot be measured has a reason. An invalid run is neither in the table nor in the chart.
    assert_eq!(page.matches("cannot be measured with 400 items: 662 are needed").count(), 2);
    assert!(page.contains("no latency, because source and sinks do not share a clock"));
    assert!(page.contains("no latency, because no trial is valid"));
    insta::assert_binary_snapshot!("open_loop.html", page.into_bytes());
}

#[test]
fn a_page_with_records_of_the_original_project() {
    insta::assert_binary_snapshot!("original.html", page(&examples::original()).into_bytes());
}

#[test]
fn a_page_with_hostile_text() {
    insta::assert_binary_snapshot!("hostile.html", page(&examples::hostile()).into_bytes());
}

#[test]
fn a_page_without_records_says_so() {
    let page = page(&examples::empty());
    assert!(page.contains("There are no records to compare."));
    assert!(!page.contains("<figure"));
}

/// Every link has one anchor in the page, and no text becomes markup.
#[track_caller]
pub(super) fn check_links_and_text(page: &str) {
    let quoted =
        |start: &str| page.split(start).skip(1).filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>();
    let (links, ids) = (quoted("href=\"#"), quoted(" id=\""));
    let distinct: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "two elements have the same id");
    assert!(links.len() > 20);
    for link in links {
        assert!(distinct.contains(&link), "{link} has no anchor");
    }
    assert!(!page.contains("<script") && !page.contains("<img"), "text became markup");
    assert!(!page.contains(|c: char| c.is_control() && c != '\n'));
}

#[test]
fn links_and_hostile_text_are_safe() {
    for comparison in [
        examples::several_workloads(),
        examples::scaling(),
        examples::open_loop(),
        examples::original(),
        examples::hostile(),
    ] {
        check_links_and_text(&page(&comparison));
    }
}

#[test]
fn the_values_of_every_row_link_to_its_trials() {
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
    assert!(page.len() < 7 << 19, "{} bytes", page.len());
}
