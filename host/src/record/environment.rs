//! The machine that a trial ran on.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::control_group::{self, Quota};

/// The file with the governor of the first processor's clock rate.
const GOVERNOR: &str = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
/// The file that says whether cores run several threads.
const SMT: &str = "/sys/devices/system/cpu/smt/active";
/// The folder with a file for each known weakness of processors.
const VULNERABILITIES: &str = "/sys/devices/system/cpu/vulnerabilities";

/// The machine, under the original project's keys and a few more. A value that is not known is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SystemProfile {
    /// Its host name.
    pub hostname: Option<String>,
    /// Kernel and release, such as `Linux 6.6.87`.
    pub os: Option<String>,
    /// The processor's architecture, such as `x86_64`.
    pub arch: Option<String>,
    /// The processor, by the name that its maker gave it.
    pub cpu_model: Option<String>,
    /// Cores, counting one that runs several threads once.
    pub cpu_physical_cores: Option<u64>,
    /// Memory in GiB, to two decimals.
    pub memory_gb: Option<f64>,
    /// Graphics processor: never filled in.
    pub gpu: Option<String>,
    /// Python: never filled in, as an engine that uses Python reports it.
    pub python: Option<String>,
    /// Hardware threads that this process may use, by its affinity and its quota.
    pub cpu_logical_cores: Option<u64>,
    /// How the system sets the clock rate, such as `performance`.
    pub governor: Option<String>,
    /// Whether cores run several threads. Absent where the system does not say, and in records of earlier versions, as are the
    /// next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smt: Option<bool>,
    /// The processor time that the control groups leave, in cores; absent also without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<f64>,
    /// What the kernel does about each weakness that this processor has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mitigations: Option<BTreeMap<String, String>>,
    /// Keys that another writer added.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl SystemProfile {
    /// Describes this machine. Takes a few milliseconds and starts no process.
    pub fn collect() -> Self {
        let name = rustix::system::uname();
        let text = |field: &CStr| field.to_string_lossy().into_owned();
        let refresh = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(refresh).ok();
        Self {
            hostname: Some(text(name.nodename())),
            os: Some(format!("{} {}", text(name.sysname()), text(name.release()))),
            arch: Some(text(name.machine())),
            cpu_model: system.as_ref().and_then(cpu_model),
            cpu_physical_cores: System::physical_core_count().ok().map(|count| count as u64),
            // Without `/proc/meminfo` it is said to be none.
            memory_gb: system.as_ref().map(System::total_memory).filter(|bytes| *bytes > 0).map(gibibytes),
            cpu_logical_cores: std::thread::available_parallelism().ok().map(|count| count.get() as u64),
            governor: control_group::text(GOVERNOR.as_ref()),
            smt: control_group::text(SMT.as_ref()).map(|active| active == "1"),
            cpu_quota: match control_group::cpu_quota(Path::new("/")) {
                Some(Quota::Cores(cores)) => Some(cores),
                Some(Quota::Unlimited) | None => None,
            },
            mitigations: mitigations(VULNERABILITIES.as_ref()),
            ..Self::default()
        }
    }
}

fn mitigations(folder: &Path) -> Option<BTreeMap<String, String>> {
    let files = fs::read_dir(folder).ok()?.flatten();
    let state =
        |file: fs::DirEntry| Some((file.file_name().into_string().ok()?, control_group::text(&file.path())?));
    Some(files.filter_map(state).filter(|(_, state)| state != "Not affected").collect())
}

fn cpu_model(system: &System) -> Option<String> {
    let model = system.cpus().first()?.brand().trim();
    (!model.is_empty()).then(|| model.to_owned())
}

fn gibibytes(bytes: u64) -> f64 {
    let gibibytes = bytes as f64 / f64::from(1 << 30);
    (gibibytes * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let profile = SystemProfile::collect();
        assert_eq!(profile.arch.as_deref(), Some(std::env::consts::ARCH));
        assert!(profile.hostname.is_some_and(|name| !name.is_empty()));
        let (kernel, release) = profile.os.as_deref().and_then(|os| os.split_once(' ')).unwrap();
        assert!(!release.is_empty());
        assert_eq!(kernel == "Linux", cfg!(target_os = "linux"));
        assert!(profile.memory_gb.is_some_and(|memory| memory > 0.1));
        assert!(profile.cpu_logical_cores.is_some_and(|count| count >= 1));
    }

    #[test]
    fn only_weaknesses_that_the_processor_has_are_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("l1tf"), "Not affected\n").unwrap();
        fs::write(folder.path().join("spectre_v1"), "Mitigation: barriers\n").unwrap();
        let expected = BTreeMap::from([("spectre_v1".to_owned(), "Mitigation: barriers".to_owned())]);
        assert_eq!(mitigations(folder.path()), Some(expected));
        assert_eq!(mitigations(&folder.path().join("absent")), None);
    }

    #[test]
    fn memory_is_in_gib_to_two_decimals() {
        assert_eq!(gibibytes(12_541_000_000), 11.68);
        assert_eq!(gibibytes(1 << 30), 1.0);
    }
}
