//! `crossrun doctor` reports what makes figures noisy, with a command that helps.

use crate::field::wrappers::wrapped;
use crate::support::{Place, Ran, not_run};

#[test]
fn every_finding_has_its_effect_and_every_backend_is_probed() {
    let place = Place::with_misbehaving();
    let mut command = place.command(&["doctor", "--json"]);
    command.env("CROSSRUN_TEST_PROBE", "unavailable");
    let report = Ran::of(command).code(0).json();
    let machine = report["machine"].as_array().unwrap();
    let ids: Vec<_> = machine.iter().map(|finding| finding["id"].as_str().unwrap()).collect();
    let expected = "governor turbo smt quota isolated real_time steal load clock_source swap thp disk";
    for id in expected.split(' ') {
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
    let remedy = format!("crossrun setup misbehaving --plugin-dir {}", place.plugins().display());
    assert_eq!(misbehaving["remedy"], remedy);
    let text = place.crossrun(&["doctor"]).code(0).stdout();
    assert!(
        text.contains("misbehaving is available") && text.contains("that may make measurements noisy"),
        "{text}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn where_no_backend_can_be_probed_the_machine_is_examined_all_the_same() {
    let place = Place::new();
    // Nobody makes folders there, root included. In a container of a user it belongs to nobody, whom crossrun does not trust.
    let mut command = place.command(&["doctor", "--json", "--allow-untrusted"]);
    command.env("CROSSRUN_DATA_DIR", "/sys/crossrun");
    let report = Ran::of(command).code(0).says("export CROSSRUN_DATA_DIR=DIR").json();
    assert!(report["machine"].as_array().unwrap().len() > 10, "{report}");
    let backends = report["backends"].as_array().unwrap();
    let native = backends.iter().find(|row| row["name"] == "native").unwrap();
    assert_eq!(native["status"], "found");
    assert_eq!(native["reason"], "it was not probed");
}

#[test]
fn a_loopback_interface_that_is_down_is_found_although_the_files_are_those_of_another_namespace() {
    let place = Place::empty();
    let loopback = |command| {
        let report = Ran::of(command).code(0).json();
        let machine = report["machine"].as_array().unwrap().clone();
        machine.into_iter().find(|finding| finding["id"] == "loopback").unwrap()
    };
    let doctor = || place.command(&["doctor", "--json"]);
    assert_eq!(loopback(doctor())["level"], "good");
    // A network namespace begins with an interface that is down.
    let options = ["--net", "--map-root-user"];
    let can = std::process::Command::new("unshare").args(options).arg("true").output();
    if !can.is_ok_and(|ran| ran.status.success()) {
        return not_run("this user may not have a network namespace");
    }
    let down = loopback(wrapped("unshare", &options, &doctor()));
    // Root, who it is there, needs no `sudo`.
    assert_eq!(
        (down["level"].as_str(), down["remedy"].as_str()),
        (Some("bad"), Some("ip link set lo up")),
        "{down}"
    );
}
