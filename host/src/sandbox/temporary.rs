//! Where temporary folders are made.

use std::path::PathBuf;

/// The folder that `TMPDIR` names, or else the system's. A relative path counts as none: it leads elsewhere for each process that
/// has another current folder.
pub(super) fn temporary_folder() -> PathBuf {
    Some(std::env::temp_dir()).filter(|folder| folder.is_absolute()).unwrap_or_else(|| "/tmp".into())
}
