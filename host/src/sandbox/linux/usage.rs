//! Reads the CPU time and memory of the processes of a tree.

use std::collections::HashMap;
use std::fs;

use super::exited::{Exited, Used};
use super::processes::{self, Process};
use super::{affinity, cpu_clock, descendants, resident};
use crate::sandbox::usage::{CpuSource, Memory, MemorySource, Usage};

/// How often the processes are read at most.
const READINGS: usize = 5;

/// What the processes below `root` have used so far. Those that wait to be reaped count too, those that `root` or a process below it has
/// reaped, and those that `exited` has seen before. One that is reaped after its own clock was read and before that of its parent would
/// count twice.
pub(super) fn of(root: i32, exited: &mut Exited) -> Usage {
    read(root, exited).0
}

/// The same with the memory, see [`memory`], and whether a thread may use other cores than `root`.
pub(super) fn with_memory(root: i32, exited: &mut Exited) -> Usage {
    let (usage, tree) = read(root, exited);
    let exceeds_cores = affinity::is_exceeded(root, tree.iter().map(|process| process.pid));
    Usage { memory: Some(memory(&tree)), exceeds_cores, ..usage }
}

/// The same, and the processes that were read.
fn read(root: i32, exited: &mut Exited) -> (Usage, Vec<Process>) {
    let (usage, used, tree) = steady(|| {
        let tree = descendants::below(root);
        // Without a namespace `root` reaps the orphans.
        let reaped = || {
            let parents = tree.iter().map(|process| process.pid).chain([root]);
            parents.map(|pid| ticks(pid).map_or(0, |ticks| ticks.reaped)).collect::<Vec<_>>()
        };
        let peaks: u64 = tree.iter().filter_map(|process| peak_kib(process.pid)).sum();
        let before = reaped();
        let known: Vec<_> = tree.iter().map(|process| own_time(process.pid)).collect();
        let after = reaped();
        // Once more, and last: a backend with many processes could work while the others are read. One that was reaped meanwhile counts
        // as it was.
        let last = |(process, known): (&Process, &Option<_>)| own_time(process.pid).or(*known);
        let clocks: Vec<_> = tree.iter().zip(&known).map(last).collect();
        let cpu_source = match clocks.iter().flatten().all(|(_, source)| *source == CpuSource::ProcessClocks)
        {
            true => CpuSource::ProcessClocks,
            false => CpuSource::Ticks,
        };
        let own = clocks.iter().map(|clock| clock.map(|(seconds, _)| seconds)).chain([Some(0.0)]);
        let identities = tree.iter().map(|process| (process.pid, process.started)).chain([(root, 0)]);
        let used = identities.zip(own).zip(&after).filter_map(|((identity, own), reaped)| {
            Some((identity, Used { own: own?, reaped: in_seconds(*reaped) }))
        });
        let used: HashMap<_, _> = used.collect();
        let cpu_seconds = used.values().map(|used| used.own + used.reaped).sum();
        let newest = tree.iter().map(|process| process.started).max().unwrap_or_default();
        let peak_memory_bytes = peaks * 1024;
        let usage = Usage { cpu_seconds, cpu_source, peak_memory_bytes, newest, ..Usage::default() };
        ([before, after], (usage, used, tree))
    });
    (Usage { cpu_seconds: usage.cpu_seconds + exited.seconds(used), ..usage }, tree)
}

/// Reads until what was reaped before and after is the same, or for the last of [`READINGS`] times.
fn steady<R: PartialEq, T>(mut read: impl FnMut() -> ([R; 2], T)) -> T {
    for _ in 1..READINGS {
        let ([before, after], value) = read();
        if before == after {
            return value;
        }
    }
    read().1
}

/// The peaks of these processes, with what they share now counted once. Reads the page tables of all of them, which takes
/// milliseconds, so this is for the time between runs.
fn memory(tree: &[Process]) -> Memory {
    // A process that exits in between has no peak.
    let of_process = |pid| Some((resident::of(pid), peak_kib(pid)? * 1024));
    let processes: Vec<_> = tree.iter().filter_map(|process| of_process(process.pid)).collect();
    let bytes = processes.iter().map(|(now, peak)| {
        let others = now.map_or(0, |now| now.bytes.saturating_sub(now.proportional_bytes));
        peak.saturating_sub(others)
    });
    let source = match processes.iter().all(|(now, _)| now.is_some()) {
        true => MemorySource::Proportional,
        false => MemorySource::Resident,
    };
    Memory { bytes: bytes.sum(), source }
}

/// The seconds that a process itself used. `None` for a process that is gone.
fn own_time(pid: i32) -> Option<(f64, CpuSource)> {
    match cpu_clock::of(pid) {
        Some(time) => Some((time.as_secs_f64(), CpuSource::ProcessClocks)),
        None => Some((in_seconds(ticks(pid)?.own), CpuSource::Ticks)),
    }
}

fn in_seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// Resets the peaks of resident memory of the processes below `root`.
pub(super) fn reset_peaks(root: i32) {
    for process in descendants::below(root) {
        // A process that does not allow it keeps its old peak, which is not less.
        let _ = fs::write(format!("/proc/{}/clear_refs", process.pid), "5");
    }
}

