//! A backend that cheats in one way. `selftest` runs it to see that the harness catches every cheat.
//!
//! Imports go one way: this file → `graph` and `memory` → `library` → `work`; `files` and `shortcut` import none of these.

mod files;
mod graph;
mod library;
mod memory;
mod shortcut;
mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use plugin_api::workload::GRAPH;
use plugin_api::{
    Availability, RunContext, RunResult, RunnerError, WorkloadRunner, WorkloadSpec, monotonic_nanos,
};

use self::memory::Memory;
use self::work::{Answer, serial_time, with_times, work};
use super::cheat::{Cheat, GAINED, NAME};
use super::protocol::Reply;
use crate::slowdown::thread_time;

/// How long the engine stalls while its own clock does not run.
const STALL: Duration = Duration::from_secs(1);

/// How long an engine takes to start in a run.
const START_UP: Duration = Duration::from_millis(300);

/// How long a run takes whose worker has a slow clock: longer than a call may take on any machine.
const SLOW_RUN: Duration = Duration::from_secs(8);

/// By what factor a clock is slow.
const SLOWER: f64 = 10.0;

/// The factor by which the threads that compute exceed the parallelism of the spec.
const EXCESS: u32 = 4;

/// How many items wait at once where the spec allows one: all those of its run. On a busy machine each wait is longer than it should be,
/// and where some follow each other, what they take in all is no longer too short.
const AT_ONCE: u32 = 50;

/// The niceness of a process that goes before all others.
const HIGHEST_PRIORITY: i32 = -20;

/// The longest time for which the backend works after a run.
const AFTER_RUN: Duration = Duration::from_secs(20);

/// A backend with threads that cheats.
pub(crate) struct CheatingBackend {
    cheat: Cheat,
    /// What the backend remembers, if it does.
    memory: Option<Memory>,
    /// Ends the work that goes on after a run.
    is_over: Arc<AtomicBool>,
    /// The answer of the next run.
    prepared: Option<Answer>,
    /// For how long the next run keeps its threads busy, if it has nothing else to do.
    busy: Duration,
}

impl CheatingBackend {
    pub(crate) fn new(cheat: Cheat) -> Self {
        Self {
            cheat,
            memory: Memory::of(cheat),
            is_over: Arc::default(),
            prepared: None,
            busy: Duration::ZERO,
        }
    }

    /// The answer of a run, and whether the backend had it before the run, if it tried to.
    fn answer(
        &mut self,
        spec: &WorkloadSpec,
        context: &RunContext,
    ) -> Result<(Answer, Option<bool>), RunnerError> {
        if let Some(memory) = &mut self.memory {
            return memory.answer(spec, context).map(|(answer, known)| (answer, Some(known)));
        }
        if let Some(answer) = self.prepared.take() {
            if self.cheat == Cheat::AnswerBeforeRunAndBurn {
                burn(serial_time(spec, context.workload())?);
            }
            graph::keep_busy(spec.parallelism, self.busy);
            return Ok((answer, None));
        }
        let (cheat, workload, threads) = (self.cheat, context.workload(), spec.parallelism);
        if cheat == Cheat::RaisePriority {
            let is_raised = rustix::process::setpriority_process(None, HIGHEST_PRIORITY).is_ok();
            return Ok((work(spec, workload, threads, cheat)?, Some(is_raised)));
        }
        let answer = match cheat {
            Cheat::MoreParallelism => work(spec, workload, AT_ONCE, cheat)?,
            Cheat::MoreThreads => work(spec, workload, threads * EXCESS, cheat)?,
            Cheat::AskOracle => {
                workload.expected()?;
                work(spec, workload, threads, cheat)?
            }
            Cheat::AskCopy => library::sink_state(&library::open_again(workload, spec)?.expected()?)?,
            Cheat::SkipIterations => {
                work(spec, &library::open_again(workload, &with_half_of_the_kernel(spec))?, threads, cheat)?
            }
            // All items are due at once if the loop started long ago.
            Cheat::EarlyLoop => {
                let long_ago = WorkloadSpec { start_nanos: Some(0), ..spec.clone() };
                work(spec, &library::open_again(workload, &long_ago)?, threads, cheat)?
            }
            Cheat::LateStart => {
                std::thread::sleep(START_UP);
                workload.start(monotonic_nanos())?;
                work(spec, workload, threads, cheat)?
            }
            Cheat::ClosedForm => shortcut::answer(spec, workload)?,
            Cheat::ClosedFormAndWait | Cheat::IdleSweep => {
                std::thread::sleep(2 * serial_time(spec, workload)?);
                shortcut::answer(spec, workload)?
            }
            Cheat::AlterRecords | Cheat::PoisonJudge => {
                files::alter(context.data_dir())?;
                work(spec, workload, threads, cheat)?
            }
            _ => work(spec, workload, threads, cheat)?,
        };
        Ok((answer, None))
    }

