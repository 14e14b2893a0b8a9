//! The report's page, and that of `crossrun history`, in a real browser. The pages are the snapshots of `host/src/report/html/tests.rs`
//! and `html/trends.rs`, which the code must reproduce byte for byte, with the style sheet and the script in their places.
//! `.ci/browser` installs what these tests need.

mod axe;
mod index;
mod large;
mod planted_scripts;

use std::path::PathBuf;

use crate::chromium::{Chromium, address_of};
use crate::support::{Place, eventually, executable, repository};

const PAGES: [&str; 8] =
    ["several_workloads", "scaling", "open_loop", "original", "hostile", SWEEPS, METG, TRENDS];
/// The page of METG sweeps of many backends.
const SWEEPS: &str = "metg";
/// The page of METG sweeps over graphs.
const METG: &str = "graphs";
/// The page of a history.
const TRENDS: &str = "trends";
const PHONE: (u32, u32) = (400, 844);
const DESKTOP: (u32, u32) = (1280, 900);
const WIDE: (u32, u32) = (1920, 1080);

/// The file of a whole page.
fn page(name: &str) -> PathBuf {
    let module = match name {
        METG | SWEEPS => "metg__tests",
        TRENDS => "trends__tests",
        _ => "tests",
    };
    let sources = repository().join("host/src/report/html");
    let read = |path: &str| std::fs::read_to_string(sources.join(path)).unwrap();
    let mut text = read(&format!("snapshots/crossrun__report__html__{module}__{name}.snap.html"));
    for (tag, part) in [("style", "style.css"), ("script", "page.js")] {
        text = text.replacen(&format!("<{tag}>{part}</{tag}>"), &format!("<{tag}>{}</{tag}>", read(part)), 1);
    }
    let folder = executable().parent().unwrap().join("pages");
    std::fs::create_dir_all(&folder).unwrap();
    // Another test may be opening it: it is put into its place whole.
    let made = tempfile::NamedTempFile::new_in(&folder).unwrap();
    std::fs::write(made.path(), text).unwrap();
    let file = folder.join(format!("{name}.html"));
    made.persist(&file).unwrap();
    file
}

/// The page at `url` loaded nothing beside itself, and neither its script nor the browser complained.
#[track_caller]
fn assert_alone_and_silent(browser: &Chromium, url: &str) {
    let requests = browser.events_of("Network.requestWillBeSent");
    let asked: Vec<_> = requests.iter().map(|request| request["request"]["url"].as_str().unwrap()).collect();
    assert!(asked.contains(&url), "{asked:?}");
    assert!(asked.iter().all(|asked| *asked == url || asked.starts_with("data:")), "{url}: {asked:?}");
    for complaint in [
        "Runtime.consoleAPICalled",
        "Runtime.exceptionThrown",
        "Log.entryAdded",
        "Page.javascriptDialogOpening",
    ] {
        assert!(browser.events_of(complaint).is_empty(), "{url}: {:?}", browser.events_of(complaint));
    }
}

/// The page does not scroll sideways in a window of this width.
#[track_caller]
fn assert_fits(browser: &mut Chromium, name: &str, width: u32) {
    let widest =
        browser.evaluate("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)");
    assert!(widest.as_u64().unwrap() <= width.into(), "{name} is {widest} wide at {width}");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn each_page_is_alone_and_silent_and_fits_and_can_be_read_at_every_width() {
    let Some(mut browser) = Chromium::start() else { return };
    for (name, (width, height)) in
        PAGES.iter().flat_map(|name| [PHONE, DESKTOP, WIDE].map(|size| (*name, size)))
    {
        browser.prefer("light");
        let url = browser.open(&page(name), width, height);
        assert_eq!(browser.evaluate("document.scripts.length"), 1, "{name}");
        assert_eq!(browser.evaluate("document.images.length"), 0, "{name}");
        assert_alone_and_silent(&browser, &url);
        assert_marks(&mut browser, name, width);
        if (width, height) == DESKTOP {
            assert_links(&mut browser, name);
        }
        // What is opened must fit too.
        browser.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)");
        assert_fits(&mut browser, name, width);
        if (width, height) == DESKTOP {
            assert_contrast(&mut browser, name);
        }
    }
}

