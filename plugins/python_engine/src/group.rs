//! A child that leads a process group, and ends together with it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// A child and its process group, which is killed when this is dropped.
pub(crate) struct Group {
    leader: Child,
    /// How the leader ended, once it was waited for: then its number may be another's.
    status: Option<ExitStatus>,
}

impl Group {
    /// Starts `command` in a group of its own.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        Ok(Self { leader: command.process_group(0).spawn()?, status: None })
    }

    /// Whether the leader has ended. It stays a zombie until [`Group::end`].
    pub(crate) fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.status.is_some() || waitid(WaitId::Pid(self.id()), options).is_ok_and(|status| status.is_some())
    }

    /// Kills what is left of the group, the leader included, and tells how the leader ended.
    pub(crate) fn end(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        // Fails if everything in it has ended.
        let _ = kill_process_group(self.id(), Signal::KILL);
        let status = self.leader.wait()?;
        self.status = Some(status);
        Ok(status)
    }

    fn id(&self) -> Pid {
        Pid::from_child(&self.leader)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The group has ended already, or the error cannot be handled here.
        let _ = self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn shell(script: &str) -> Group {
        Group::spawn(Command::new("sh").arg("-c").arg(script)).unwrap()
    }

    #[test]
    fn what_the_leader_left_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let trace = folder.path().join("trace");
        let script = format!("(sleep 600; touch '{}') & exit 3", trace.display());
        let (mut held, writer) = io::pipe().unwrap();
        let mut group = Group::spawn(Command::new("sh").arg("-c").arg(script).stdout(writer)).unwrap();
        while !group.has_ended() {
            std::thread::yield_now();
        }
        assert_eq!(group.end().unwrap().code(), Some(3));
        // The pipe ends with the last of them, before or after it left a trace.
        held.read_to_end(&mut Vec::new()).unwrap();
        assert!(!trace.exists());
        assert!(group.has_ended());
        assert_eq!(group.end().unwrap().code(), Some(3));
    }

    #[test]
    fn a_leader_that_goes_on_is_killed() {
        let mut group = shell("sleep 60");
        assert!(!group.has_ended());
        assert!(!group.end().unwrap().success());
    }
}
