//! The selftest catches every cheating backend, and reports no difference where there is none.

use crate::support::{Place, plugin};

#[test]
fn every_cheating_backend_is_caught_and_the_honest_one_is_verified() {
    let place = Place::empty();
    place.stage(&plugin("standard_workloads"));
    let ran = place.crossrun(&["selftest", "--quick", "--no-lock", "--json"]);
    let outcome = ran.json();
    crate::released::selftest(&outcome);
    let liars = outcome["liars"].as_array().unwrap();
    let how = |lie: &str| {
        let trick = liars.iter().find(|trick| trick["lie"] == lie).unwrap();
        assert_eq!(trick["caught"], true, "{trick}");
        (trick["how"].as_str().unwrap(), trick["reason"].as_str().unwrap())
    };
    assert_eq!(how("none"), ("believed", ""));
    for (lie, expected, words) in [
        ("drop", "wrong answer", "items reached the sink, but 50 must"),
        ("duplicate", "wrong answer", "the checksum is"),
        ("flip_bit", "wrong answer", "the checksum is"),
        ("cached", "wrong answer", "the checksum is"),
        ("skip_kernel", "wrong answer", "the checksum is"),
        ("stop_clock_early", "warning", "the worker's time counts"),
        ("claim_more_time", "invalid measurement", "but the worker measured"),
        ("more_parallelism", "invalid measurement", "more of them were at work at once"),
        ("stall", "warning", "the worker's time counts"),
        ("other_name", "invalid measurement", "another"),
    ] {
        let (kind, reason) = how(lie);
        assert!(kind == expected && reason.contains(words), "{lie}: {kind}: {reason}");
    }
    assert_eq!(liars.len(), 11);
    assert_eq!((&outcome["beside"]["cells"], &outcome["beside"]["blocks"]), (&10.into(), &7.into()));
    assert!(outcome["floor_seconds"].as_f64().unwrap() > 0.0);
    // A busy machine may make one backend look like two; the exit code says what the outcome says.
    let code = if outcome["passed"] == true { 0 } else { 6 };
    ran.code(code);
}

#[test]
fn without_workloads_the_selftest_cannot_run() {
    Place::empty().crossrun(&["selftest"]).code(3).says("pipeline");
}