/// For each chart: how many marks have a size and stand within it, how many do not, and how small its smallest text is.
const MARKS: &str = "[...document.querySelectorAll('figure.chart')].map(chart => {
    const edge = chart.getBoundingClientRect();
    const inside = mark => { const it = mark.getBoundingClientRect();
        return it.width > 4 && it.height > 4 && it.left >= edge.left - 8 && it.right <= edge.right + 8 };
    const marks = [...chart.querySelectorAll('svg a use')];
    const text = [...chart.querySelectorAll('svg text')].map(it => 12 * it.getScreenCTM().a);
    return [marks.filter(inside).length, marks.filter(it => !inside(it)).length, Math.min(...text)] })";

/// Each chart of a page has marks within it, and legible text.
#[track_caller]
fn assert_marks(browser: &mut Chromium, name: &str, width: u32) {
    let charts = match name {
        "several_workloads" => 25,
        "scaling" | METG => 13,
        "hostile" => 5,
        "open_loop" | TRENDS => 2,
        "original" => 1,
        _ => 0,
    };
    let found = browser.evaluate(MARKS);
    let found = found.as_array().unwrap();
    assert!(found.len() >= charts, "{name} has {} charts", found.len());
    for chart in found {
        assert!(chart[0].as_u64() > Some(0) && chart[1] == 0, "{name} at {width}: {chart}");
        assert!(chart[2].as_f64() >= Some(10.0), "{name} at {width}: {chart}");
    }
}

/// Every link has a target, and a figure opens its trials.
#[track_caller]
fn assert_links(browser: &mut Chromium, name: &str) {
    let lost = "[...document.querySelectorAll('a')].map(it => it.getAttribute('href'))
        .filter(to => !to.startsWith('#') || !document.getElementById(to.slice(1)))";
    assert_eq!(browser.evaluate(lost).as_array().map(Vec::len), Some(0), "{name}");
    let is_shown =
        "(() => { const it = document.querySelector('.inside'); const box = it.getBoundingClientRect();
        return it.closest('details').open && box.height > 50 && box.top < innerHeight && box.bottom > 0 })()";
    assert_eq!(browser.evaluate(is_shown), false, "{name}");
    browser.evaluate(
        "document.documentElement.style.scrollBehavior = 'auto';
        document.querySelector(`a[href='#${document.querySelector('.inside').id}']`).click()",
    );
    eventually(name, || browser.evaluate(is_shown) == true);
}

/// The texts whose contrast with what is behind them is under 4.5, the least that WCAG 2 asks for at AA.
const FAINT: &str = "(() => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgb = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data] };
    const light = colour => { const [r, g, b] = rgb(colour).map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b };
    const behind = it => { for (; it; it = it.parentElement) {
        const colour = getComputedStyle(it).backgroundColor; if (rgb(colour)[3] > 0) return colour } return 'white' };
    const faint = new Set();
    for (const it of document.querySelectorAll('body *')) {
        if (![...it.childNodes].some(node => node.nodeType == 3 && node.data.trim()) || !it.getClientRects().length) continue;
        const style = getComputedStyle(it);
        const [one, other] = [it.namespaceURI.endsWith('svg') ? style.fill : style.color, behind(it)].map(light);
        const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (contrast < 4.5) faint.add(`${it.tagName}.${it.className} ${contrast.toFixed(2)}`);
    }
    return [...faint] })()";

/// Every text stands out, in light and in dark.
#[track_caller]
fn assert_contrast(browser: &mut Chromium, name: &str) {
    let papers = ["light", "dark"].map(|scheme| {
        browser.prefer(scheme);
        let faint = browser.evaluate(FAINT);
        assert_eq!(faint.as_array().map(Vec::as_slice), Some(&[][..]), "{name} {scheme}");
        browser.evaluate("getComputedStyle(document.body).backgroundColor")
    });
    assert_ne!(papers[0], papers[1], "{name}");
}

#[test]
fn the_script_filters_by_backend_and_workload() {
    let Some(mut browser) = Chromium::start() else { return };
    browser.open(&page("several_workloads"), DESKTOP.0, DESKTOP.1);
    assert_eq!(browser.evaluate("document.querySelector('.filters').offsetHeight > 0"), true);
    let shown = |kind: &str, number: u32| {
        format!(
            "[...document.querySelectorAll('[data-{kind}=\"{number}\"]')].filter(it => it.getClientRects().length).length"
        )
    };
    for (kind, number) in [("b", 1), ("w", 2)] {
        let click = format!("document.querySelector('input[name={kind}][value=\"{number}\"]').click()");
        let before = browser.evaluate(&shown(kind, number));
        assert!(before.as_u64() >= Some(8), "{kind}: {before}");
        browser.evaluate(&click);
        assert_eq!(browser.evaluate(&shown(kind, number)), 0, "{kind}");
        // Others stay, and it comes back.
        assert!(browser.evaluate(&shown(kind, 0)).as_u64() >= Some(8), "{kind}");
        browser.evaluate(&click);
        assert_eq!(browser.evaluate(&shown(kind, number)), before, "{kind}");
    }
}

