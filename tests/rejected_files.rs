//! Files that are named as libraries but are none of ours are listed as rejected with a reason, and never opened with
//! the dynamic linker.

use serde_json::Value;

use crate::support::{Place, Ran, hostile, plugin};

/// Stages `file` as `libsuspect.so`, lists it, and gives its reason.
fn reason(place: &Place) -> String {
    let trace = place.path().join("trace");
    let mut command = place.command(&["backends", "--json"]);
    command.env("CROSSRUN_TEST_TRACE", &trace);
    let rows = Ran::of(command).code(0).json();
    let row =
        rows.as_array().unwrap().iter().find(|row| row["path"].as_str().unwrap().ends_with("libsuspect.so"));
    let row = row.unwrap_or_else(|| panic!("no row of libsuspect.so in {rows}"));
    assert_eq!(row["status"], "rejected", "{row}");
    assert_eq!(row["name"], Value::Null, "{row}");
    assert!(!trace.exists(), "it was opened: {}", std::fs::read_to_string(trace).unwrap());
    // The others are listed none the less.
    assert!(
        rows.as_array().unwrap().iter().any(|row| row["name"] == "native" && row["status"] == "available")
    );
    row["reason"].as_str().unwrap().to_owned()
}

fn reason_of_bytes(bytes: &[u8]) -> String {
    let place = Place::new();
    std::fs::write(place.plugins().join("libsuspect.so"), bytes).unwrap();
    reason(&place)
}

#[test]
fn a_text_file_and_an_empty_file() {
    assert_eq!(reason_of_bytes(b"I am not a library\n"), "not a shared library");
    assert_eq!(reason_of_bytes(b""), "the file is empty");
}

#[test]
fn a_library_that_was_cut_short_wherever() {
    let whole = std::fs::read(plugin("native_runner")).unwrap();
    for part in [64, 1000, whole.len() / 2, whole.len() - 1000, whole.len() - 1] {
        let reason = reason_of_bytes(&whole[..part]);
        assert!(reason.contains("cut short or damaged"), "{part} bytes: {reason}");
    }
}

#[test]
fn libraries_that_are_not_ours_whatever_they_do_when_opened() {
    for name in ["crashing_library", "hanging_library"] {
        let place = Place::new();
        place.stage_as(&hostile(name), "libsuspect.so");
        assert_eq!(reason(&place), "not a crossrun plugin: it has no metadata section");
    }
}

#[test]
fn a_folder_a_pipe_and_a_link_to_nowhere() {
    let place = Place::new();
    std::fs::create_dir(place.plugins().join("libsuspect.so")).unwrap();
    assert_eq!(reason(&place), "not a regular file");

    let place = Place::new();
    let pipe = place.plugins().join("libsuspect.so");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(reason(&place), "not a regular file");

    let place = Place::new();
    std::os::unix::fs::symlink("nowhere", place.plugins().join("libsuspect.so")).unwrap();
    assert!(reason(&place).starts_with("cannot be read"));
}

#[test]
fn a_library_for_another_machine() {
    let mut bytes = std::fs::read(plugin("native_runner")).unwrap();
    // The machine in the header of an ELF file: 243 is RISC-V.
    bytes[18..20].copy_from_slice(&243_u16.to_le_bytes());
    let reason = reason_of_bytes(&bytes);
    assert!(reason.contains("built for another machine") && reason.contains("Riscv64"), "{reason}");
}

#[test]
fn metadata_that_was_tampered_with() {
    let whole = std::fs::read(plugin("native_runner")).unwrap();
    let at = |needle: &[u8]| whole.windows(needle.len()).position(|window| window == needle).unwrap();
    for (needle, replacement, words) in [
        (b"crossrun-plugin 1\n".as_slice(), b"crossrun-plugin 9\n".as_slice(), "format 9"),
        (b"\napi=1.", b"\napi=2.", "plugin-api 2."),
        (b"kind=runner", b"kind=runnet", "kind"),
        (b"\nname=native\n", b"\nname=NATIVE\n", "name"),
    ] {
        let mut bytes = whole.clone();
        bytes[at(needle)..][..replacement.len()].copy_from_slice(replacement);
        let reason = reason_of_bytes(&bytes);
        assert!(reason.contains(words), "{reason}");
    }
}

#[test]
fn an_abi_header_that_is_none() {
    let mut bytes = std::fs::read(plugin("native_runner")).unwrap();
    let magic = b"abi stable library for Rust     ";
    let places: Vec<_> =
        (0..bytes.len() - magic.len()).filter(|at| &bytes[*at..][..magic.len()] == magic).collect();
    for at in places {
        bytes[at] = b'A';
    }
    assert_eq!(reason_of_bytes(&bytes), "its ABI header is none");
}

#[test]
fn a_runner_without_a_layout_is_refused_when_it_is_loaded() {
    let place = Place::new();
    let file = place.stage(&hostile("no_layout_runner"));
    let rows = place.crossrun(&["backends", "--json"]).code(0).json();
    let row = rows.as_array().unwrap().iter().find(|row| row["path"] == file.to_str().unwrap()).unwrap();
    assert_eq!(row["status"], "rejected");
    assert!(row["reason"].as_str().unwrap().contains("no description of its layout"), "{row}");
    place.crossrun(&["run", "--backend", "no_layout", "--workload", "null"]).code(3);
}
