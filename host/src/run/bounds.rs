//! Physical bounds: a run can take neither less time nor less CPU time than its work does at least, whatever a backend claims. What the
//! work takes at least is the serial reference, of which a keyed reduction counts for a fifth.

use super::reference::TrialReference;
use super::trial::RunUsage;

/// A run may take this part less than the work does at least. References of one cell, taken within minutes on two cores with ten other
/// tasks ready, differed by 15 % (`pipeline`) to 62 % (`word_count`, which lives in the caches): so the fastest counts, and a run
/// that breaks a bound is compared with new references first. No honest run of 160 took less than 2.3 times the bound.
const WALL_TOLERANCE: f64 = 0.25;
/// A shorter reference bounds no duration: a processor that was idle needs some milliseconds to reach its full speed.
pub(crate) const WALL_FROM: f64 = 0.005;
/// The process tree may use this part less CPU time than the work takes at least. Of 160 honest runs under that load, each beside its own
/// reference alone, the one with the least CPU time used 3 % less.
const CPU_TOLERANCE: f64 = 0.2;
/// From this slowdown on, other processes use the processor so much that only a part of a reference counts: they take caches and, where
/// two cores are one, execution units. Beside builds on two cores, `memory` took 60 ms of CPU time in five references in a row, and 30 ms
/// in the run; beside other tests 0.36 s in six references, and the whole run 0.22 s.
const BUSY: f64 = 1.25;
const BESIDE_OTHERS: f64 = 0.5;
/// A shorter reference bounds no CPU time: the time of processes that have exited has a resolution of a tick, mostly 10 ms.
pub(crate) const CPU_FROM: f64 = 0.05;
/// Two readings of two ticks, one of user and one of system time, each rounded down: what may be missing.
pub(crate) const CPU_RESOLUTION: f64 = 0.02;
/// More CPU time than the cores have: this part is for the clocks, which the system does not read at one moment.
const CORES_TOLERANCE: f64 = 0.05;
/// And so many seconds of each core beside the run, on a quiet machine: engines that have threads of their own go on for a moment.
const CORES_CALL: f64 = 0.1;
/// Request and reply may take this part of the run.
const CALL_TOLERANCE: f64 = 0.25;
/// And so many seconds of a quiet machine: the calls of those 160 runs took up to 0.21 s beside the run.
const CALL: f64 = 0.5;
/// And this factor of what opening the workload took in the judge's worker.
const OPENING: f64 = 4.0;
/// And so many seconds for each byte of the sinks' state: 20 ms for a MiB.
const CALL_PER_BYTE: f64 = 0.02 / 1048576.0;
/// After the last item a run may go on for a quarter of its time, and so many seconds of a quiet machine: engines end their jobs.
const ENDING: f64 = 1.0;
/// Preparing a run may take so many seconds of CPU time in each of the first processes that may take part: one for each operator that
/// runs at once, one that drives the engine, and the worker. Seven honest backends of four processes took up to 0.03 s in all beside
/// opening the workload, and one whose engine compiles its code while it runs took 0.15 s once.
const PREPARING: f64 = 0.15;
/// So many processes are the first.
const FIRST_PROCESSES: f64 = 4.0;
/// And in each further process so many seconds: what an engine does once does not grow with them.
const PREPARING_MORE: f64 = 0.03;
/// And so many seconds in the first run of a workload, before which an engine may start processes that load its own code, and
/// give up the workload before. A comparison does not measure that run.
const FIRST_PREPARING: f64 = 1.0;
/// And in each process this factor of what opening the workload takes.
const PREPARED_OPENING: f64 = 2.0;
/// And this part of the work.
const PREPARING_TOLERANCE: f64 = 0.05;
/// Clocks of two processes may differ by this part.
const CLOCKS: f64 = 0.001;

