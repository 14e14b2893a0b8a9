//! A page of a thousand rows.

use super::{DESKTOP, PHONE, WIDE, assert_alone_and_silent, assert_fits};
use crate::chromium::Chromium;
use crate::released::planted::{End, configure, folder, trial};
use crate::support::Place;

const BACKENDS: [&str; 10] =
    ["native", "python", "sage", "ray", "dask", "spark", "timely", "mine", "yours", "theirs"];
const POINTS: u32 = 100;
const BLOCKS: u32 = 6;

/// The records of a thousand rows of six trials each.
fn records() -> Place {
    let place = Place::empty();
    let mut trials = Vec::new();
    for (point, block) in (0..POINTS).flat_map(|point| (0..BLOCKS).map(move |block| (point, block))) {
        for (factor, backend) in (1..).zip(BACKENDS) {
            let seconds = f64::from(factor) * (1.0 + f64::from(block * 7 % 11) * 0.003);
            let workload = ["pipeline", "imbalance", "word_count", "null"][point as usize % 4];
            let mut trial = trial(backend, workload, block, End::Verified(seconds));
            configure(&mut trial["record"], |config| {
                config["extra"] = serde_json::json!({"iters": (point / 4).to_string()});
            });
            trials.push(trial);
        }
    }
    folder(&place, "run", &trials);
    place
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_page_of_a_thousand_rows_is_below_three_mebibytes_and_fits_sorts_and_filters() {
    let Some(mut browser) = Chromium::start() else { return };
    let place = records();
    place.crossrun(&["report", "run", "--html", "page.html", "--quiet"]).code(0);
    let file = place.path().join("page.html");
    let bytes = file.metadata().unwrap().len();
    assert!(bytes < 3 << 20, "{bytes} bytes");
    for (width, height) in [PHONE, WIDE, DESKTOP] {
        let url = browser.open(&file, width, height);
        assert_alone_and_silent(&browser, &url);
        assert_fits(&mut browser, "the page", width);
    }
    let rows =
        "[...document.querySelectorAll('.results tbody tr')].filter(it => it.getClientRects().length).length";
    assert_eq!(browser.evaluate(rows), 1000);
    assert_eq!(browser.evaluate("document.querySelectorAll('.matrix tbody td').length"), 1000);
    browser.evaluate("document.querySelector('input[name=b][value=\"3\"]').click()");
    assert_eq!(browser.evaluate(rows), 900);
    browser.evaluate("document.querySelector('input[name=w][value=\"1\"]').click()");
    assert_eq!(browser.evaluate(rows), 675);
    // The second column of the matrix, in both directions.
    let sorted = "(() => { const table = document.querySelector('.matrix');
        table.tHead.rows[0].cells[2].querySelector('button').click();
        return table.tHead.rows[0].cells[2].getAttribute('aria-sort') })()";
    assert_eq!(browser.evaluate(sorted), "ascending");
    assert_eq!(browser.evaluate(sorted), "descending");
}
