//! A PID namespace, its `/proc` and shared memory, and no descriptors from outside.

// The compiler can check neither the system call that enters a namespace, nor which descriptors are open.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::statvfs;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Resource, Rlimit, getegid, geteuid, setrlimit};
use rustix::thread::{
    CapabilitySet, UnshareFlags, capabilities, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    unshare_unsafe,
};

use super::shared_memory::{QUEUES, SHM};

/// Puts the next children of this process, which has one thread, into a new PID namespace. This process itself stays outside. Both
/// are in a new namespace of System V objects and message queues, where the system has these.
pub(super) fn enter() -> io::Result<()> {
    let (user, group) = (geteuid(), getegid());
    let mut flags = UnshareFlags::NEWPID;
    if !user.is_root() {
        flags |= UnshareFlags::NEWUSER;
    }
    // SAFETY: file descriptors are not unshared, and this process has one thread.
    unsafe { unshare_unsafe(flags | UnshareFlags::NEWIPC).or_else(|_| unshare_unsafe(flags)) }?;
    if !user.is_root() {
        // User and group are the same inside as outside. The system requires the first line before a group may be mapped.
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{user} {user} 1", user = user.as_raw()))?;
        fs::write("/proc/self/gid_map", format!("{group} {group} 1", group = group.as_raw()))?;
        keep_mount_capability()?;
    }
    Ok(())
}

/// Without root, the next program loses all capabilities in the new namespace, except for the ambient ones.
fn keep_mount_capability() -> io::Result<()> {
    let mut rights = capabilities(None)?;
    rights.inheritable |= CapabilitySet::SYS_ADMIN;
    set_capabilities(None, rights)?;
    configure_capability_in_ambient_set(CapabilitySet::SYS_ADMIN, true)?;
    Ok(())
}

/// Gives the init process of the namespace, and its children, a `/proc` and message queues that show the namespace, and a `/dev/shm` of
/// its own that is as large as the one outside. Returns whether it has the latter.
pub(super) fn mount_own() -> io::Result<bool> {
    // SAFETY: file descriptors are not unshared, and this process has one thread.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    // Otherwise the mount would be visible outside too.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount(c"proc", c"/proc", c"proc", flags, None)?;
    let has_shared_memory = mount_shared_memory().is_ok();
    // By files in the folder of the machine, a tree could make queues that stay. Where there is no such folder, nothing is to be hidden.
    let _ = mount(c"mqueue", QUEUES, c"mqueue", flags, None);
    // The worker needs no capabilities.
    clear_ambient_capability_set()?;
    Ok(has_shared_memory)
}

/// Withholds rights of root from the programs that this process starts from now on: those with which a backend could measure
/// otherwise than others (by its priority, or the clock of the machine), look into the memory of other programs, or uncover the
/// `/proc` of the machine. Only root has them, and who may not give them up has none. And withholds priorities that a limit allows.
pub(super) fn withhold_rights() {
    let rights = [
        CapabilitySet::SYS_NICE,
        CapabilitySet::SYS_TIME,
        CapabilitySet::SYS_PTRACE,
        CapabilitySet::SYS_ADMIN,
    ];
    for right in rights {
        let _ = remove_capability_from_bounding_set(right);
    }
    // Machines for sound have such limits.
    for limit in [Resource::Nice, Resource::Rtprio] {
        let _ = setrlimit(limit, Rlimit { current: Some(0), maximum: Some(0) });
    }
}

fn mount_shared_memory() -> io::Result<()> {
    let outside = statvfs(SHM)?;
    let size = shared_size(outside.f_blocks.saturating_mul(outside.f_frsize));
    let options = CString::new(format!("mode=1777,size={size}"))?;
    Ok(mount(c"tmpfs", SHM, c"tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())?)
}

/// The size of the shared memory of a namespace, by that of the machine. A file system without a size does not say what is in it, so that
/// it would not count as memory of the backend: this one gets that of the machine's memory then.
fn shared_size(outside: u64) -> String {
    if outside == 0 { "100%".to_owned() } else { outside.to_string() }
}

/// Closes inherited descriptors, such as those of a shell that started the host, in all processes that this one starts: a
/// plugin that writes to any descriptor must not reach them.
pub(super) fn close_descriptors_on_exec() -> io::Result<()> {
    let numbers =
        fs::read_dir("/proc/self/fd")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for number in numbers.filter(|number| *number > 2).collect::<Vec<i32>>() {
        // SAFETY: if it is closed by now, as that of the listing is, the call fails without any effect.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let _ = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_memory_always_has_a_size() {
        assert_eq!((shared_size(0).as_str(), shared_size(64 << 20).as_str()), ("100%", "67108864"));
    }
}
