//! Whether two machines are the same.

use crate::record::SystemProfile;

/// The keys in which two machines differ. Python is not compared: an engine has its own.
pub(super) fn machine_keys(one: &SystemProfile, other: &SystemProfile) -> Vec<&'static str> {
    let same = [
        ("hostname", one.hostname == other.hostname),
        ("os", one.os == other.os),
        ("arch", one.arch == other.arch),
        ("cpu_model", one.cpu_model == other.cpu_model),
        ("cpu_physical_cores", one.cpu_physical_cores == other.cpu_physical_cores),
        ("memory_gb", one.memory_gb == other.memory_gb),
        ("cpu_logical_cores", one.cpu_logical_cores == other.cpu_logical_cores),
        ("governor", one.governor == other.governor),
    ];
    same.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
}
