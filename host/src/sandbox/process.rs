//! A worker in a process tree of its own: starting it, exchanging messages with it, ending it.

use std::net::Shutdown;
use std::time::Duration;

use rustix::event::PollFlags;

use super::channel::Channel;
use super::command::Command;
use super::failure::Failure;
use super::frame::{self, Frame};
use super::interrupt::Interrupt;
use super::status::Status;
use super::stop::Deadline;
use super::system::Tree;
use super::teardown::Teardown;
use super::usage::Usage;
use super::wait;

/// A worker in a process tree of its own.
#[derive(Debug)]
pub(crate) struct Sandbox {
    tree: Tree,
    status: Status,
    channel: Channel,
    ended: bool,
}

impl Sandbox {
    /// Starts `command` as a worker.
    pub(crate) fn start(command: &Command) -> Result<Self, Failure> {
        let (channel, worker_end) = Channel::pair()?;
        let (tree, status) = Tree::start(command, &worker_end)?;
        Ok(Self { tree, status, channel, ended: false })
    }

    /// Sends one frame to the worker.
    pub(crate) fn send(
        &mut self,
        Frame { message, attachment }: &Frame,
        deadline: Option<Deadline>,
    ) -> Result<(), Failure> {
        let head = frame::head(message, attachment)?;
        let sent =
            self.channel.write(&head, deadline).and_then(|()| self.channel.write(attachment, deadline));
        sent.map_err(|failure| match failure {
            Failure::Closed => self.status.why_closed(),
            other => other,
        })
    }

    /// Waits for the worker's next frame.
    ///
    /// # Errors
    /// [`Failure`] when the worker dies, exceeds a limit or sends malformed bytes, or `deadline` or an interrupt comes first.
    pub(crate) fn receive(
        &mut self,
        deadline: Option<Deadline>,
        interrupt: &Interrupt,
    ) -> Result<Frame, Failure> {
        loop {
            if let Some(frame) = self.channel.take()? {
                return Ok(frame);
            }
            if let Some(excess) = self.status.excess {
                return Err(Failure::Exceeded(excess));
            }
            if self.channel.closed {
                return Err(self.status.why_closed());
            }
            // A channel with bytes in it is ready at any time: the deadline also holds for a worker that never stops sending.
            if deadline.is_some_and(|deadline| deadline.left().is_zero()) {
                return Err(Failure::Deadline);
            }
            self.listen(deadline, interrupt)?;
        }
    }

    /// Waits until the worker sends bytes or there is an event of its tree, and reads both.
    fn listen(&mut self, deadline: Option<Deadline>, interrupt: &Interrupt) -> Result<(), Failure> {
        // Once the worker has exited, no more will come than is there, though a process that it forked may hold the channel open.
        if self.status.teardown.worker.is_some() {
            let has_come = self.channel.read()?;
            self.channel.closed |= !has_come;
            return Ok(());
        }
        let watched = [(&self.channel.socket, PollFlags::IN), (&self.status.control, PollFlags::IN)];
        let watched = if self.status.is_closed() { &watched[..1] } else { &watched[..] };
        let ready = wait::until_ready(watched, Some(interrupt), deadline)?;
        if ready.contains(&1) {
            self.status.read()?;
        }
        self.channel.read()?;
        Ok(())
    }

    /// What the tree has used so far, where the system says. With `reset_peaks`, peaks count from now on; without, the memory
    /// is read too, which takes milliseconds.
    pub(crate) fn usage(&self, reset_peaks: bool) -> Option<Usage> {
        self.tree.usage(reset_peaks)
    }

    /// Lets the worker exit, kills it and all that it started after `grace`, and returns when nothing is left.
    pub(crate) fn end(mut self, grace: Duration) -> Teardown {
        self.end_early(grace);
        std::mem::take(&mut self.status.teardown)
    }

    /// Does what [`end`](Self::end) does, which still has to be called for its answer.
    pub(crate) fn end_early(&mut self, grace: Duration) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        // The worker exits when its channel ends.
        let _ = self.channel.socket.shutdown(Shutdown::Both);
        self.status.await_end(grace);
        self.status.teardown.has_strangers = self.channel.has_strangers;
        self.status.teardown.unremoved = self.tree.end(&mut self.status);
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.end_early(Duration::ZERO);
        for unremoved in &self.status.teardown.unremoved {
            log::warn!("{unremoved}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sandbox::Limits;

    #[test]
    fn a_worker_that_never_stops_sending_has_a_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let (frames, worker) = (folder.path().join("frames"), folder.path().join("worker"));
        let frame = frame::head(&[b'x'; 500], &[]).unwrap();
        fs::write(&frames, frame.repeat(4000)).unwrap();
        // The script is the supervisor as well, which sends the event that the worker has started.
        let started = r"printf 's\0\0\0\0' >&0";
        let script = format!("#!/bin/sh\n{started}\nwhile cat '{}'; do :; done\n", frames.display());
        // Another process writes it: a file that this one has open for writing, in whatever thread forks next, cannot be executed.
        let write = r#"printf %s "$1" > "$0" && chmod 700 "$0""#;
        let mut writer = std::process::Command::new("sh");
        assert!(writer.args(["-c", write]).arg(&worker).arg(script).status().unwrap().success());
        let command = Command {
            executable: worker,
            arguments: Vec::new(),
            log: folder.path().join("log"),
            cores: None,
            limits: Limits::default(),
            owns_folder: false,
        };
        let mut sandbox = Sandbox::start(&command).unwrap();
        let deadline = Deadline::after(Duration::from_millis(200));
        let mut messages = 0;
        let failure = loop {
            match sandbox.receive(deadline, &Interrupt::never()) {
                Ok(_) => messages += 1,
                Err(failure) => break failure,
            }
        };
        assert!(matches!(failure, Failure::Deadline), "{failure} after {messages} messages");
    }
}
