//! A PID namespace of one's own, the `/proc` that belongs to it, and no descriptor of whoever is outside.

// Entering a namespace is a call of the system that the compiler cannot check; neither can it know all descriptors.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{getegid, geteuid};
use rustix::thread::{
    CapabilitySet, UnshareFlags, capabilities, clear_ambient_capability_set,
    configure_capability_in_ambient_set, set_capabilities, unshare_unsafe,
};

/// Makes the next children of this process, which has one thread, live in a namespace of their own. Files are as before: this
/// process goes on seeing them, and itself among all processes.
pub(super) fn enter() -> io::Result<()> {
    let (user, group) = (geteuid(), getegid());
    let mut flags = UnshareFlags::NEWPID;
    if !user.is_root() {
        flags |= UnshareFlags::NEWUSER;
    }
    // SAFETY: file descriptors are not unshared, and this process has one thread.
    unsafe { unshare_unsafe(flags) }?;
    if !user.is_root() {
        // Who one was outside, one stays inside; without this line the group may not be mapped.
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{user} {user} 1", user = user.as_raw()))?;
        fs::write("/proc/self/gid_map", format!("{group} {group} 1", group = group.as_raw()))?;
        keep_right_to_mount()?;
    }
    Ok(())
}

/// Whoever is not root loses the rights in the new namespace with the next program, but for those that are kept on purpose.
fn keep_right_to_mount() -> io::Result<()> {
    let mut rights = capabilities(None)?;
    rights.inheritable |= CapabilitySet::SYS_ADMIN;
    set_capabilities(None, rights)?;
    configure_capability_in_ambient_set(CapabilitySet::SYS_ADMIN, true)?;
    Ok(())
}

/// Gives the first process of the namespace a `/proc` that shows the namespace, for itself and its children.
pub(super) fn mount_proc() -> io::Result<()> {
    // SAFETY: file descriptors are not unshared, and this process has one thread.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    // Without this, the mount would show outside too.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount(c"proc", c"/proc", c"proc", flags, None)?;
    // The worker needs no rights.
    clear_ambient_capability_set()?;
    Ok(())
}

/// Keeps descriptors that this process was given by whoever started the host, such as those of a shell, from all that it
/// starts: a plugin that writes to any descriptor must not reach them.
pub(super) fn keep_descriptors() -> io::Result<()> {
    let numbers =
        fs::read_dir("/proc/self/fd")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for number in numbers.filter(|number| *number > 2).collect::<Vec<i32>>() {
        // SAFETY: if it is closed by now, as that of the list is, the system says so and nothing happens.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let _ = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
    }
    Ok(())
}