/// What is known of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured {
    /// The worker's clock around the run.
    pub(super) duration_seconds: f64,
    /// The host's clock around request and reply.
    pub(super) host_seconds: f64,
    /// For how long of that the thread of this program that asked waited for a processor.
    pub(super) host_waited: f64,
    /// The size of the sinks' state.
    pub(super) state_bytes: usize,
    /// `None` where the system does not say.
    pub(super) usage: Option<RunUsage>,
    pub(super) parallelism: u32,
    /// The largest number of tasks of a graph that can run at once; `None` for other work.
    pub(super) width: Option<u32>,
    /// The number of cores that the processes could use.
    pub(super) cores: u32,
    /// The number of machines that was asked for.
    pub(super) nodes: u32,
    /// Whether the user named a cluster that runs already: its processes are not below the worker.
    pub(super) joins_cluster: bool,
    /// The longest time from the moment at which an item of an open loop was due to the sink, by the sink's own clock.
    pub(super) latest_seconds: Option<f64>,
    /// Whether no run of this workload came before in the session.
    pub(super) is_first: bool,
    /// How many times longer than on a quiet machine work takes now; below 1 it counts as 1.
    pub(super) slowdown: f64,
    /// What that is where no other program runs, on fewer cores than it takes to measure it; below 1 it counts as 1.
    pub(super) quiet_slowdown: f64,
    /// Whether it is of a METG sweep, of whose rows no other rule compares the work with the reference.
    pub(super) is_swept: bool,
}

/// A bound that does not hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Violation {
    pub(super) why: String,
    /// Whether another reference could show that the run was right: a reference that was taken under load is too long.
    pub(super) depends_on_reference: bool,
}

/// The first bound that `run` does not keep.
pub(super) fn violation(run: &Measured, reference: &TrialReference) -> Option<Violation> {
    let others =
        [clocks, last_due, cores, lateness, preparing].iter().find_map(|bound| bound(run, reference));
    let others = others.map(|why| Violation { why, depends_on_reference: false });
    others.or_else(|| work(run, reference).map(|why| Violation { why, depends_on_reference: true }))
}

/// Whether the work of a run can be seen: what other machines do cannot.
pub(super) fn is_checked(run: &Measured) -> bool {
    run.nodes <= 1 && !run.joins_cluster
}

/// Whether the work of a run has a bound on CPU time, and that of its processes is not known: where the system does not say it, and in the
/// process of the host.
pub(super) fn lacks_cpu_time(run: &Measured, reference: &TrialReference) -> bool {
    let has_bound = reference.least_cpu_seconds.is_some_and(|least| least >= CPU_FROM);
    has_bound && is_checked(run) && run.usage.is_none()
}

fn work(run: &Measured, reference: &TrialReference) -> Option<String> {
    let least = reference.least_cpu_seconds.filter(|_| is_checked(run))?;
    let path = || longest_path(run, least * reference.path_part);
    duration(run, least, reference.operator_share).or_else(path).or_else(|| cpu(run, least))
}

/// Whether a part of the reference counts. In the rows of a comparison the whole counts in the end; in a sweep it would nowhere.
fn is_beside_others(run: &Measured) -> bool {
    run.slowdown >= BUSY * run.quiet_slowdown.max(1.0) && !run.is_swept
}

/// The part of a reference that counts for a duration of which `cores` are the most that may work at once. Only a run that used no more of
/// them than that is excused: one with more threads than it was allowed is as short on a quiet machine.
fn counted(run: &Measured, cores: f64) -> f64 {
    let most = run.duration_seconds * cores * (1.0 + WALL_TOLERANCE) + CPU_RESOLUTION;
    let used = run.usage.map(|usage| usage.used.cpu_seconds);
    if is_beside_others(run) && used.is_some_and(|used| used <= most) { BESIDE_OTHERS } else { 1.0 }
}

/// Whether a run took less than the `shortest` time in which `least` CPU seconds of work can be done.
fn is_too_short(run: &Measured, least: f64, shortest: f64) -> bool {
    run.duration_seconds < shortest * counted(run, least / shortest) * (1.0 - WALL_TOLERANCE)
}

/// What a message adds where only half of the reference counts.
fn half(counts: f64) -> &'static str {
    if counts < 1.0 { ", of which half counts here, as other processes use the cores" } else { "" }
}

/// Whether a run keeps its bounds only because the machine is busy.
pub(super) fn is_excused(run: &Measured, reference: &TrialReference) -> bool {
    is_beside_others(run) && work(&Measured { slowdown: 1.0, ..*run }, reference).is_some()
}

/// The tasks on the longest path of a graph run one after the other, on however many cores. The whole counts on a busy machine too: half of
/// it is what the tasks take at once, by a backend that has their answers before.
fn longest_path(run: &Measured, least: f64) -> Option<String> {
    (least >= WALL_FROM && run.duration_seconds < least * (1.0 - WALL_TOLERANCE)).then(|| {
        format!(
            "the run took {:.6} s, but the tasks on the longest path of the graph take {least:.6} s by the serial reference, one \
             after the other",
            run.duration_seconds
        )
    })
}

