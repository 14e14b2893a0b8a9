//! The libraries in C that these tests build, each once.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::c_backend::compiled;
use crate::support::repository;

pub(super) const KIT: &str = "plugin-api/kit/crossrun_workload_kit.c";
pub(super) const ARRIVING: &str = "tests/fixtures/c/arriving_workload.c";
pub(super) const EMPTY: &str = "tests/fixtures/c/empty_workload.c";
pub(super) const WINDOWS: &str = "tests/fixtures/c/windows_workload.c";

/// An example that a reader of the repository finds, built with the kit.
pub(super) fn built(name: &'static str) -> PathBuf {
    built_with(name, &format!("{name}_workload"), &[])
}

pub(super) fn built_with(name: &str, library: &str, more: &[&str]) -> PathBuf {
    with_kit(&format!("plugin-api/examples/c/{name}_workload.c"), library, more)
}

fn with_kit(source: &str, library: &str, more: &[&str]) -> PathBuf {
    let kit = repository().join(KIT);
    compiled(source, library, &[&[kit.to_str().unwrap()], more].concat())
}

/// Open loops, one of which the kit refuses.
pub(super) fn arriving() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| with_kit(ARRIVING, "arriving_workload", &[]))
}

/// One that prepares something in each thread.
pub(super) fn lazy() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| with_kit("tests/fixtures/c/lazy_workload.c", "lazy_workload", &[]))
}

/// Choices that are no text where an option is read as JSON, and a range without ends.
pub(super) fn choosing() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| with_kit("tests/fixtures/c/choosing_workload.c", "choosing_workload", &[]))
}

/// Items, keys and accumulators without any byte.
pub(super) fn empty() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| with_kit(EMPTY, "empty_workload", &[]))
}

/// Windows that close by watermarks, as a closed and as an open loop.
pub(super) fn windows() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| with_kit(WINDOWS, "windows_workload", &[]))
}

/// The same with a fault each.
pub(super) fn faulty_windows() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| with_kit(WINDOWS, "faulty_windows_workload", &["-DFAULTY"]))
}

pub(super) fn numbers() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("minimal"))
}

pub(super) fn sensors() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("sensors"))
}
