//! What `export_runner!` puts into a file: the root symbol and the metadata.

// The allow-in-tests settings cover functions with `#[test]` only, not what stands beside them; and the root symbol is
// found by its name, as a host finds it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unsafe_code)]

mod abi_document;
mod silent;

use std::sync::Arc;

use abi_stable::library::{AbiHeader, LibHeader};
use plugin_api::ffi::{ForeignRunner, RunnerModuleRef};
use plugin_api::{Availability, RunContext, RunResult, RunnerError, WorkloadRunner, WorkloadSpec};
use silent::Silent;

plugin_api::export_runner!(name = "exported", runner = Exported);

struct Exported;

impl WorkloadRunner for Exported {
    fn backend_name(&self) -> &str {
        "exported"
    }

    fn is_available(&self) -> Availability {
        Availability::Available
    }

    fn run(&mut self, _spec: &WorkloadSpec, _context: &RunContext) -> Result<RunResult, RunnerError> {
        Err(RunnerError::engine("nothing is run here"))
    }
}

#[allow(improper_ctypes, reason = "both sides of this border are Rust")]
unsafe extern "C" {
    /// What the macro exports, under the name that a host looks up.
    #[link_name = "_1as_0lib_1header_0root_bmodule_bloader"]
    static ROOT: LibHeader;
}

fn root() -> &'static LibHeader {
    // SAFETY: the macro defines this symbol with this type, in this very binary.
    unsafe { &ROOT }
}

#[test]
fn the_root_symbol_leads_to_the_runner() {
    let module = root().init_root_module::<RunnerModuleRef>().unwrap();
    let runner = ForeignRunner::create(module, Arc::new(Silent), log::LevelFilter::Off).unwrap();
    assert_eq!(runner.backend_name(), "exported");
    assert!(runner.is_available().is_available());
}

#[test]
fn a_layout_is_exported_and_the_header_is_of_the_documented_version() {
    assert!(root().layout().is_some());
    // SAFETY: the first field of a root header is an ABI header: this is what a host reads of the bytes.
    let header = unsafe { &*std::ptr::from_ref(root()).cast::<AbiHeader>() };
    let AbiHeader { magic_string, abi_major, abi_minor, .. } = *header;
    assert_eq!(&magic_string, b"abi stable library for Rust     ");
    assert_eq!((abi_major, abi_minor), (0, 11));
}

#[test]
fn the_metadata_has_the_documented_keys_in_their_order() {
    let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let start = b"crossrun-plugin 1\nkind=";
    // The text of this constant itself is in the file too, but not with a kind behind it.
    let sections: Vec<_> = file
        .windows(start.len() + 6)
        .enumerate()
        .filter(|(_, bytes)| bytes.starts_with(start) && bytes.ends_with(b"runner"))
        .map(|(at, _)| String::from_utf8_lossy(&file[at..at + 4096.min(file.len() - at)]).into_owned())
        .collect();
    let text = sections.first().expect("a metadata section").split_once("\nend\n").unwrap().0.to_owned();
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let documented = abi_document::first_column("key | meaning");
    let keys: Vec<_> = text.lines().filter_map(|line| line.split_once('=')).map(|(key, _)| key).collect();
    assert_eq!(keys, documented.iter().filter(|key| *key != "workloads").collect::<Vec<_>>());
    assert_eq!(value("name"), Some("exported"));
    assert_eq!(value("api"), Some(plugin_api::API_VERSION));
    assert_eq!(value("version"), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(value("debug_assertions"), Some(if cfg!(debug_assertions) { "true" } else { "false" }));
}