/// CPU time in the system's ticks, user and system together.
struct Ticks {
    own: u64,
    /// That of the children which the process has reaped.
    reaped: u64,
}

fn ticks(pid: i32) -> Option<Ticks> {
    let fields = processes::stat(pid)?;
    // Fields 14 to 17 of proc(5), of which the third is the first here.
    let mut times = fields.split_ascii_whitespace().skip(11).map_while(|time| time.parse::<u64>().ok());
    let mut pair = || Some(times.next()? + times.next()?);
    Some(Ticks { own: pair()?, reaped: pair()? })
}

fn peak_kib(pid: i32) -> Option<u64> {
    processes::status_number(pid, "VmHWM:")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn all_is_read_again_while_processes_are_reaped_but_not_for_ever() {
        let found = |reaped: &[[u64; 2]]| {
            let mut readings = reaped.iter().copied().zip(0..);
            steady(|| readings.next().unwrap())
        };
        assert_eq!(found(&[[7, 7], [0, 0]]), 0);
        assert_eq!(found(&[[7, 9], [9, 11], [11, 11], [0, 0]]), 2);
        assert_eq!(found(&[[0, 1]; READINGS]), READINGS - 1);
    }

    #[test]
    fn pages_that_processes_share_count_once() {
        // The trap comes first: a sleep that is left would hold the output of these tests open.
        let script = "trap 'kill $one $!; exit' TERM; sleep 600 & one=$!; sleep 600 & wait";
        let mut shell = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let root = shell.id() as i32;
        let sleeps = |pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.is_ok_and(|stat| stat.contains("(sleep) S"))
        };
        let tree = || descendants::below(root).into_iter().map(|process| process.pid).collect::<Vec<_>>();
        // Before they run the other program, they are copies of the shell.
        while tree().len() != 2 || !tree().into_iter().all(sleeps) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let shares: u64 = tree().into_iter().map(|pid| resident::of(pid).unwrap().proportional_bytes).sum();
        let usage = with_memory(root, &mut Exited::default());
        let (memory, peaks) = (usage.memory.unwrap(), usage.peak_memory_bytes);
        let signal = rustix::process::Signal::TERM;
        rustix::process::kill_process(rustix::process::Pid::from_child(&shell), signal).unwrap();
        shell.wait().unwrap();
        assert_eq!(memory.source, MemorySource::Proportional);
        assert!(memory.bytes < peaks, "{memory:?} of {peaks}: the C library is shared");
        assert!(memory.bytes >= shares / 2, "{memory:?}, {shares}");
    }

    #[test]
    fn the_memory_of_a_process_whose_name_is_no_text_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join(OsStr::from_bytes(b"\xff"));
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let mut child = Command::new(&program).arg0("sleep").arg("600").spawn().unwrap();
        let name = format!("/proc/{}/comm", child.id());
        // Before it runs the program, it is a copy of this process.
        while fs::read(&name).unwrap() != b"\xff\n" {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let peak = peak_kib(child.id() as i32);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(peak.is_some_and(|kib| kib > 0), "{peak:?}");
    }

    #[test]
    fn the_work_of_a_process_that_nobody_reaps_is_not_forgotten() {
        let script = "sh -c \"$0\" & exec env --ignore-signal=CHLD sleep 600";
        let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; read line < \"$FIFO\"";
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
        let mut parent = Command::new("sh").args(["-c", script, work]).env("FIFO", &fifo).spawn().unwrap();
        let (root, mut exited) = (parent.id() as i32, Exited::default());
        // Whoever opens it waits for the reader, which has done its work by then.
        let writer = fs::File::create(&fifo).unwrap();
        let before = of(root, &mut exited).cpu_seconds;
        drop(writer);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(300);
        while !descendants::below(root).is_empty() {
            assert!(std::time::Instant::now() < deadline, "it waits to be reaped");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let after = of(root, &mut exited).cpu_seconds;
        let by_parent = of(root, &mut Exited::default()).cpu_seconds;
        parent.kill().unwrap();
        parent.wait().unwrap();
        assert_eq!(by_parent, 0.0);
        assert!(before > 0.0 && after >= before, "{after} after {before}");
    }

    #[test]
    fn work_and_memory_of_a_child_are_seen_and_work_is_not_forgotten_with_it() {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 600";
        let of = |pid| of(pid, &mut Exited::default());
        let before = of(own);
        let mut child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(300);
        // The work may be that of another test's child, while this one has no memory of its own yet.
        let has_memory = |pid: u32| peak_kib(pid as i32).is_some_and(|kib| kib > 100);
        while of(own).since(before).cpu_seconds < 0.05 || !has_memory(child.id()) {
            assert!(std::time::Instant::now() < deadline, "no work or no memory was seen");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let ticks = ticks(own).unwrap();
        assert!(ticks.own + ticks.reaped > 0);
        assert_eq!(of(own).cpu_source, CpuSource::ProcessClocks);
    }
}
