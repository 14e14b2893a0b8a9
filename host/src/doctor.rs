//! What in this machine makes figures noisy, as far as files of the system tell. Starts nothing and changes nothing.

mod cpu;
mod finding;
mod limits;
mod memory;
mod network;

use std::path::Path;
use std::time::Duration;

use finding::State;
pub(crate) use finding::{Finding, Level};

/// Looks at everything below `root`, which is that of this machine but in tests, for as long as `watch` where something must be watched;
/// `folders` are where records and data go, each with what leads elsewhere, and `executed` those from which programs and libraries are
/// loaded.
pub(crate) fn examine(
    root: &Path,
    folders: &[(&Path, &str)],
    executed: &[&Path],
    watch: Duration,
) -> Vec<Finding> {
    let machine = [
        ("governor", cpu::governor(root)),
        ("turbo", cpu::turbo(root)),
        ("smt", cpu::threads(root)),
        ("quota", cpu::quota(root)),
        ("isolated", cpu::isolated(root)),
        ("real_time", cpu::real_time(root)),
        ("steal", cpu::steal(root, watch)),
        ("load", cpu::load(root)),
        ("clock_source", cpu::clock_source(root)),
        ("swap", memory::swap(root)),
        ("thp", memory::huge_pages(root)),
        ("shm", memory::shared(root)),
        ("loopback", network::loopback()),
        ("noexec", Some(memory::execution(executed))),
    ];
    let disks = folders.iter().map(|(folder, elsewhere)| ("disk", memory::disk(folder, elsewhere)));
    let limits = [("open_files", Some(limits::open_files())), ("processes", Some(limits::processes(root)))];
    machine.into_iter().chain(disks).chain(limits).map(|(id, state)| Finding::new(id, state)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_group::tests::root;

    fn found(files: &[(&str, &str)], id: &str) -> State {
        let root = root(files);
        let findings = examine(root.path(), &[], &[], Duration::ZERO);
        findings.into_iter().find(|finding| finding.id == id).unwrap().state
    }

    #[test]
    fn a_machine_that_says_nothing_has_nothing_bad() {
        let root = root(&[]);
        for finding in examine(root.path(), &[], &[], Duration::ZERO) {
            assert!(finding.state.level >= Level::Doubtful, "{finding:?}");
        }
    }

    #[test]
    fn what_harms_is_told_with_what_it_does_and_a_command_and_what_is_as_it_should_be_is_good() {
        for (id, file, bad, good) in [
            ("governor", "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave", "performance"),
            ("turbo", "sys/devices/system/cpu/intel_pstate/no_turbo", "0", "1"),
            ("turbo", "sys/devices/system/cpu/cpufreq/boost", "1", "0"),
            ("smt", "sys/devices/system/cpu/smt/active", "1", "0"),
            ("thp", "sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise", "always [madvise]"),
            (
                "clock_source",
                "sys/devices/system/clocksource/clocksource0/current_clocksource",
                "acpi_pm",
                "tsc",
            ),
            ("swap", "proc/meminfo", "SwapTotal: 9 kB\nSwapFree: 5 kB", "SwapTotal: 9 kB\nSwapFree: 9 kB"),
            ("load", "proc/loadavg", "512.00 1.0 1.0 1/100 5", "0.10 0.20 0.30 1/100 5"),
            ("quota", "sys/fs/cgroup/cpu.max", "150000 100000", "max 100000"),
        ] {
            let finding = found(&[(file, format!("{bad}\n").as_str())], id);
            assert!(finding.level <= Level::Doubtful, "{finding:?}");
            assert!(!finding.effect.is_empty() && finding.remedy.is_some(), "{finding:?}");
            assert_eq!(found(&[(file, format!("{good}\n").as_str())], id).level, Level::Good, "{id}");
        }
    }

    #[test]
    fn the_governors_are_those_of_the_cores_that_may_be_used() {
        let of = |core: u32| format!("sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
        // Core 0 belongs to others, and core 1 is offline.
        let [first, third, fourth] = [0, 2, 3].map(of);
        let files = [
            ("proc/self/status", "Name:\ta\nCpus_allowed_list:\t1,2-3\n"),
            (first.as_str(), "powersave\n"),
            (third.as_str(), "performance\n"),
            (fourth.as_str(), "schedutil\n"),
        ];
        let mixed = found(&files, "governor");
        assert!(mixed.level == Level::Bad && mixed.found.ends_with("set by \"schedutil\""), "{mixed:?}");
        assert_eq!(found(&files[..3], "governor").level, Level::Good);
        assert_eq!(found(&files[..2], "governor").level, Level::Unknown);
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
    fn isolated_cores_are_told_where_threads_would_have_to_be_spread_over_them() {
        let of = |own: &str, list: &str| {
            let status = format!("Name:\ta\nCpus_allowed_list:\t{own}\n");
            let isolated = "sys/devices/system/cpu/isolated";
            found(&[("proc/self/status", status.as_str()), (isolated, list)], "isolated")
        };
        for (own, remedy) in [("0-3", "taskset -c 0,1 "), ("2,3", "taskset -c CORES ")] {
            let told = of(own, "2-3\n");
            assert!(told.level == Level::Bad && told.remedy.unwrap().starts_with(remedy), "{own}");
        }
        for (own, list) in [("0-1", "2-3\n"), ("3", "2-3\n"), ("0-3", "\n")] {
            assert_eq!(of(own, list).level, Level::Good, "{own} {list}");
        }
        assert_eq!(found(&[], "isolated").level, Level::Unknown);
    }

    #[test]
    fn a_real_time_policy_is_told() {
        let of = |policy: u32| {
            let before = "20 0 1 0 ".repeat(9);
            let stat = format!("7 (a b) c) R {before}0 {policy} 0 0\n");
            found(&[("proc/self/stat", stat.as_str())], "real_time")
        };
        for (policy, level) in
            [(0, Level::Good), (1, Level::Bad), (2, Level::Bad), (3, Level::Good), (5, Level::Good)]
        {
            assert_eq!(of(policy).level, level, "{policy}");
        }
        assert!(of(1).remedy.is_some_and(|remedy| remedy.starts_with("chrt --other 0 ")));
    }

    #[test]
    fn a_faster_clock_is_named_only_where_the_system_offers_it() {
        let folder = "sys/devices/system/clocksource/clocksource0";
        let [current, available] =
            ["current", "available"].map(|which| format!("{folder}/{which}_clocksource"));
        let of = |name: &str, offered: &str| {
            found(&[(current.as_str(), name), (available.as_str(), offered)], "clock_source")
        };
        let remedy = of("hpet\n", "hpet acpi_pm \n").remedy.unwrap();
        assert!(remedy.contains("another machine"), "{remedy}");
        for faster in ["tsc", "hyperv_clocksource_tsc_page"] {
            let remedy = of("hpet\n", &format!("hpet {faster} \n")).remedy.unwrap();
            assert!(remedy.starts_with(&format!("echo {faster} | ")), "{remedy}");
            assert_eq!(of(&format!("{faster}\n"), "").level, Level::Good, "{faster}");
        }
    }

    #[test]
    fn the_processes_are_those_that_a_control_group_lets_run_too() {
        let few = found(&[("sys/fs/cgroup/pids.max", "300\n")], "processes");
        assert!(few.level == Level::Bad && few.found.starts_with("300 processes"), "{few:?}");
        assert!(few.remedy.is_some_and(|remedy| remedy.contains("--pids-limit=")));
        for many in ["max\n", "100000\n"] {
            let many = found(&[("sys/fs/cgroup/pids.max", many)], "processes");
            assert!(!many.found.contains("control group"), "{many:?}");
        }
    }

    #[test]
    fn the_load_is_that_of_all_cores_of_the_machine() {
        let cores: String = (0..4096).map(|core| format!("cpu{core} 1 0 0 9 0 0 0 0 0 0\n")).collect();
        let stat = format!("cpu  4096 0 0 36864 0 0 0 0 0 0\n{cores}intr 5\n");
        let files = [("proc/loadavg", "1024.00 1.0 1.0 1/100 5\n"), ("proc/stat", stat.as_str())];
        let load = found(&files, "load");
        assert!(load.level == Level::Good && load.found.contains("on 4096 cores"), "{load:?}");
        let busy = found(&[("proc/loadavg", "512.00 1.0 1.0 1/100 5\n")], "load");
        assert!(busy.level == Level::Bad && busy.found.contains("512"), "{busy:?}");
    }
}
