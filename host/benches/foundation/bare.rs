//! The same work without crossrun: a bare pipe, a bare loop.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use plugin_api::WorkloadHandle;

const ECHO: &str = "--echo-one-byte-at-a-time";

/// Whether this process is the child of a [`PingPong`].
pub(crate) fn is_echo() -> bool {
    std::env::args().nth(1).is_some_and(|argument| argument == ECHO)
}

/// Gives every byte back.
pub(crate) fn echo() {
    let (mut from, mut to, mut byte) = (std::io::stdin().lock(), std::io::stdout().lock(), [0]);
    while from.read_exact(&mut byte).is_ok() {
        to.write_all(&byte).unwrap();
        to.flush().unwrap();
    }
}

/// A child that gives every byte back.
pub(crate) struct PingPong {
    to: ChildStdin,
    from: ChildStdout,
    _child: Child,
}

impl PingPong {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.arg(ECHO).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Self { to: child.stdin.take().unwrap(), from: child.stdout.take().unwrap(), _child: child }
    }

    pub(crate) fn round_trip(&mut self) {
        let mut byte = [7];
        self.to.write_all(&byte).unwrap();
        self.from.read_exact(&mut byte).unwrap();
    }
}

/// The number of the next item, on cache lines of its own: every thread writes to it once a batch, and would slow down
/// each read of what stands beside it.
#[derive(Default)]
#[repr(align(128))]
struct NextItem(AtomicU64);

/// As many threads over one counter, and the same calls into the workload's library: no scheduler, no progress, no
/// cancelling, no errors.
pub(crate) fn bare_loop(workload: &WorkloadHandle, items: u64, batch_size: u64, threads: u32) -> Vec<u8> {
    let next = NextItem::default();
    let thread = || {
        let (mut sink, mut batch) = (workload.new_sink().unwrap(), workload.buffer());
        loop {
            let first = next.0.fetch_add(batch_size, Ordering::Relaxed);
            if first >= items {
                return sink.encode().unwrap();
            }
            let count = batch_size.min(items - first);
            workload.source(first, count, workload.plan().sink(), &mut batch).unwrap();
            sink.fold(&batch).unwrap();
        }
    };
    let states: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(thread)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut merged = workload.new_sink().unwrap();
    states.iter().for_each(|state| merged.merge(state).unwrap());
    merged.encode().unwrap().to_vec()
}

/// The largest peak, in KiB, of a process and of all that carry the marker of its sessions.
pub(crate) fn largest_process(parent: u32) -> u64 {
    let marker = format!("CROSSRUN_SESSION={parent}-");
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let ours = pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let marked = environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(marker.as_bytes()));
        *pid == parent || marked
    });
    ours.filter_map(peak).max().unwrap_or_default()
}

fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
