use super::*;
use crate::compare::model::{ShownGraph, Verdict};
use crate::report::examples;
use crate::report::metg::examples as metg;
use crate::worker::protocol::Edge;

fn page(comparison: &Comparison) -> String {
    let command = Some("crossrun compare --backends alpha,beta,gamma");
    html(comparison, "2026-02-21 05:00:00 UTC", command).unwrap()
}

/// The page as its snapshot has it: the names of the style sheet and the script in their places. `tests/report_page.rs` puts them back,
/// and opens the page in a browser.
#[track_caller]
pub(super) fn without_parts(mut page: String) -> Vec<u8> {
    for (name, part) in [("style.css", include_str!("style.css")), ("page.js", include_str!("page.js"))] {
        assert_eq!(page.matches(part).count(), 1, "{name}");
        page = page.replacen(part, name, 1);
    }
    page.into_bytes()
}

#[test]
fn pages_are_what_they_were_and_their_links_and_hostile_text_are_safe() {
    for (name, comparison) in [
        ("several_workloads", examples::several_workloads()),
        ("scaling", examples::scaling()),
        ("original", examples::original()),
        ("hostile", examples::hostile()),
    ] {
        let page = page(&comparison);
        check_links_and_text(&page);
        insta::assert_binary_snapshot!(&format!("{name}.html"), without_parts(page));
    }
}

#[test]
fn a_page_says_how_many_more_blocks_may_resolve_a_verdict() {
    let mut comparison = examples::several_workloads();
    let ratio = comparison.points[0].rows[2].ratio.as_mut().unwrap();
    ratio.verdict = Some(Verdict::Inconclusive { more_blocks: Some(1) });
    let page = page(&comparison);
    for needed in ["1 more block", "5 more blocks"] {
        assert!(page.contains(&format!("<small>about {needed} may resolve it</small>")), "{needed}: {page}");
    }
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
    check_links_and_text(&page);
    insta::assert_binary_snapshot!("open_loop.html", without_parts(page));
}

#[test]
fn a_page_shows_the_graph_of_a_point() {
    let mut comparison = examples::several_workloads();
    assert!(!page(&comparison).contains("Task graphs"));
    let graph =
        ShownGraph { tasks: vec![(0, 0), (1, 0)], edges: vec![Edge { step: 0, from: 0, to: 0, count: 2 }] };
    comparison.graphs.insert(comparison.points[1].id.clone(), graph);
    let page = page(&comparison);
    check_links_and_text(&page);
    assert!(page.contains("<title>step 0, point 0 to step 1, point 0, 2 times</title>"), "{page}");
    assert!(page.contains(": the first 2 tasks"), "{page}");
}

#[test]
fn a_page_of_records_with_sweeps_has_their_metg() {
    let (comparison, mut sweeps) = (examples::several_workloads(), metg::graphs());
    for row in &mut sweeps.rows {
        row.backend = row.backend.replace("native", "beta");
        row.label = row.backend.clone();
    }
    sweeps.tables = crate::compare::metg::tables::tables(&sweeps.rows);
    let page = html_with_sweeps(&comparison, Some(&sweeps), "2026-02-21 05:00:00 UTC", None).unwrap();
    check_links_and_text(&page);
    for part in ["<h2>METG</h2>", "<h2>METG(50 %) by pattern</h2>", "beta nearest(1) 64 B", "<h2>Ratios</h2>"]
    {
        assert!(page.contains(part), "{part}");
    }
    // A backend has the same number, and so the same colour, in all charts; others come after those of the comparison.
    let numbers = |name: &str| {
        let entries =
            page.split("<li class=\"c").filter(|entry| entry.contains(&format!("</svg> {name}</li>")));
        let number =
            |entry: &str| entry.split_once("data-b=").unwrap().1.split('>').next().unwrap().to_owned();
        crate::first_seen::distinct(entries.map(number))
    };
    assert_eq!((numbers("beta"), numbers("spark (stages)")), (vec!["1".to_owned()], vec!["3".to_owned()]));
}

