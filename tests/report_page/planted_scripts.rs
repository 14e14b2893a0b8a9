//! The page's policy has the browser refuse what is planted into the page.

use super::{DESKTOP, page};
use crate::chromium::Chromium;
use crate::support::{Place, eventually};

/// Each would change the title, or hide the page.
const PLANTED: &str = "<script>document.title = 'planted'</script>
<script src=\"data:text/javascript,document.title='planted'\"></script>
<button id=\"planted\" onclick=\"document.title='planted'\">planted</button>
<img src=\"data:,\" onerror=\"document.title='planted'\">
<svg onload=\"document.title='planted'\"></svg>
<iframe src=\"data:text/html,planted\"></iframe>
<style>body { display: none }</style>
<p style=\"position: fixed\">planted</p>
</main>";

#[test]
fn a_planted_script_or_style_does_nothing_and_the_pages_own_script_works() {
    let Some(mut browser) = Chromium::start() else { return };
    let place = Place::empty();
    let text = std::fs::read_to_string(page("several_workloads")).unwrap();
    let file = place.path().join("planted.html");
    std::fs::write(&file, text.replacen("</main>", PLANTED, 1)).unwrap();
    browser.open(&file, DESKTOP.0, DESKTOP.1);
    browser.evaluate("document.querySelector('#planted').click()");
    // Two scripts, three handlers, a frame and two styles.
    let mut refused = Vec::new();
    eventually("the browser says what it refused", || {
        // A call has the browser tell what it has to say.
        browser.evaluate("1");
        let entries = browser.events_of("Log.entryAdded");
        let texts = entries.iter().map(|entry| entry["entry"]["text"].as_str().unwrap_or_default());
        refused = texts.filter(|text| text.contains("Content Security Policy")).map(str::to_owned).collect();
        refused.len() >= 8
    });
    assert_eq!(refused.len(), 8, "{refused:#?}");
    assert_eq!(browser.evaluate("document.title"), "Comparison with alpha");
    assert_eq!(browser.evaluate("getComputedStyle(document.body).display"), "block");
    assert_eq!(browser.evaluate("document.querySelector('.filters').offsetHeight > 0"), true);
}
