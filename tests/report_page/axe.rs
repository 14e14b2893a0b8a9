//! No page breaks a rule of axe-core, which tests what programs can test of whether everybody can read a page.

use std::path::PathBuf;

use serde_json::Value;

use super::{DESKTOP, METG, PAGES, PHONE, TRENDS, WIDE, page};
use crate::chromium::Chromium;
use crate::released::planted::{End, folder, point, trial};
use crate::serve::{Served, place};
use crate::support::{Place, not_run, repository};

/// The options of axe-core for all rules.
const ALL: &str = "{ resultTypes: ['violations'] }";
/// For the rules of colours: a dark page differs from a light one in nothing else.
const COLOURS: &str = "{ resultTypes: ['violations'], runOnly: ['color-contrast', 'link-in-text-block'] }";
/// The rules that are broken, each with the first elements that break it. `OPTIONS` stands for one of those above.
const VIOLATIONS: &str = "axe.run(document, OPTIONS).then(found => found.violations.map(rule =>
    `${rule.id} (${rule.impact}): ${rule.help}: ${rule.nodes.slice(0, 5).map(node => `${node.target}: ${node.failureSummary}`)}`))";

/// The pages that are tested in several ways.
const IN_EVERY_WAY: [&str; 2] = ["several_workloads", TRENDS];

/// A browser, and the source of axe-core.
struct Axe {
    browser: Chromium,
    source: String,
}

impl Axe {
    fn start() -> Option<Self> {
        let browser = Chromium::start()?;
        let Some(source) = source() else {
            not_run("axe-core is not in target/axe-core; .ci/browser gets it");
            return None;
        };
        Some(Self { browser, source })
    }

    /// The violations of the page that the browser shows, with all that can be opened open.
    fn violations(&mut self, options: &str) -> Vec<String> {
        self.browser.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)");
        // No value: that of the source is the whole module.
        self.browser.evaluate(&format!("{}; undefined", self.source));
        let Value::Array(found) = self.browser.evaluate(&VIOLATIONS.replace("OPTIONS", options)) else {
            panic!("no list of violations")
        };
        found.into_iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    fn passes(&mut self, options: &str, name: &str) {
        let violations = self.violations(options);
        assert!(violations.is_empty(), "{name}:\n{}", violations.join("\n"));
    }
}

fn source() -> Option<String> {
    let file: PathBuf = repository().join("target/axe-core/axe.min.js");
    file.exists().then(|| std::fs::read_to_string(file).unwrap())
}

fn sizes() -> impl Iterator<Item = (&'static str, (u32, u32))> + Clone {
    ["light", "dark"].into_iter().flat_map(|scheme| [PHONE, DESKTOP, WIDE].map(|size| (scheme, size)))
}

/// The style sheet tells windows apart at one width only, which is between these two.
#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn the_report_the_history_and_the_index_pass_on_both_sides_of_the_breakpoint_in_light_and_dark() {
    let of_dark = |scheme| if scheme == "dark" { COLOURS } else { ALL };
    report_history_and_index_pass(
        sizes().filter(|(_, size)| *size != WIDE).map(|(scheme, size)| (scheme, size, of_dark(scheme))),
    );
}

#[test]
#[ignore = "takes a minute: .ci/run --full"]
fn the_report_the_history_and_the_index_pass_all_rules_at_every_width_in_light_and_dark() {
    report_history_and_index_pass(sizes().map(|(scheme, size)| (scheme, size, ALL)));
}

fn report_history_and_index_pass(ways: impl Iterator<Item = (&'static str, (u32, u32), &'static str)>) {
    let Some(mut axe) = Axe::start() else { return };
    let served = Served::of(place());
    for (scheme, (width, height), options) in ways {
        axe.browser.prefer(scheme);
        for name in IN_EVERY_WAY {
            axe.browser.open(&page(name), width, height);
            axe.passes(options, &format!("{name} in {scheme} at {width}"));
        }
        axe.browser.visit(&format!("http://{}/", served.address), width, height);
        axe.passes(options, &format!("the index in {scheme} at {width}"));
    }
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn every_other_page_passes() {
    let Some(mut axe) = Axe::start() else { return };
    let place = of_a_comparison_and_a_sweep();
    let others = PAGES.into_iter().filter(|name| !IN_EVERY_WAY.contains(name));
    let pages = others.map(page).chain([place.path().join("page.html")]);
    for (file, (scheme, (width, height))) in pages.zip(sizes().cycle()) {
        axe.browser.prefer(scheme);
        axe.browser.open(&file, width, height);
        axe.passes(ALL, &format!("{} in {scheme} at {width}", file.display()));
    }
}

/// A place with the page of records of both kinds.
fn of_a_comparison_and_a_sweep() -> Place {
    let place = Place::empty();
    let mut trials = Vec::new();
    for block in 0..6 {
        trials.extend(["native", "other"].map(|it| trial(it, "pipeline", block, End::Verified(1.0))));
        for iterations in [1000, 100_000, 1_000_000] {
            trials.push(point("native", block, iterations, 0.9 - 100.0 / f64::from(iterations)));
        }
    }
    folder(&place, "run", &trials);
    place.crossrun(&["report", "run", "--html", "page.html"]).code(0);
    place
}

#[test]
fn a_page_without_a_language_or_with_faint_text_does_not_pass() {
    let Some(mut axe) = Axe::start() else { return };
    axe.browser.open(&page(METG), DESKTOP.0, DESKTOP.1);
    axe.browser.evaluate(
        "document.documentElement.removeAttribute('lang'); document.querySelector('h1').style.color = '#999'",
    );
    let violations = axe.violations(ALL);
    let rules: Vec<_> = violations.iter().map(|text| text.split(' ').next().unwrap()).collect();
    assert_eq!(rules, ["color-contrast", "html-has-lang"], "{violations:?}");
}