#[test]
fn a_link_to_a_filtered_page_hides_the_same() {
    let Some(mut browser) = Chromium::start() else { return };
    let url = browser.open(&page("several_workloads"), DESKTOP.0, DESKTOP.1);
    browser.evaluate("document.querySelector('input[name=b][value=\"1\"]').click()");
    let address = browser.evaluate("location.href");
    assert_eq!(address, format!("{url}#hide-b=beta"));
    // Only another page makes the browser load this one again.
    browser.open(&page("scaling"), DESKTOP.0, DESKTOP.1);
    browser.visit(address.as_str().unwrap(), DESKTOP.0, DESKTOP.1);
    let shown = "[0, 1].map(number => [...document.querySelectorAll(`[data-b=\"${number}\"]`)]
        .filter(it => it.getClientRects().length).length)";
    let counts = browser.evaluate(shown);
    assert!(counts[0].as_u64() >= Some(8) && counts[1] == 0, "{counts}");
    // A link within the page shows its target, whatever is hidden elsewhere.
    browser.evaluate("document.querySelector('nav a').click()");
    assert_eq!(browser.evaluate(shown)[1], 0);
    browser.evaluate("document.querySelector('input[name=b][value=\"1\"]').click()");
    assert!(browser.evaluate(shown)[1].as_u64() >= Some(8));
}

/// Each cell of a table has an address of its own, whatever the table.
#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_click_on_a_cell_puts_an_address_of_its_own_into_the_address() {
    let Some(mut browser) = Chromium::start() else { return };
    for name in PAGES {
        browser.open(&page(name), DESKTOP.0, DESKTOP.1);
        // The browser allows 200 changes of the address in ten seconds.
        let counts = "(() => { const addresses = new Set();
            history.replaceState = (a, b, to) => addresses.add(to);
            const cells = [...document.querySelectorAll('tbody > tr > *')]; cells.forEach(it => it.click());
            return [cells.length, addresses.size, document.querySelectorAll('[aria-current]').length] })()";
        let counts = browser.evaluate(counts);
        assert!(counts[0].as_u64() >= Some(8), "{name}: {counts}");
        assert!(counts[0] == counts[1] && counts[2] == 1, "{name}: {counts}");
    }
}

#[test]
fn the_address_of_a_cell_marks_it_and_keeps_what_is_hidden() {
    let Some(mut browser) = Chromium::start() else { return };
    let url = browser.open(&page("several_workloads"), DESKTOP.0, DESKTOP.1);
    browser.evaluate("document.querySelector('input[name=b][value=\"1\"]').click()");
    // The verdict of the first row, whose id its links have.
    let clicked = "(() => { const row = document.querySelector('.results').tBodies[0].rows[0];
        row.cells[5].click();
        return row.querySelector('a').hash })()";
    let row = browser.evaluate(clicked);
    let row = row.as_str().unwrap();
    let address = format!("{url}{row}.6&hide-b=beta");
    assert_eq!(browser.evaluate("location.href"), address);
    // The second row of the geometric means.
    let second = format!("{url}#summary.2.2");
    let is_marked = "(() => { const marked = [...document.querySelectorAll('[aria-current]')];
        if (marked.length !== 1) return '';
        const [it] = marked; const box = it.getBoundingClientRect(); const style = getComputedStyle(it);
        const seen = box.height > 0 && box.top >= 0 && box.bottom <= innerHeight;
        return seen && style.outlineStyle === 'solid'
            ? `${it.parentElement.cells[0].textContent.trim()} ${it.cellIndex}` : '' })()";
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        for (address, marked) in [(&address, "alpha 5"), (&second, "gamma 1")] {
            // Only another page makes the browser load this one again.
            browser.open(&page("scaling"), DESKTOP.0, DESKTOP.1);
            browser.visit(address, DESKTOP.0, DESKTOP.1);
            eventually(address, || browser.evaluate(is_marked) == marked);
        }
    }
    // Nothing is marked by an address that no cell has.
    for unknown in ["#summary.99", "#nothing.1", "#summary"] {
        browser.open(&page("scaling"), DESKTOP.0, DESKTOP.1);
        browser.visit(&format!("{url}{unknown}"), DESKTOP.0, DESKTOP.1);
        assert_eq!(browser.evaluate("document.querySelectorAll('[aria-current]').length"), 0, "{unknown}");
        assert!(browser.events_of("Runtime.exceptionThrown").is_empty(), "{unknown}");
    }
}

