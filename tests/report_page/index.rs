//! The index of the runs of `crossrun serve`.

use super::{DESKTOP, PHONE, WIDE, assert_alone_and_silent, assert_fits};
use crate::chromium::Chromium;
use crate::serve::{Served, place};

#[test]
fn the_index_fits_every_window_and_leads_to_the_page_of_a_run() {
    let Some(mut browser) = Chromium::start() else { return };
    let served = Served::of(place());
    let index = format!("http://{}/", served.address);
    for (width, height) in [PHONE, DESKTOP, WIDE] {
        browser.visit(&index, width, height);
        assert_alone_and_silent(&browser, &index);
        assert_fits(&mut browser, "the index", width);
    }
    let order = "(() => { document.querySelector('th button').click();
        return [...document.querySelectorAll('tbody a')].map(it => it.textContent) })()";
    let down = browser.evaluate(order);
    assert_eq!(down.as_array().map(Vec::len), Some(2));
    let mut up = browser.evaluate(order);
    up.as_array_mut().unwrap().reverse();
    assert_eq!(down, up);
    let run = browser.evaluate("document.querySelector('tbody a').href");
    let run = run.as_str().unwrap();
    browser.visit(run, DESKTOP.0, DESKTOP.1);
    assert_alone_and_silent(&browser, run);
    assert_eq!(browser.evaluate("document.querySelectorAll('table.matrix').length"), 1);
}
