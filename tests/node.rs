//! A node of an engine's cluster, started as its owner would start it: a process with all that it starts.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{PATIENCE, processes_with_variable, send_signal};

/// It ends, with what it started, when this is dropped.
pub(crate) struct Node {
    process: Child,
    /// In the environment of all that belongs to it.
    marker: String,
    _folder: TempDir,
}

impl Node {
    /// Starts `command`, which has `folder` to itself, and waits until it says `ready`.
    pub(crate) fn start(mut command: Command, folder: TempDir, ready: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let marker = format!("CROSSRUN_TEST_NODE={}-{count}.", std::process::id());
        let (name, value) = marker.split_once('=').unwrap();
        let log = folder.path().join("start.log");
        let file = fs::File::create(&log).unwrap();
        command.env(name, value).stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let node = Self { process: command.spawn().unwrap(), marker, _folder: folder };
        let deadline = Instant::now() + PATIENCE;
        while !fs::read_to_string(&log).unwrap().contains(ready) {
            assert!(Instant::now() < deadline, "{}", fs::read_to_string(&log).unwrap());
            std::thread::sleep(Duration::from_millis(100));
        }
        node
    }

    /// All that belongs to it.
    pub(crate) fn processes(&self) -> Vec<u32> {
        processes_with_variable(&self.marker)
    }

    /// As if somebody pulled the plug: nothing of it has time for a last word.
    pub(crate) fn kill(&self) {
        loop {
            let processes = self.processes();
            if processes.is_empty() {
                return;
            }
            for pid in processes {
                let _ = send_signal(pid, Signal::KILL);
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        let _ = self.process.wait();
    }
}
