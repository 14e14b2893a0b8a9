//! The entries of a folder.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The paths of all entries, sorted.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let cannot = || Failure::file("cannot read the folder", folder);
    let entries = std::fs::read_dir(folder).map_err(cannot())?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let mut paths = paths.map_err(cannot())?;
    paths.sort();
    Ok(paths)
}
