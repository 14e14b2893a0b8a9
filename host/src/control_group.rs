//! What the control groups of this process allow: its own group and all groups above it, in either version of the interface.

use std::fs;
use std::path::{Path, PathBuf};

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
    let unified = unified.iter().map(|folder| folder.join("memory.max"));
    let files = unified.chain(legacy.iter().map(|folder| folder.join("memory.limit_in_bytes")));
    // Without a limit, the file has `max`.
    files.filter_map(|file| text(&file)?.parse().ok()).min()
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
    let lines = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mounted = root.join("sys/fs/cgroup");
    let mut groups = Groups { unified: vec![mounted.clone()], legacy: vec![mounted.join(controller)] };
    for line in lines.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if controllers.is_empty() {
            groups.unified = upwards(&mounted, path);
        } else if controllers.split(',').any(|one| one == controller) {
            groups.legacy = upwards(&mounted.join(controller), path);
        }
    }
    groups
}

/// The folder at `path` below `top`, and all folders above it up to `top`.
fn upwards(top: &Path, path: &str) -> Vec<PathBuf> {
    let folder = top.join(path.trim_start_matches('/'));
    folder.ancestors().take_while(|folder| folder.starts_with(top)).map(Path::to_owned).collect()
}

/// What a file of the system holds, without the white space around it.
pub(crate) fn text(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
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
    fn without_a_limit_there_is_none_and_without_files_nothing_is_known() {
        let unlimited =
            root(&[("sys/fs/cgroup/cpu.max", "max 100000\n"), ("sys/fs/cgroup/memory.max", "max\n")]);
        assert_eq!(cpu_quota(unlimited.path()), Some(Quota::Unlimited));
        assert_eq!(memory_limit(unlimited.path()), None);
        assert_eq!(cpu_quota(root(&[]).path()), None);
    }
}
