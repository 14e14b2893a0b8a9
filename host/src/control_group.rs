//! What the control groups of this process allow: its own group and all groups above it, in either version of the interface.

use std::fs;
use std::path::{Path, PathBuf};

use crate::text::number_of;

/// A version of the interface, as the folders of a group and of those above it.
struct Groups {
    unified: Vec<PathBuf>,
    legacy: Vec<PathBuf>,
}

/// The lowest limit of memory in bytes, by the files below `root`. `None` without a limit, and where the system does not say.
// The portable half of the sandbox asks the machine alone.
#[cfg_attr(any(crossrun_portable, not(target_os = "linux")), allow(dead_code))]
pub(crate) fn memory_limit(root: &Path) -> Option<u64> {
    let Groups { unified, legacy } = groups(root, "memory");
    // Beyond `memory.high` processes are slowed down until they hardly run.
    let of_group = |folder: &PathBuf| ["memory.max", "memory.high"].map(|file| folder.join(file));
    let unified = unified.iter().flat_map(of_group);
    let files = unified.chain(legacy.iter().map(|folder| folder.join("memory.limit_in_bytes")));
    // Without a limit, the file has `max`.
    files.filter_map(|file| text(&file)?.parse().ok()).min()
}

/// The memory in bytes that this process's group has, without the cache of files that the system can drop, by the files below `root`.
/// `None` where the system does not say, and for the group of the whole machine.
#[cfg_attr(any(crossrun_portable, not(target_os = "linux")), allow(dead_code))]
pub(crate) fn memory_used(root: &Path) -> Option<u64> {
    let Groups { unified, legacy } = groups(root, "memory");
    let of = |folder: &Path, used: &str, prefix: &str| {
        let used: u64 = text(&folder.join(used))?.parse().ok()?;
        let of_files = [format!("{prefix}inactive_file "), format!("{prefix}active_file ")];
        let stat = text(&folder.join("memory.stat")).unwrap_or_default();
        let sizes = stat.lines().filter_map(|line| of_files.iter().find_map(|name| line.strip_prefix(name)));
        Some(used.saturating_sub(sizes.filter_map(|size| size.parse::<u64>().ok()).sum()))
    };
    let unified = unified.first().and_then(|own| of(own, "memory.current", ""));
    // Only the group of the whole machine has this file.
    let legacy = legacy.first().filter(|own| !own.join("release_agent").exists());
    unified.or_else(|| of(legacy?, "memory.usage_in_bytes", "total_"))
}

/// How many processes this process and those that it starts may be, by the files below `root`. `None` without a limit, and where the
/// system does not say.
pub(crate) fn process_limit(root: &Path) -> Option<u64> {
    let Groups { unified, legacy } = groups(root, "pids");
    let files = unified.iter().chain(&legacy).map(|folder| folder.join("pids.max"));
    files.filter_map(|file| text(&file)?.parse().ok()).min()
}

/// How many processes of this process's group, or else of the machine, the system has killed so far for lack of memory, by the files
/// below `root`. `None` where the system does not say.
pub(crate) fn killed_for_memory(root: &Path) -> Option<u64> {
    let Groups { unified, legacy } = groups(root, "memory");
    let unified = unified.iter().map(|folder| folder.join("memory.events"));
    let legacy = legacy.iter().map(|folder| folder.join("memory.oom_control"));
    // A group counts the groups below it too, so the first that counts is the nearest.
    let mut files = unified.chain(legacy).chain([root.join("proc/vmstat")]);
    files.find_map(|file| number_of("oom_kill ", &text(&file)?))
}

/// How much processor time a group allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Quota {
    Unlimited,
    /// So many seconds of all cores together for each second.
    Cores(f64),
}

/// The lowest quota of processor time, by the files below `root`. `None` where the system does not say.
pub(crate) fn cpu_quota(root: &Path) -> Option<Quota> {
    let Groups { unified, legacy } = groups(root, "cpu");
    let unified = unified.iter().filter_map(|folder| {
        let text = text(&folder.join("cpu.max"))?;
        let (quota, period) = text.split_once(' ')?;
        quota_of(quota, period)
    });
    let legacy = legacy.iter().filter_map(|folder| {
        quota_of(&text(&folder.join("cpu.cfs_quota_us"))?, &text(&folder.join("cpu.cfs_period_us"))?)
    });
    let cores = |quota: &Quota| match quota {
        Quota::Unlimited => f64::INFINITY,
        Quota::Cores(cores) => *cores,
    };
    unified.chain(legacy).min_by(|one, other| cores(one).total_cmp(&cores(other)))
}