    /// Keeps a thread busy until the next run.
    fn work_after_run(&mut self) {
        self.is_over = Arc::default();
        let (is_over, started) = (Arc::clone(&self.is_over), Instant::now());
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) && started.elapsed() < AFTER_RUN {
                std::hint::spin_loop();
            }
        });
    }
}

impl WorkloadRunner for CheatingBackend {
    fn backend_name(&self) -> &str {
        NAME
    }

    fn is_available(&self) -> Availability {
        Availability::Available
    }

    fn supports(&self) -> Vec<String> {
        Vec::from_iter((self.cheat == Cheat::GraphAhead).then(|| GRAPH.to_owned()))
    }

    fn prepare(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<(), RunnerError> {
        if matches!(self.cheat, Cheat::AnswerBeforeRun | Cheat::AnswerBeforeRunAndBurn) {
            self.prepared = Some(work(spec, context.workload(), spec.parallelism, self.cheat)?);
        }
        if self.cheat == Cheat::GraphAhead {
            let (answer, took) = graph::answer(spec, context.workload())?;
            (self.prepared, self.busy) = (Some(answer), graph::without_edges(took, spec.parallelism));
        }
        Ok(())
    }

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        self.is_over.store(true, Ordering::Relaxed);
        let started = Instant::now();
        let ((count, state), gained) = self.answer(spec, context)?;
        let elapsed = started.elapsed().as_secs_f64();
        let mut honest = RunResult::new(NAME, spec, elapsed, count, state);
        if let Some(gained) = gained {
            honest = honest.with_metric(GAINED, gained);
        }
        Ok(match self.cheat {
            Cheat::StopClockEarly => RunResult { elapsed_time: elapsed / SLOWER, ..honest },
            Cheat::ClaimMoreTime => RunResult { elapsed_time: elapsed + 1.0, ..honest },
            Cheat::ClaimMoreResults => RunResult { results_count: count + 1, ..honest },
            Cheat::OtherName => RunResult { backend: "another".into(), ..honest },
            Cheat::TimesInClosedLoop => RunResult { sink_state: with_times(&honest.sink_state), ..honest },
            Cheat::Stall => {
                std::thread::sleep(STALL);
                honest
            }
            Cheat::SlowClock => {
                std::thread::sleep(SLOW_RUN);
                RunResult { elapsed_time: started.elapsed().as_secs_f64() / SLOWER, ..honest }
            }
            Cheat::WorkAfterRun => {
                self.work_after_run();
                honest
            }
            _ => honest,
        })
    }
}

/// Uses so much processor time, and does nothing.
fn burn(time: Duration) {
    let end = thread_time() + time;
    while thread_time() < end {
        std::hint::spin_loop();
    }
}

fn with_half_of_the_kernel(spec: &WorkloadSpec) -> WorkloadSpec {
    let mut half = spec.clone();
    let iterations = spec.extra.get("iters").and_then(serde_json::Value::as_u64).unwrap_or_default();
    half.extra.insert("iters".into(), (iterations / 2).into());
    half
}

/// The worker's reply to a run if the backend slowed the clock of the process. A backend can: it shares the memory of the worker.
pub(super) fn by_slow_clock(mut reply: Reply) -> Reply {
    if let Reply::Finished(finished) = &mut reply {
        finished.duration_seconds /= SLOWER;
    }
    reply
}