/// The shortest time in which `least` CPU seconds of work can be done. All of the work is done by the cores that there are. The calls of
/// operators are also bounded by the parallelism, and by the width of a graph; an engine may run source and sink beside them.
pub(crate) fn shortest(
    least: f64,
    operator_share: f64,
    cores: f64,
    parallelism: u32,
    width: Option<u32>,
) -> f64 {
    let at_once = cores.min(f64::from(parallelism.min(width.unwrap_or(u32::MAX)))).max(1.0);
    (least / cores.max(1.0)).max(least * operator_share / at_once)
}

fn duration(run: &Measured, least: f64, operator_share: f64) -> Option<String> {
    let shortest = shortest(least, operator_share, run.cores.into(), run.parallelism, run.width);
    (least >= WALL_FROM && is_too_short(run, least, shortest)).then(|| {
        format!(
            "the run took {:.6} s, but its work takes {least:.6} s of CPU time or more by the serial reference, which is at least \
             {shortest:.6} s with parallelism {} on {} cores{}",
            run.duration_seconds,
            run.parallelism,
            run.cores,
            half(counted(run, least / shortest))
        )
    })
}

fn cpu(run: &Measured, least: f64) -> Option<String> {
    let used = run.usage?.used.cpu_seconds;
    let counts = if is_beside_others(run) { BESIDE_OTHERS } else { 1.0 };
    (least >= CPU_FROM && used < least * counts * (1.0 - CPU_TOLERANCE) - CPU_RESOLUTION).then(|| {
        format!(
            "all processes of the backend used {used:.3} s of CPU time, but the work takes {least:.3} s or more by the serial \
             reference{}",
            half(counts)
        )
    })
}

/// No tree can use more than its cores give, by the host's clock around both readings. Nor can it use much more than they give in the
/// run, by the clock of the worker, which shares its memory with the backend.
fn cores(run: &Measured, reference: &TrialReference) -> Option<String> {
    let RunUsage { used, window_seconds, .. } = run.usage?;
    let (cores, each) = (f64::from(run.cores), CORES_CALL * run.slowdown.max(1.0));
    let call = cores * each + OPENING * reference.opening_seconds + CALL_PER_BYTE * run.state_bytes as f64;
    let (window, in_run) = (cores * window_seconds, cores * run.duration_seconds);
    let most = window.min(in_run + call);
    (used.cpu_seconds > most * (1.0 + CORES_TOLERANCE) + CPU_RESOLUTION * cores).then(|| {
        let cpu = used.cpu_seconds;
        let used = format!("all processes of the backend used {cpu:.3} s of CPU time, but {} cores", run.cores);
        if most < window {
            format!(
                "{used} have {in_run:.3} s in the run by the worker's clock, and the call explains no more than {call:.3} s beside it"
            )
        } else {
            format!("{used} have {window:.3} s in that time")
        }
    })
}

/// What opening the workload does not explain of the CPU time of preparing is work of the run before its clock.
fn preparing(run: &Measured, reference: &TrialReference) -> Option<String> {
    let least = reference.least_cpu_seconds.filter(|least| is_checked(run) && *least >= CPU_FROM)?;
    let used = run.usage?.cpu_preparing?;
    let first = if run.is_first { FIRST_PREPARING } else { 0.0 };
    let processes = f64::from(run.parallelism) + 2.0;
    let own =
        PREPARING * processes.min(FIRST_PROCESSES) + PREPARING_MORE * (processes - FIRST_PROCESSES).max(0.0);
    let most = own
        + processes * (first + PREPARED_OPENING * reference.opening_seconds)
        + least * PREPARING_TOLERANCE;
    (used > most).then(|| {
        format!(
            "all processes of the backend used {used:.3} s of CPU time while they prepared the run, but preparing explains no more \
             than {most:.3} s of that; the work takes {least:.3} s or more by the serial reference"
        )
    })
}

/// The slowdown is measured when the run is over, and has an upper limit. For how long this program waited for a processor in the run, the
/// system counts, and no backend is to blame for it.
fn clocks(run: &Measured, reference: &TrialReference) -> Option<String> {
    let call = CALL + OPENING * reference.opening_seconds + CALL_PER_BYTE * run.state_bytes as f64;
    let most = run.duration_seconds * (1.0 + CALL_TOLERANCE) + call * run.slowdown.max(1.0) + run.host_waited;
    (run.host_seconds > most).then(|| {
        format!(
            "the worker's clock shows {:.3} s, but the host's shows {:.3} s from request to reply, and the call explains no \
             more than {:.3} s of that",
            run.duration_seconds, run.host_seconds, most - run.duration_seconds
        )
    })
}

