//! The user's data folder of crossrun, the same for the host and for every plugin.

use std::path::PathBuf;

use etcetera::BaseStrategy;

/// The environment variable that names the folder.
pub const VARIABLE: &str = "CROSSRUN_DATA_DIR";

/// Where environments, logs and caches are kept: `CROSSRUN_DATA_DIR`, else `crossrun` in the platform's folder for a
/// user's data. Absolute; it need not exist. Nothing if neither that variable nor an absolute home folder is set.
///
/// For [`is_available`](crate::WorkloadRunner::is_available), which has no context; every other call is given the same
/// folder.
pub fn data_dir() -> Option<PathBuf> {
    let named = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    // A relative home would be another folder for each current folder.
    let absolute = |folder: &PathBuf| folder.is_absolute();
    let usual = || Some(etcetera::choose_base_strategy().ok()?.data_dir().join("crossrun")).filter(absolute);
    std::path::absolute(named.or_else(usual)?).ok()
}