#[test]
fn a_link_that_was_cut_off_leaves_the_page_its_script() {
    let Some(mut browser) = Chromium::start() else { return };
    let url = format!("{}#hide-b=caf%C3%", address_of(&page("several_workloads")));
    browser.visit(&url, DESKTOP.0, DESKTOP.1);
    assert_eq!(browser.evaluate("document.querySelector('.filters').offsetHeight > 0"), true);
    assert!(browser.events_of("Runtime.exceptionThrown").is_empty());
}

#[test]
fn the_script_sorts_by_value_and_not_by_text() {
    let Some(mut browser) = Chromium::start() else { return };
    browser.open(&page("several_workloads"), DESKTOP.0, DESKTOP.1);
    // The medians of the second table are 25.2 ms, 33.0 ms and 15.7 s.
    let order = "(() => { const table = document.querySelectorAll('.results')[1];
        table.tHead.rows[0].cells[1].querySelector('button').click();
        return [...table.tBodies[0].rows].map(row => row.cells[0].textContent.trim()).join() })()";
    assert_eq!(browser.evaluate(order), "beta,alpha,gamma");
    assert_eq!(browser.evaluate(order), "gamma,alpha,beta");
    // In the third table a row has no value: it is last in both directions.
    let order = order.replace("[1];", "[2];");
    assert_eq!(browser.evaluate(&order), "alpha,beta,gamma");
    assert_eq!(browser.evaluate(&order), "beta,alpha,gamma");
}

#[test]
fn every_command_has_a_button_that_copies_it() {
    let Some(mut browser) = Chromium::start() else { return };
    browser.open(&page("several_workloads"), DESKTOP.0, DESKTOP.1);
    browser.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)");
    let counts = "[document.querySelectorAll('pre').length,
        [...document.querySelectorAll('pre')].filter(it => it.previousElementSibling.matches('button')).length]";
    assert_eq!(browser.evaluate(counts), serde_json::json!([12, 12]));
    browser.allow_clipboard();
    let copied = "(async () => { document.querySelector('pre').previousElementSibling.click();
        const shown = () => document.querySelector('pre').previousElementSibling.textContent;
        while (shown() === 'Copy command') await new Promise(done => setTimeout(done, 5));
        return [shown(), await navigator.clipboard.readText() === document.querySelector('pre').textContent] })()";
    assert_eq!(browser.evaluate(copied), serde_json::json!(["Copied", true]));
    // Where the clipboard cannot be written, the command is selected.
    let selected = "(async () => { Object.defineProperty(navigator, 'clipboard', { value: undefined });
        document.querySelector('pre').previousElementSibling.click();
        await new Promise(done => setTimeout(done));
        return getSelection().toString().trim() === document.querySelector('pre').textContent.trim() })()";
    assert_eq!(browser.evaluate(selected), true);
}

#[test]
fn paper_has_no_controls_and_all_warnings() {
    let Some(mut browser) = Chromium::start() else { return };
    browser.open(&page("several_workloads"), DESKTOP.0, DESKTOP.1);
    browser.print();
    let controls = "[...document.querySelectorAll('.filters, pre + button, nav')].filter(it => it.getClientRects().length).length";
    assert_eq!(browser.evaluate(controls), 0);
    assert_eq!(
        browser.evaluate("document.querySelector('.notices li').getBoundingClientRect().height > 5"),
        true
    );
}

#[test]
fn a_page_of_records_draws_the_graph_if_the_library_of_the_records_is_there() {
    let place = Place::new();
    place.run("run --backend native --workload task_graph --items 64 --extra width=8").code(0);
    let page = |file: &str| {
        place.crossrun(&["report", "results/task_graph", "--html", file]).code(0);
        std::fs::read_to_string(place.path().join(file)).unwrap()
    };
    let drawn = page("drawn.html");
    assert!(drawn.contains("the first 64 tasks"), "{drawn}");
    assert!(drawn.contains("<title>step 0, point 1 to step 1, point 2</title>"), "{drawn}");
    // Another library may have another graph. The bytes at the end are no part of it.
    let library = place.plugins().join("libstandard_workloads.so");
    let mut bytes = std::fs::read(&library).unwrap();
    bytes.extend([0; 8]);
    std::fs::write(&library, bytes).unwrap();
    assert!(!page("other.html").contains("Task graphs"));
    std::fs::remove_file(&library).unwrap();
    assert!(!page("none.html").contains("Task graphs"));
}