fn last_due(run: &Measured, reference: &TrialReference) -> Option<String> {
    let due = reference.last_due_seconds?;
    (run.duration_seconds < due * (1.0 - CLOCKS)).then(|| {
        format!("the run took {:.3} s, but the last item is due after {due:.3} s", run.duration_seconds)
    })
}

/// A loop that goes on after its last item was due is late, and then some item must be late too.
fn lateness(run: &Measured, reference: &TrialReference) -> Option<String> {
    let (due, latest) = reference.last_due_seconds.zip(run.latest_seconds)?;
    let ending = run.duration_seconds * CALL_TOLERANCE + ENDING * run.slowdown.max(1.0);
    (run.duration_seconds > due + latest + ending).then(|| {
        format!(
            "the run took {:.3} s, and the last item is due after {due:.3} s, but no item came more than {latest:.3} s after it was due",
            run.duration_seconds
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Usage;

    /// Two seconds of work, in one second on two cores.
    fn honest() -> (Measured, TrialReference) {
        let used = Usage { cpu_seconds: 1.9, ..Usage::default() };
        let usage = Some(RunUsage { used, window_seconds: 1.1, ..RunUsage::default() });
        let run = Measured {
            duration_seconds: 1.0,
            host_seconds: 1.05,
            usage,
            parallelism: 2,
            cores: 2,
            nodes: 1,
            ..Measured::default()
        };
        let reference = TrialReference {
            least_cpu_seconds: Some(1.9),
            operator_share: 1.0,
            opening_seconds: 0.01,
            ..TrialReference::default()
        };
        (run, reference)
    }

    type Change = fn(&mut Measured, &mut TrialReference);

    /// An honest run that used so much CPU time.
    fn used(cpu_seconds: f64) -> Measured {
        let (run, _) = honest();
        let used = Usage { cpu_seconds, ..Usage::default() };
        Measured { usage: run.usage.map(|usage| RunUsage { used, ..usage }), ..run }
    }

    impl Measured {
        fn within(self, duration_seconds: f64) -> Self {
            Self { duration_seconds, ..self }
        }

        /// The same with so many seconds between the readings.
        fn over(self, window_seconds: f64) -> Self {
            Self { usage: self.usage.map(|usage| RunUsage { window_seconds, ..usage }), ..self }
        }
    }

    /// An honest run that lasts so many seconds, by both clocks.
    fn lasts(seconds: f64) -> Measured {
        let host_seconds = seconds + 0.05;
        Measured { host_seconds, ..used(1.9 * seconds.min(1.0)).within(seconds) }
    }

    /// A run of seven seconds whose last item was due after one.
    fn late(run: &mut Measured, reference: &mut TrialReference, latest_seconds: f64) {
        *run = Measured { latest_seconds: Some(latest_seconds), ..lasts(7.0) };
        reference.last_due_seconds = Some(1.0);
    }

    #[test]
    fn each_bound_is_kept_by_an_honest_run_and_named_where_it_is_not() {
        let table: [(&str, Change, Option<&str>); 47] = [
            ("honest", |_, _| (), None),
            ("a quarter faster than the reference", |run, _| *run = used(1.6).within(0.72), None),
            ("twice as fast", |run, _| *run = used(1.2).within(0.5), Some("at least 0.950000 s")),
            (
                "one core less",
                |run, _| *run = Measured { cores: 1, ..used(1.1) },
                Some("at least 1.900000 s"),
            ),
            ("parallelism 1", |run, _| run.parallelism = 1, Some("at least 1.900000 s")),
            ("source and sink beside it", |run, it| (run.parallelism, it.operator_share) = (1, 0.5), None),
            ("less than 5 ms", |run, it| (*run, it.least_cpu_seconds) = (lasts(1e-4), Some(0.0049)), None),
            (
                "a reference of 5 ms",
                |run, it| (*run, it.least_cpu_seconds) = (lasts(1e-4), Some(0.0051)),
                Some("takes 0.005100 s of CPU time"),
            ),
            ("half of the tasks on one path", |_, it| it.path_part = 0.5, None),
            (
                "a path that is longer than the run",
                |run, it| (run.duration_seconds, it.path_part) = (0.8, 0.6),
                Some("the longest path of the graph take 1.140000 s"),
            ),
            (
                "such a path within the tolerance",
                |run, it| (run.duration_seconds, it.path_part) = (0.8, 0.55),
                None,
            ),
            (
                "a path of less than 5 ms",
                |run, it| (run.duration_seconds, it.path_part) = (0.8, 0.0025),
                None,
            ),
            ("0.8 of the CPU time", |run, _| *run = used(1.52), None),
            ("less CPU time", |run, _| *run = used(1.4), Some("used 1.400 s of CPU time")),
            ("nothing done", |run, _| *run = used(0.0), Some("used 0.000 s of CPU time")),
            ("little work", |run, it| (*run, it.least_cpu_seconds) = (used(0.0), Some(0.049)), None),
            ("all that the cores have", |run, _| *run = used(2.2), None),
            ("more than the cores have", |run, _| *run = used(2.5), Some("2 cores have 2.200 s")),
            (
                "half of the work on a busy machine",
                |run, _| *run = Measured { slowdown: 1.3, ..used(1.0) },
                None,
            ),
            (
                "less than half of the work there",
                |run, _| *run = Measured { slowdown: 4.0, ..used(0.6) },
                Some("takes 1.900 s or more by the serial reference, of which half counts here"),
            ),
            (
                "twice as fast on a busy machine",
                |run, _| *run = Measured { slowdown: 4.0, ..used(0.9).within(0.5) },
                None,
            ),
            (
                "four times as fast there",
                |run, _| *run = Measured { slowdown: 4.0, ..used(0.9).within(0.25) },
                Some("at least 0.950000 s"),
            ),
            (
                "twice as fast there, by more threads than allowed",
                |run, _| *run = Measured { slowdown: 4.0, parallelism: 1, ..used(1.9) },
                Some("at least 1.900000 s"),
            ),
            (
                "twice as fast there, at the allowed parallelism",
                |run, _| *run = Measured { slowdown: 4.0, parallelism: 1, ..used(1.1) },
                None,
            ),
            (
                "a path that is longer than the run, there",
                |run, it| {
                    *run = Measured { slowdown: 4.0, ..used(1.0).within(0.8) };
                    it.path_part = 0.6;
                },
                Some("the longest path of the graph take 1.140000 s"),
            ),
            (
                "twice as fast in a sweep there",
                |run, _| *run = Measured { slowdown: 4.0, is_swept: true, ..used(0.9).within(0.5) },
                Some("at least 0.950000 s"),
            ),
            (
                "half of the work on a quiet machine with one core",
                |run, _| *run = Measured { slowdown: 2.0, quiet_slowdown: 2.0, ..used(1.0) },
                Some("takes 1.900 s or more"),
            ),
            (
                "half of the kernels of a sweep there",
                |run, _| *run = Measured { slowdown: 4.0, is_swept: true, ..used(1.0) },
                Some("takes 1.900 s or more"),
            ),
            ("no usage", |run, _| run.usage = None, None),
            ("no reference", |run, it| (*run, it.least_cpu_seconds) = (lasts(0.1), None), None),
            ("several nodes", |run, _| *run = Measured { nodes: 2, ..lasts(0.1) }, None),
            ("a cluster of the user's", |run, _| *run = Measured { joins_cluster: true, ..lasts(0.1) }, None),
            ("a slow call", |run, _| run.host_seconds = 1.7, None),
            ("a slow call on a busy machine", |run, _| (run.host_seconds, run.slowdown) = (3.0, 4.0), None),
            (
                "a clock that is a bit slow, while both cores work",
                |run, _| *run = Measured { host_seconds: 1.5, ..used(2.7).over(1.5) },
                Some("2 cores have 2.000 s in the run by the worker's clock"),
            ),
            (
                "the same on a busy machine",
                |run, _| *run = Measured { host_seconds: 1.5, slowdown: 4.0, ..used(2.7).over(1.5) },
                None,
            ),
            (
                "the same with a large workload",
                |run, it| {
                    *run = Measured { host_seconds: 1.5, ..used(2.7).over(1.5) };
                    it.opening_seconds = 0.15;
                },
                None,
            ),
            ("a slow clock", |run, _| run.host_seconds = 1.9, Some("the host's shows 1.900 s")),
            (
                "a host that waits for a processor",
                |run, _| (run.host_seconds, run.host_waited) = (1.9, 0.4),
                None,
            ),
            (
                "a slow clock beside a host that waits",
                |run, _| (run.host_seconds, run.host_waited) = (2.3, 0.4),
                Some("the host's shows 2.300 s"),
            ),
            ("a large workload", |run, it| (run.host_seconds, it.opening_seconds) = (5.5, 1.0), None),
            ("a large state", |run, _| (run.host_seconds, run.state_bytes) = (3.0, 64 << 20), None),
            ("an open loop", |_, it| it.last_due_seconds = Some(1.0), None),
            ("a loop that ends late, as its items say", |run, it| late(run, it, 5.0), None),
            (
                "a loop that ends late, and no item is",
                |run, it| late(run, it, 1.0),
                Some("no item came more"),
            ),
            ("clocks that differ", |_, it| it.last_due_seconds = Some(1.0005), None),
            ("a loop that ends early", |_, it| it.last_due_seconds = Some(1.1), Some("is due after 1.100 s")),
        ];
        for (name, change, expected) in table {
            let (mut run, mut reference) = honest();
            change(&mut run, &mut reference);
            let found = violation(&run, &reference).map(|violation| violation.why);
            let as_expected = match (&found, expected) {
                (Some(why), Some(part)) => why.contains(part),
                (found, expected) => found.is_none() == expected.is_none(),
            };
            assert!(as_expected, "{name}: {found:?}");
        }
    }

    #[test]
    fn preparing_takes_no_more_cpu_time_than_it_explains() {
        let after = |cpu_preparing: f64, is_first: bool| {
            let (run, _) = honest();
            let usage = run.usage.map(|usage| RunUsage { cpu_preparing: Some(cpu_preparing), ..usage });
            Measured { usage, is_first, ..run }
        };
        let (_, reference) = honest();
        let no_reference = TrialReference { least_cpu_seconds: None, ..reference };
        let short = TrialReference { least_cpu_seconds: Some(0.049), ..reference };
        let slow_to_open = TrialReference { opening_seconds: 0.1, ..reference };
        let later = |seconds| after(seconds, false);
        let swept = |seconds| Measured { is_swept: true, ..later(seconds) };
        // 0.15 s and two openings of 10 ms in each of four processes, and 5 % of 1.9 s.
        let table = [
            ("what preparing takes", later(0.7), reference, false),
            ("half of the work", later(0.95), reference, true),
            ("all of it", later(1.9), reference, true),
            ("the first run of a workload", after(4.5, true), reference, false),
            ("more than its processes explain in the first run", after(5.0, true), reference, true),
            ("a workload that is slow to open", later(1.3), slow_to_open, false),
            ("all of such a one", later(1.9), slow_to_open, true),
            ("no reference", later(1.9), no_reference, false),
            ("short work", later(1.9), short, false),
            ("several nodes", Measured { nodes: 2, ..later(1.9) }, reference, false),
            ("kernels of a sweep", swept(0.8), TrialReference::of_kernels(1.0, 0.0), true),
            ("such ones, slow to open", swept(0.8), TrialReference::of_kernels(1.0, 0.2), false),
            // Fourteen more processes, of 30 ms and two openings each.
            ("many processes", Measured { parallelism: 16, ..later(1.4) }, reference, false),
            ("all of it with many processes", Measured { parallelism: 16, ..later(1.9) }, reference, true),
        ];
        for (name, run, reference, is_invalid) in table {
            let found = preparing(&run, &reference);
            assert_eq!(found.is_some(), is_invalid, "{name}: {found:?}");
            assert!(!is_invalid || violation(&run, &reference).is_some(), "{name}");
        }
    }

    #[test]
    fn a_run_without_cpu_time_is_told_where_it_would_be_compared() {
        let (known, reference) = honest();
        let unknown = Measured { usage: None, ..known };
        let short = TrialReference { least_cpu_seconds: Some(0.049), ..reference };
        let none = TrialReference { least_cpu_seconds: None, ..reference };
        assert!(lacks_cpu_time(&unknown, &reference) && !lacks_cpu_time(&known, &reference));
        assert!(!lacks_cpu_time(&unknown, &short) && !lacks_cpu_time(&unknown, &none));
        // That nothing of its work is checked is told of such a run.
        assert!(!lacks_cpu_time(&Measured { nodes: 2, ..unknown }, &reference));
    }

    #[test]
    fn only_a_bound_by_the_reference_is_worth_another_reference() {
        let (run, reference) = honest();
        assert!(violation(&lasts(0.1), &reference).unwrap().depends_on_reference);
        let slow_clock = Measured { host_seconds: 9.0, ..run };
        assert!(!violation(&slow_clock, &reference).unwrap().depends_on_reference);
    }
}