fn quota_of(quota: &str, period: &str) -> Option<Quota> {
    if matches!(quota, "max" | "-1") {
        return Some(Quota::Unlimited);
    }
    let cores = quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?;
    cores.is_finite().then_some(Quota::Cores(cores))
}

/// The groups of `controller`. The root counts too: in a container it may be the group itself, whatever its path says.
fn groups(root: &Path, controller: &str) -> Groups {
    let table = |file: &str| fs::read_to_string(root.join("proc/self").join(file)).unwrap_or_default();
    let (lines, mounts) = (table("cgroup"), table("mountinfo"));
    let usual = root.join("sys/fs/cgroup");
    let mut groups = Groups { unified: vec![usual.clone()], legacy: vec![usual.join(controller)] };
    for line in lines.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let found =
            |controller| mounted(root, mounts.lines().filter_map(|line| mount(line, controller)), path);
        if controllers.is_empty() {
            groups.unified = found(None).unwrap_or_else(|| upwards(&usual, path.trim_start_matches('/')));
        } else if controllers.split(',').any(|one| one == controller) {
            let usual = usual.join(controller);
            groups.legacy =
                found(Some(controller)).unwrap_or_else(|| upwards(&usual, path.trim_start_matches('/')));
        }
    }
    groups
}

/// The folders of the group at `path` and of those above it, below the first of the mounts that has it: another mount may hide one.
/// Mounts of groups that are above it come first, with the highest: other mounts show the groups of others, or not all that limit it.
fn mounted<'m>(
    root: &Path,
    mounts: impl Iterator<Item = (&'m str, &'m str)>,
    path: &str,
) -> Option<Vec<PathBuf>> {
    let mut mounts: Vec<_> = mounts.collect();
    mounts.sort_by_key(|(_, group)| (!Path::new(path).starts_with(group), group.len()));
    mounts.into_iter().find_map(|(folder, group)| {
        let folder = root.join(folder.trim_start_matches('/'));
        // Of a container, its own group may be all that is mounted.
        let below = Path::new(path).strip_prefix(group).unwrap_or(Path::new(""));
        // Every group has this file.
        folder.join(below).join("cgroup.procs").exists().then(|| upwards(&folder, below))
    })
}

/// The folder in which a line of the system's table mounts groups, and the group that is mounted there: those of this controller, or
/// else those of the second version.
fn mount<'m>(line: &'m str, controller: Option<&str>) -> Option<(&'m str, &'m str)> {
    let (mount, system) = line.split_once(" - ")?;
    let mut system = system.split(' ');
    let (kind, options) = (system.next()?, system.nth(1)?);
    let is_wanted = match controller {
        Some(controller) => kind == "cgroup" && options.split(',').any(|option| option == controller),
        None => kind == "cgroup2",
    };
    let mut words = mount.split(' ').skip(3);
    let (group, folder) = (words.next()?, words.next()?);
    is_wanted.then_some((folder, group))
}

/// The folder at `path` below `top`, and all folders above it up to `top`.
fn upwards(top: &Path, path: impl AsRef<Path>) -> Vec<PathBuf> {
    let folder = top.join(path);
    folder.ancestors().take_while(|folder| folder.starts_with(top)).map(Path::to_owned).collect()
}

