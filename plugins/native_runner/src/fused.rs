//! A phase in which one worker takes each unit through the whole chain: one call a slice, and one fold.

use std::sync::atomic::AtomicU64;

use plugin_api::{Buffer, WorkloadError};

use crate::crew::{Crew, Post};
use crate::halt::Failure;
use crate::keyed::{Partitions, Terminal};
use crate::phase::{Input, Phase};
use crate::schedule::{Feed, Scheduler};
use crate::turns::Turns;

/// Runs `phase` and gives what each worker folded.
///
/// # Errors
/// The first failure of any worker.
pub(crate) fn run<'a>(
    phase: &Phase<'a>,
    scheduler: Scheduler,
    crew: &Crew<'_>,
) -> Result<Vec<Terminal<'a>>, Failure> {
    let units = phase.input.units();
    let work = |post: Post<'_>, feed: Feed<'_>| Worker::new(phase, post)?.work(feed);
    match scheduler {
        Scheduler::Pull => {
            let next = AtomicU64::new(0);
            let feeds = (0..crew.threads()).map(|_| Feed::Shared { next: &next, end: units }).collect();
            crew.run(feeds, work)
        }
        Scheduler::RoundRobin => {
            let turns = Turns::new(crew.threads(), 0..units);
            crew.run(turns.lanes().into_iter().map(Feed::InTurn).collect(), work)
        }
    }
}

struct Worker<'p, 'a> {
    phase: &'p Phase<'a>,
    post: Post<'p>,
    terminal: Terminal<'a>,
    // Passed to call after call: they keep their memory.
    batch: Buffer,
    output: Buffer,
}

impl<'p, 'a> Worker<'p, 'a> {
    fn new(phase: &'p Phase<'a>, post: Post<'p>) -> Result<Self, WorkloadError> {
        let (batch, output) = (phase.workload.buffer(), phase.workload.buffer());
        Ok(Self { phase, post, terminal: phase.terminal()?, batch, output })
    }

    fn work(mut self, feed: Feed<'_>) -> Result<Terminal<'a>, WorkloadError> {
        for unit in feed {
            if self.post.halt.is_stopped() {
                break;
            }
            match &self.phase.input {
                Input::Slices(slices) => self.slice(slices.slice(unit))?,
                Input::Partitions(partitions) => self.partition(partitions, unit)?,
            }
        }
        Ok(self.terminal)
    }

    fn slice(&mut self, (first, count): (u64, u64)) -> Result<(), WorkloadError> {
        self.phase.workload.source(first, count, self.phase.end, &mut self.batch)?;
        self.post.tally.add(count);
        self.terminal.fold(&self.batch)
    }

    fn partition(&mut self, partitions: &Partitions, number: u64) -> Result<(), WorkloadError> {
        let mut state = partitions.merged(number)?;
        let Phase { workload, from, end, batch_size, .. } = *self.phase;
        while !self.post.halt.is_stopped() {
            state.emit(batch_size, &mut self.batch)?;
            if self.batch.item_count() == 0 {
                break;
            }
            if from == end {
                self.terminal.fold(&self.batch)?;
            } else {
                workload.run_stages(from, end, &self.batch, &mut self.output)?;
                self.terminal.fold(&self.output)?;
            }
        }
        Ok(())
    }
}
