//! A PID namespace of one's own, and the `/proc` that belongs to it.

// Entering a namespace is the system's call that the compiler cannot check.
#![allow(unsafe_code)]

use std::fs;
use std::io;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{getegid, geteuid};
use rustix::thread::{UnshareFlags, unshare_unsafe};

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
    }
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
    Ok(())
}