/// What a file of the system holds, without the white space around it.
pub(crate) fn text(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A folder whose files say this, in place of the root of a system.
    pub(crate) fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_lowest_limit_of_the_group_and_those_above_it_counts() {
        let unified = root(&[
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/memory.max", "1000\n"),
            ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
        ]);
        assert_eq!(memory_limit(unified.path()), Some(1000));
        assert_eq!(cpu_quota(unified.path()), Some(Quota::Cores(1.5)));
        fs::write(unified.path().join("sys/fs/cgroup/a/b/memory.high"), "900\n").unwrap();
        assert_eq!(memory_limit(unified.path()), Some(900));
        let legacy = root(&[
            ("proc/self/cgroup", "4:memory:/m\n2:cpu,cpuacct:/c/d\n0::/\n"),
            ("sys/fs/cgroup/memory/m/memory.limit_in_bytes", "2000\n"),
            ("sys/fs/cgroup/cpu/c/d/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu/c/d/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(memory_limit(legacy.path()), Some(2000));
        assert_eq!(cpu_quota(legacy.path()), Some(Quota::Cores(0.5)));
    }

    #[test]
    fn groups_are_found_where_they_are_mounted() {
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw\n\
                      32 31 0:29 / /hidden/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
                      33 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
                      39 31 0:38 /other /elsewhere/other rw - cgroup2 cgroup2 rw\n\
                      40 31 0:38 /box/inner /elsewhere/inner rw - cgroup2 cgroup2 rw\n\
                      41 31 0:38 /box /elsewhere/unified rw - cgroup2 cgroup2 rw\n";
        let system = root(&[
            ("proc/self/mountinfo", mounts),
            ("proc/self/cgroup", "2:cpu,cpuacct:/c/d\n0::/box/inner\n"),
            ("sys/fs/cgroup/cpu,cpuacct/c/d/cgroup.procs", ""),
            ("sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us", "100000\n"),
            ("elsewhere/other/cgroup.procs", ""),
            ("elsewhere/other/pids.max", "7\n"),
            ("elsewhere/inner/cgroup.procs", ""),
            ("elsewhere/inner/pids.max", "20\n"),
            ("elsewhere/unified/inner/cgroup.procs", ""),
            ("elsewhere/unified/inner/pids.max", "20\n"),
            ("elsewhere/unified/memory.max", "1000\n"),
        ]);
        assert_eq!(cpu_quota(system.path()), Some(Quota::Cores(0.5)));
        assert_eq!(process_limit(system.path()), Some(20));
        assert_eq!(memory_limit(system.path()), Some(1000));
    }

    #[test]
    fn the_memory_of_a_group_is_without_the_cache_of_files() {
        let unified = root(&[
            ("proc/self/cgroup", "0::/a\n"),
            ("sys/fs/cgroup/a/memory.current", "1000\n"),
            ("sys/fs/cgroup/a/memory.stat", "anon 500\ninactive_file 100\nactive_file 200\n"),
        ]);
        assert_eq!(memory_used(unified.path()), Some(700));
        let stat = "active_file 9\ntotal_inactive_file 10\ntotal_active_file 20\n";
        let legacy = [
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n"),
            ("sys/fs/cgroup/memory/memory.stat", stat),
            ("sys/fs/cgroup/memory/release_agent", "\n"),
        ];
        assert_eq!(memory_used(root(&legacy[..2]).path()), Some(970));
        assert_eq!(memory_used(root(&legacy).path()), None);
    }

    #[test]
    fn the_lowest_limit_of_processes_counts() {
        let system = root(&[
            ("proc/self/cgroup", "8:pids:/p\n0::/a/b\n"),
            ("sys/fs/cgroup/a/b/pids.max", "max\n"),
            ("sys/fs/cgroup/a/pids.max", "30\n"),
            ("sys/fs/cgroup/pids/p/pids.max", "20\n"),
        ]);
        assert_eq!(process_limit(system.path()), Some(20));
        assert_eq!(process_limit(root(&[]).path()), None);
    }

    #[test]
    fn the_nearest_group_that_counts_tells_how_many_processes_were_killed_for_memory() {
        let machine = ("proc/vmstat", "oom_kills 8\noom_kill 7\n");
        let own = ("proc/self/cgroup", "4:memory:/m\n0::/a\n");
        let above = ("sys/fs/cgroup/memory/memory.oom_control", "under_oom 0\noom_kill 3\n");
        let legacy = ("sys/fs/cgroup/memory/m/memory.oom_control", "oom_kill_disable 0\noom_kill 2\n");
        let unified = ("sys/fs/cgroup/a/memory.events", "oom 9\noom_kill 1\noom_group_kill 0\n");
        for (files, count) in [
            (&[machine, own, above, legacy, unified][..], Some(1)),
            (&[machine, own, above, legacy], Some(2)),
            (&[machine, own, above], Some(3)),
            (&[machine], Some(7)),
            (&[own], None),
        ] {
            assert_eq!(killed_for_memory(root(files).path()), count, "{files:?}");
        }
    }

    #[test]
    fn without_a_limit_there_is_none_and_without_files_nothing_is_known() {
        let unlimited =
            root(&[("sys/fs/cgroup/cpu.max", "max 100000\n"), ("sys/fs/cgroup/memory.max", "max\n")]);
        assert_eq!(cpu_quota(unlimited.path()), Some(Quota::Unlimited));
        assert_eq!(memory_limit(unlimited.path()), None);
        assert_eq!(cpu_quota(root(&[]).path()), None);
    }
}
