//! `crossrun doctor` reports what makes figures noisy, with a command that helps.

use crate::support::Place;

#[test]
fn every_finding_has_its_effect_and_every_backend_is_probed() {
    let place = Place::with_misbehaving();
    let mut command = place.command(&["doctor", "--json"]);
    command.env("CROSSRUN_TEST_PROBE", "unavailable");
    let report = crate::support::Ran::of(command).code(0).json();
    let machine = report["machine"].as_array().unwrap();
    let ids: Vec<_> = machine.iter().map(|finding| finding["id"].as_str().unwrap()).collect();
    for id in ["governor", "turbo", "smt", "quota", "steal", "load", "clock_source", "swap", "thp", "disk"] {
        assert!(ids.contains(&id), "{ids:?}");
    }
    for finding in
        machine.iter().filter(|finding| ["bad", "doubtful"].contains(&finding["level"].as_str().unwrap()))
    {
        assert!(
            !finding["effect"].as_str().unwrap().is_empty() && finding["remedy"].is_string(),
            "{finding}"
        );
    }
    let backends = report["backends"].as_array().unwrap();
    let misbehaving = backends.iter().find(|row| row["name"] == "misbehaving").unwrap();
    assert_eq!(misbehaving["remedy"], "crossrun setup misbehaving");
    let text = place.crossrun(&["doctor"]).code(0).stdout();
    assert!(
        text.contains("misbehaving is available") && text.contains("that may make measurements noisy"),
        "{text}"
    );
}
