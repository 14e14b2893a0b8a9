//! Which C library the archive needs.

use std::path::PathBuf;

use crossrun::internals::plugin::glibc;

use crate::failure::Failure;

/// The newest version of glibc that any of these asks for: the least that a machine must have.
pub(crate) fn newest_required<'a>(
    files: impl Iterator<Item = &'a PathBuf>,
) -> Result<Option<String>, Failure> {
    let mut newest = None;
    for file in files {
        let invalid = |why| Failure::Invalid(format!("{}: {why}", file.display()));
        newest = newest.max(glibc::required_by(file).map_err(invalid)?);
    }
    Ok(newest.map(|version| version.to_string()))
}
