//! What in this machine makes figures noisy, as far as files of the system tell. Starts nothing and changes nothing.

mod cpu;
mod limits;
mod memory;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Finding {
    /// What, in a word that does not change.
    pub id: &'static str,
    /// What was found.
    pub level: Level,
    /// How it is, in one line.
    pub found: String,
    /// What it does to figures, or to engines; empty if it does nothing.
    pub effect: &'static str,
    /// A command that mends it, if one can.
    pub remedy: Option<String>,
}

/// What to think of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// It harms.
    Bad,
    /// It may harm.
    Doubtful,
    /// This system does not say.
    Unknown,
    /// As it should be.
    Good,
}

impl Level {
    /// In a table.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Doubtful => "doubtful",
            Self::Unknown => "unknown",
            Self::Good => "good",
        }
    }
}

impl Finding {
    fn good(id: &'static str, found: impl Into<String>) -> Self {
        Self { id, level: Level::Good, found: found.into(), effect: "", remedy: None }
    }

    fn unknown(id: &'static str) -> Self {
        Self { level: Level::Unknown, ..Self::good(id, "this system does not say") }
    }

    fn harm(id: &'static str, level: Level, found: impl Into<String>, effect: &'static str) -> Self {
        Self { id, level, found: found.into(), effect, remedy: None }
    }

    fn mended_by(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// The system's own files, below a folder that tests choose.
#[derive(Clone, Debug)]
pub(crate) struct System {
    root: PathBuf,
}

impl System {
    /// This machine.
    pub(crate) fn here() -> Self {
        Self { root: "/".into() }
    }

    /// What a file holds, without the white space around it.
    fn text(&self, path: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.root.join(path)).ok()?;
        Some(text.trim().to_owned())
    }
}

/// Looks at everything, for as long as `watch` where something must be watched; `folders` are where records and data go.
pub(crate) fn examine(system: &System, folders: &[&Path], watch: Duration) -> Vec<Finding> {
    let mut findings = vec![
        cpu::governor(system),
        cpu::turbo(system),
        cpu::threads(system),
        cpu::quota(system),
        cpu::steal(system, watch),
        cpu::load(system),
        cpu::clock_source(system),
        memory::swap(system),
        memory::huge_pages(system),
    ];
    findings.extend(folders.iter().map(|folder| memory::disk(folder)));
    findings.extend([limits::open_files(), limits::processes()]);
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system whose files say this.
    fn system(files: &[(&str, &str)]) -> (tempfile::TempDir, System) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let root = folder.path().to_owned();
        (folder, System { root })
    }

    fn found(files: &[(&str, &str)], id: &str) -> Finding {
        let (_folder, system) = system(files);
        let findings = examine(&system, &[], Duration::ZERO);
        findings.into_iter().find(|finding| finding.id == id).unwrap()
    }

    #[test]
    fn a_machine_that_says_nothing_has_nothing_bad() {
        let (_folder, system) = system(&[]);
        for finding in examine(&system, &[], Duration::ZERO) {
            assert!(finding.level >= Level::Doubtful, "{finding:?}");
        }
    }

    #[test]
    fn what_harms_is_told_with_what_it_does_and_a_command() {
        for (id, files) in [
            ("governor", &[("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n")][..]),
            ("turbo", &[("sys/devices/system/cpu/intel_pstate/no_turbo", "0\n")]),
            ("turbo", &[("sys/devices/system/cpu/cpufreq/boost", "1\n")]),
            ("smt", &[("sys/devices/system/cpu/smt/active", "1\n")]),
            ("thp", &[("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n")]),
            (
                "clock_source",
                &[("sys/devices/system/clocksource/clocksource0/current_clocksource", "acpi_pm\n")],
            ),
            ("swap", &[("proc/meminfo", "SwapTotal: 2000 kB\nSwapFree: 500 kB\n")]),
        ] {
            let finding = found(files, id);
            assert!(finding.level <= Level::Doubtful, "{finding:?}");
            assert!(!finding.effect.is_empty() && finding.remedy.is_some(), "{finding:?}");
        }
    }

    #[test]
    fn what_is_as_it_should_be_is_good() {
        for (id, files) in [
            ("governor", &[("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n")][..]),
            ("turbo", &[("sys/devices/system/cpu/intel_pstate/no_turbo", "1\n")]),
            ("smt", &[("sys/devices/system/cpu/smt/active", "0\n")]),
            ("thp", &[("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")]),
            ("clock_source", &[("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n")]),
            ("swap", &[("proc/meminfo", "SwapTotal: 2000 kB\nSwapFree: 2000 kB\n")]),
            ("load", &[("proc/loadavg", "0.10 0.20 0.30 1/100 5\n")]),
            ("quota", &[("sys/fs/cgroup/cpu.max", "max 100000\n")]),
        ] {
            assert_eq!(found(files, id).level, Level::Good, "{id}");
        }
    }

    #[test]
    fn a_quota_is_told_in_cores() {
        let two = found(&[("sys/fs/cgroup/cpu.max", "150000 100000\n")], "quota");
        assert!(two.level == Level::Bad && two.found.contains("1.5 cores"), "{two:?}");
        let one = [
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ];
        assert!(found(&one, "quota").found.contains("0.5 cores"));
    }

    #[test]
    fn a_busy_machine_is_told() {
        let busy = found(&[("proc/loadavg", "512.00 1.0 1.0 1/100 5\n")], "load");
        assert!(busy.level == Level::Bad && busy.found.contains("512"), "{busy:?}");
    }

    #[test]
    fn steal_is_a_part_of_the_time_that_was_watched() {
        let of = |line: &str| cpu::stolen(line).unwrap();
        let (before, after) = (of("cpu 100 0 100 700 0 0 0 0 0 0"), of("cpu 140 0 100 750 0 0 0 10 0 0"));
        assert_eq!(cpu::stolen_part(before, after), Some(0.1));
        assert_eq!(cpu::stolen_part(before, before), None);
        assert_eq!(cpu::stolen("intr 1 2 3"), None);
    }
}
