//! What a file says of itself, without running any of it.

use super::Trouble;
use super::bench::Bench;

/// The file is a plugin for this host.
pub(super) fn metadata(bench: &mut Bench) -> Result<String, Trouble> {
    let metadata = &bench.plugin()?.metadata;
    let empty = [("version", &metadata.version), ("description", &metadata.description)];
    match empty.into_iter().find(|(_, value)| value.trim().is_empty()) {
        Some((key, _)) => Err(Trouble::Failed(format!("{key} is empty in its metadata"))),
        None => Ok(format!("{} {} {}", metadata.kind.word(), metadata.name, metadata.version)),
    }
}

/// It is as fast as its author can make it.
pub(super) fn release(bench: &mut Bench) -> Result<String, Trouble> {
    let metadata = &bench.plugin()?.metadata;
    if !metadata.is_debug_build() {
        return Ok(String::new());
    }
    let assertions = if metadata.debug_assertions { "with" } else { "without" };
    let why = format!("built with opt-level {} and {assertions} debug assertions", metadata.opt_level);
    Err(Trouble::Failed(why))
}