#[test]
fn a_page_of_several_runs_has_the_commands_of_all() {
    let page = |commands: &[&str]| {
        let commands = commands.iter().map(|command| (*command).to_owned()).collect();
        let comparison = Comparison { commands, ..examples::several_workloads() };
        html(&comparison, "2026-02-21 05:00:00 UTC", None).unwrap()
    };
    let one = page(&["crossrun compare --run-id a"]);
    assert!(one.contains("UTC by <code>crossrun compare --run-id a</code>"), "{one}");
    let two = page(&["crossrun compare --run-id a", "crossrun compare --run-id b"]);
    assert!(!two.contains("UTC by <code>") && two.contains("Its runs were made by 2 commands:"), "{two}");
    assert!(
        two.contains("<pre>crossrun compare --run-id a</pre>\n<pre>crossrun compare --run-id b</pre>"),
        "{two}"
    );
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
    let (before, script) = page.split_once("<script>").unwrap();
    let (_, after) = script.split_once("</script>").unwrap();
    let page = format!("{before}{after}");
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

/// The ids of the rows' trials, in the order of the page.
fn ids_of_rows(page: &str) -> Vec<&str> {
    let rows = page.split("<div class=\"inside\" id=\"").skip(1);
    rows.map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn a_row_keeps_its_id_in_a_page_of_other_points_and_other_results() {
    let mut comparison = examples::several_workloads();
    let before = page(&comparison);
    let (removed, faster) = (comparison.points.remove(0), &mut comparison.points[0].rows[2]);
    faster.ratio.as_mut().unwrap().estimate = 9.0;
    let after = page(&comparison);
    let (mut before, mut after) = (ids_of_rows(&before), ids_of_rows(&after));
    assert_eq!(before.len(), after.len() + removed.rows.len());
    let order = before[removed.rows.len()..].to_vec();
    assert_ne!(order, after, "the rows are in another order");
    before.sort();
    after.sort();
    assert!(after.iter().all(|id| before.binary_search(id).is_ok()), "{before:?} {after:?}");
}

#[test]
fn the_policy_allows_the_script_and_the_style_sheet_of_the_page_and_nothing_else() {
    for page in [page(&examples::several_workloads()), page(&examples::hostile())] {
        let between = |start: &str, end: &str| {
            assert_eq!(page.matches(start).count(), 1);
            page.split_once(start).unwrap().1.split_once(end).unwrap().0
        };
        let policy = policy::policy(between("<script>", "</script>"), between("<style>", "</style>"));
        assert_eq!(between("<meta http-equiv=\"Content-Security-Policy\" content=\"", "\""), policy);
        assert!(!policy.contains("unsafe") && policy.starts_with("default-src 'none'; script-src 'sha256-"));
        // The policy would refuse them.
        let rest = page.replace(between("<script>", "</script>"), "");
        assert!(!rest.contains(" style=") && !rest.contains(" onclick="));
    }
}

#[test]
fn the_first_screen_has_the_sentence_the_notices_in_one_line_and_a_cell_for_each_row() {
    let comparison = examples::several_workloads();
    let page = page(&comparison);
    let first_screen = page.split_once("<section id=\"results\">").unwrap().0;
    assert!(
        first_screen.contains("<p class=\"sentence\">beta was fastest on 1 of 4 workloads"),
        "{first_screen}"
    );
    assert!(first_screen.contains("<summary><b>1 warning, 2 notes:</b> scheduler_comparison only sleeps"));
    for id in ids_of_rows(&page) {
        assert_eq!(first_screen.matches(&format!("href=\"#{id}\"")).count(), 1, "{id}");
    }
    // Ratio, interval, verdict and efficiency of a cell.
    assert!(
        first_screen
            .contains(">1.31×</a> <small>1.26–1.36</small> <span>▲ fastest, 25.2 ms</span> <i>80.0 %</i>")
    );
    // Where the sentence counts a backend as the fastest, its cell says so.
    assert!(first_screen.contains("<span>baseline, fastest, 1.10 s</span>"), "{first_screen}");
    assert_eq!(first_screen.matches("fastest, ").count(), 2);
    assert!(first_screen.contains(">beta <small>engine 9.1</small></th>"), "{first_screen}");
    // The machine, and the time behind the ratios.
    assert!(first_screen.contains("A Processor of 2 GHz, 4 hardware threads, Linux 6.6.87</a>."));
    assert!(first_screen.contains("<span>baseline, 33.0 ms</span>"));
    assert!(first_screen.contains("class=\"good e4\""));
}

#[test]
fn the_values_of_every_row_link_to_its_trials() {
    let comparison = examples::several_workloads();
    let page = page(&comparison);
    let rows: usize = comparison.points.iter().map(|point| point.rows.len()).sum();
    let ids = ids_of_rows(&page);
    assert_eq!(ids.len(), rows);
    for id in ids {
        assert!(page.matches(&format!("href=\"#{id}\"")).count() >= 4, "row {id}");
    }
    let lines =
        comparison.points.iter().flat_map(|point| &point.rows).map(|row| row.samples.len()).sum::<usize>();
    assert_eq!(page.matches("<tr><td>").count(), lines);
}

#[test]
fn a_thousand_rows_of_ten_trials_are_a_page_below_three_mebibytes() {
    let comparison = examples::large(1000);
    let started = std::time::Instant::now();
    let page = page(&comparison);
    println!("{} bytes in {:?}", page.len(), started.elapsed());
    assert!(page.len() < 3 << 20, "{} bytes", page.len());
}
