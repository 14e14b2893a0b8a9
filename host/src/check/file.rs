//! Checks of a file's metadata, which run nothing of it.

use super::finding::{CheckResult, NotPassed, demand};
use super::fixture::Fixture;

/// The file is a plugin for this host, and its metadata is complete.
pub(super) fn metadata(fixture: &mut Fixture) -> CheckResult {
    let metadata = &fixture.plugin()?.metadata;
    let empty = [("version", &metadata.version), ("description", &metadata.description)];
    match empty.into_iter().find(|(_, value)| value.trim().is_empty()) {
        Some((key, _)) => Err(NotPassed::Failed(format!("{key} is empty in its metadata"))),
        None => Ok(format!("{} {} {}", metadata.kind.as_str(), metadata.name, metadata.version)),
    }
}

/// The file is a release build.
pub(super) fn release(fixture: &mut Fixture) -> CheckResult {
    let metadata = &fixture.plugin()?.metadata;
    let assertions = if metadata.debug_assertions { "with" } else { "without" };
    let why = || format!("built with opt-level {} and {assertions} debug assertions", metadata.opt_level);
    demand(!metadata.is_debug_build(), why)
}
