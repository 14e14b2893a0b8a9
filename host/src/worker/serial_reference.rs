//! Runs a sample of a workload serially, with nothing but its library at work, and so knows how much CPU time the work takes.
//!
//! The sample takes a cheap path: the largest slices that are of use, all stages of a chain in one call, one state for each
//! reduction, no partitions, no scheduling. No backend can do work without a keyed reduction in less. A backend that partitions
//! before it reduces can do a keyed reduction in less: so only a part of it counts in what the work takes at least ([`IN_CACHE`]).
//!
//! What a second reduction gets is not proportional to the input that was sampled: in a task graph it would be the tasks of which
//! some inputs are in the sample. So a plan with more than one reduction is run as a whole, where what has ended is not closed
//! (`closing_reference`).

use std::time::Duration;

use plugin_api::{Plan, StageKind, WorkloadError, WorkloadHandle};

use super::reference::on_core;
use super::serial_path::{SerialPath, cpu_time};
use crate::sandbox::affinity::{cores, some_of};
use crate::worker::protocol::SerialSample;

/// A slice should take at least this long, so that reading the clock, which takes half a microsecond, is a thousandth of it.
pub(super) const SLICE: Duration = Duration::from_micros(500);
/// One that takes less than this factor longer is timed twice: it may have been long by chance, as by an interrupt.
const TIMED_TWICE: f64 = 10.0;
/// The most items of a call, of which a slice has as many as it needs, unless calls of as many as a batch of the run has are cheaper: for
/// most workloads more make no call cheaper, and no longer fit into the caches. It has fewer where these are a slice that is long enough,
/// and items are cheaper then.
const MAX_CALL: u64 = 1024;
/// A slice is at least as long as a batch of a run, as a call may cost something itself, which so many items share. But where a shorter one
/// takes so long, it is only made longer as long as that makes an item cheaper by this factor or less.
const LONG_SLICE: f64 = 0.05;
const CHEAPER: f64 = 0.97;
/// A sample has at least this many slices, where there are so many items, unless a batch is a larger part: they show how much the items
/// differ.
const MIN_SLICES: u64 = 16;
/// And of items that take very long, at least this many.
pub(super) const FEWEST_SLICES: u64 = 3;
/// The sample may take this factor longer than asked for.
pub(super) const LONGER: f64 = 2.0;
/// A core has a turn of at least so many seconds, so that on a machine with many cores not all have one: one that was idle needs some
/// milliseconds to reach its full speed, and its caches are empty.
const TURN: f64 = 0.01;
/// If the standard errors are more than this part of the work, as items of very different length make them, a sample bounds little,
/// and another one is taken that is longer by the next factor.
const LARGE_ERROR: f64 = 0.1;
pub(super) const MUCH_LONGER: f64 = 10.0;
/// The whole input is run at most so many times.
pub(super) const MAX_PASSES: usize = 8;
/// How many standard errors the work may take less than the sample says.
const STANDARD_ERRORS: f64 = 3.0;
/// The part of a keyed reduction, from the fold to what it emits, in what the work takes at least. The state of the sample has all keys,
/// and may not fit into a cache. An engine may split all batches into partitions first, and then fold, emit and free one partition
/// after the other, each of which fits into a cache. With 64 of them all of the work took 0.51 (`group` with 100 000 groups) and 0.53
/// (`word_count` with as many keys) of the reference. With a third such runs used 0.86 to 1.02 of the least CPU time, and a row is in
/// doubt below 0.9.
const IN_CACHE: f64 = 0.2;

/// What a core runs of a sample: the first item and the number of items of each slice.
pub(super) type Turn<'s> = (usize, &'s [(u64, u64)]);

/// Runs about `duration` of the workload in all, on one core after the other.
pub(super) fn sample(workload: &WorkloadHandle, duration: Duration) -> Result<SerialSample, WorkloadError> {
    let items = workload.spec().total_items;
    if items == 0 {
        return Ok(SerialSample::default());
    }
    let Cut { size, seconds, call } = cut(workload, items)?;
    let (all, cores, duration) = (items.div_ceil(size), cores(), duration.as_secs_f64());
    let affordable = |duration: f64| (duration / seconds.max(1e-9)) as u64;
    let is_whole = affordable(duration).max(FEWEST_SLICES) >= all;
    let (passes, cores) = if is_whole || reductions(workload.plan()) > 1 {
        let slices: Vec<_> =
            (0..all).map(|number| (number * size, size.min(items - number * size))).collect();
        // One core after the other runs all of them. There may be more cores than passes.
        let cores = some_of(&cores, MAX_PASSES);
        let turns = |number: usize| vec![(cores[number % cores.len()], slices.as_slice())];
        (passes(workload, Calls { most: call, closes: None }, duration, turns)?, cores)
    } else {
        let part = |duration: f64| {
            let slices = spread(items, size, affordable(duration).max(FEWEST_SLICES).min(all));
            part_of_input(workload, call, &slices, &cores_for(duration), duration)
        };
        let short = part(duration)?;
        let differ = STANDARD_ERRORS * short.standard_error(items) > LARGE_ERROR * short.seconds(items);
        let duration = if differ { MUCH_LONGER * duration } else { duration };
        (vec![if differ { part(duration)? } else { short }], cores_for(duration))
    };
    Ok(summary(&passes, items, cores.len().min(passes.len().max(passes[0].slices.len()))))
}

/// The cores that have a turn in a sample of so many seconds, spread over those that this process may use.
pub(super) fn cores_for(seconds: f64) -> Vec<usize> {
    some_of(&cores(), (seconds / TURN) as usize)
}

/// Whether a sample takes no longer than the whole input may: `seconds`. It is the whole input where there are several reductions.
pub(super) fn is_affordable(workload: &WorkloadHandle, seconds: f64) -> Result<bool, WorkloadError> {
    let items = workload.spec().total_items;
    if items == 0 || reductions(workload.plan()) <= 1 {
        return Ok(true);
    }
    let Cut { size, seconds: of_slice, .. } = cut(workload, items)?;
    Ok(items.div_ceil(size) as f64 * of_slice <= seconds)
}

fn reductions(plan: &Plan) -> usize {
    plan.stages.iter().filter(|stage| stage.kind == StageKind::KeyedReduce).count()
}

/// Runs slices for about so many seconds, each core its own.
fn part_of_input(
    workload: &WorkloadHandle,
    call: u64,
    slices: &[(u64, u64)],
    cores: &[usize],
    seconds: f64,
) -> Result<Pass, WorkloadError> {
    let each = slices.len().div_ceil(cores.len());
    let turns: Vec<Turn<'_>> = cores.iter().copied().zip(slices.chunks(each)).collect();
    // The slice by which their number was chosen may have been an easy one.
    pass(workload, Calls { most: call, closes: None }, &turns, LONGER * seconds / turns.len() as f64)
}

/// Goes through the turns of each pass as often as `seconds` allow, but at least once.
pub(super) fn passes<'s>(
    workload: &WorkloadHandle,
    calls: Calls,
    seconds: f64,
    turns: impl Fn(usize) -> Vec<Turn<'s>>,
) -> Result<Vec<Pass>, WorkloadError> {
    let (mut passes, mut taken) = (Vec::new(), 0.0);
    while passes.len() < MAX_PASSES {
        let pass = pass(workload, calls, &turns(passes.len()), f64::INFINITY)?;
        taken += pass.taken();
        passes.push(pass);
        let next = taken / passes.len() as f64;
        if taken + next > seconds {
            break;
        }
    }
    Ok(passes)
}

/// How slices are taken to the first reduction or sink.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calls {
    /// The most items of a call.
    pub(super) most: u64,
    /// After how many items, and at the end of a slice, reductions give what has ended; `None` if they do not.
    pub(super) closes: Option<u64>,
}

/// How an input is cut into slices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// The number of items of a slice.
    pub(super) size: u64,
    /// The CPU seconds that a slice takes.
    pub(super) seconds: f64,
    /// The most items of a call.
    pub(super) call: u64,
}

/// Cuts the input into slices that are long enough.
pub(super) fn cut(workload: &WorkloadHandle, items: u64) -> Result<Cut, WorkloadError> {
    let (sizes, enough) = (Sizes::of(items, batch_size(workload)), SLICE.as_secs_f64());
    let mut path = TimedPath::new(workload, Calls { most: sizes.call, closes: None })?;
    let (mut size, mut before, mut short) = (1, f64::INFINITY, None);
    // The first call loads code and data into the caches.
    path.time(size)?;
    let seconds = loop {
        let mut seconds = path.time(size)?;
        if (enough..TIMED_TWICE * enough).contains(&seconds) {
            seconds = seconds.min(path.time(size)?);
        }
        let of_item = seconds / size as f64;
        if seconds >= enough && short.is_none() {
            short = Some(path.in_short_calls(size, of_item)?);
        }
        let has_call = size >= sizes.least || (seconds >= LONG_SLICE && of_item > CHEAPER * before);
        if size == sizes.most || (seconds >= enough && has_call) {
            break seconds;
        }
        (size, before) = (sizes.after(size), of_item);
    };
    // A backend may also hand fewer items to a call than a batch may have, as where these fit into the caches.
    let Some((of_item, call)) = short.filter(|(_, call)| *call < size.min(sizes.call)) else {
        return Ok(Cut { size, seconds, call: sizes.call });
    };
    // The first of the long calls also got the memory for so many items.
    let (by_long, by_short) = (seconds.min(path.time(size)?), of_item * size as f64);
    let call = if by_short < by_long { call } else { sizes.call };
    Ok(Cut { size, seconds: by_long.min(by_short), call })
}

/// How many items a batch of a run has at most.
fn batch_size(workload: &WorkloadHandle) -> u64 {
    workload.spec().batch_size().unwrap_or(1)
}

/// The most items of a call that are worth trying.
pub(super) fn long_call(workload: &WorkloadHandle) -> u64 {
    MAX_CALL.max(batch_size(workload))
}

/// The numbers of items that a slice may have: those of a part of a call, or of whole calls.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// As many as a batch of a run has.
    least: u64,
    /// Those of a call.
    call: u64,
    most: u64,
}

impl Sizes {
    fn of(items: u64, batch_size: u64) -> Self {
        let (call, least) = (MAX_CALL.max(batch_size), batch_size.min(items));
        let part = items / MIN_SLICES;
        // A short call at the end would share what a call costs among fewer items than a run does.
        let part = if part > call { part - part % call } else { part };
        Self { least, call, most: part.max(least).max(1) }
    }

    /// Twice as many, but not more than a batch has, or a call, where `size` is less: no call has more items than a batch if a slice of
    /// one batch is long enough.
    fn after(self, size: u64) -> u64 {
        let next = [self.least, self.call].into_iter().find(|next| size < *next).unwrap_or(u64::MAX);
        size.saturating_mul(2).min(next).min(self.most)
    }
}

/// `number` slices of `size` items, evenly spread over the input, in an order of which each beginning is spread too. As many as the whole
/// input has do not overlap: the last of them is shorter.
fn spread(items: u64, size: u64, number: u64) -> Vec<(u64, u64)> {
    let is_whole = number.saturating_mul(size) >= items;
    let first = |place: u64| {
        let spread = u128::from(place) * u128::from(items - size) / u128::from(number.max(2) - 1);
        if is_whole { place * size } else { spread as u64 }
    };
    // The golden ratio: each step falls into one of the largest gaps that are left.
    let near = (number as f64 * 0.618) as u64;
    let step = (near.max(1)..).find(|step| greatest_common_divisor(*step, number) == 1).unwrap_or(1);
    let slice = |first: u64| (first, size.min(items - first));
    (0..number).map(|turn| slice(first(turn * step % number))).collect()
}

fn greatest_common_divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { greatest_common_divisor(other, one % other) }
}

/// Items from source to the first reduction or sink. Where reductions close after each slice, what they give is taken to the sink too.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slice {
    pub(super) items: u64,
    pub(super) cpu_seconds: f64,
    /// CPU seconds of the source alone.
    pub(super) source_seconds: f64,
    /// CPU seconds of reductions and of the sink behind them; without a reduction those of the sink.
    pub(super) fold_seconds: f64,
}

/// One way through the input, or through a sample of it.
pub(super) struct Pass {
    pub(super) slices: Vec<Slice>,
    /// The CPU seconds from the end of the input to the sink, of a workload with reductions.
    pub(super) rest: f64,
    /// Those of the operators in it.
    pub(super) rest_operators: f64,
    pub(super) keyed: bool,
}

/// Takes slices to the first reduction or sink, each core its own for at most `limit` CPU seconds, and then what was reduced to
/// the sink.
fn pass(
    workload: &WorkloadHandle,
    calls: Calls,
    turns: &[Turn<'_>],
    limit: f64,
) -> Result<Pass, WorkloadError> {
    let mut path = TimedPath::new(workload, calls)?;
    let mut slices: Vec<Slice> = Vec::new();
    for (core, turn) in turns {
        let fewest = (FEWEST_SLICES as usize).saturating_sub(slices.len());
        slices.extend(on_core(*core, || path.turn(turn, fewest, limit))?);
    }
    let none: &[(u64, u64)] = &[];
    let (core, turn) = turns.first().map_or((0, none), |(core, turn)| (*core, *turn));
    let (rest, rest_operators) = on_core(core, || {
        if path.path.is_keyed() {
            path.prepare_thread(turn)?;
        }
        let before = cpu_time();
        let operators = path.finish()?;
        Ok((cpu_time() - before, operators))
    })?;
    Ok(Pass { slices, rest, rest_operators, keyed: path.path.is_keyed() })
}

/// The cheapest path of the items: one state for each reduction.
struct TimedPath<'w> {
    path: SerialPath<'w>,
    calls: Calls,
    /// How many keys a state gives at once.
    keys: u64,
}

impl<'w> TimedPath<'w> {
    fn new(workload: &'w WorkloadHandle, calls: Calls) -> Result<Self, WorkloadError> {
        Ok(Self { path: SerialPath::new(workload, 1)?, calls, keys: calls.most.max(MAX_CALL) })
    }

    /// The CPU seconds of a slice that begins with the first item.
    fn time(&mut self, items: u64) -> Result<f64, WorkloadError> {
        self.slice(0, items).map(|slice| slice.cpu_seconds + slice.source_seconds)
    }

    /// What an item takes in short calls, and how many items these have: those of the first slice that is long enough, of which one takes
    /// `of_item`, and no more than [`MAX_CALL`].
    fn in_short_calls(&mut self, size: u64, of_item: f64) -> Result<(f64, u64), WorkloadError> {
        let most = self.calls.most;
        if size.min(most) <= MAX_CALL {
            return Ok((of_item, size.min(most)));
        }
        self.calls.most = MAX_CALL;
        let seconds = self.time(size)?.min(self.time(size)?);
        self.calls.most = most;
        Ok((seconds / size as f64, MAX_CALL))
    }

    /// What reductions and sink take is timed for the first call alone, where nothing is closed: to read the clock around each would
    /// be a twentieth of a call of short items.
    fn slice(&mut self, first: u64, items: u64) -> Result<Slice, WorkloadError> {
        let Calls { most, closes } = self.calls;
        let calls = || (0..items).step_by(most as usize).map(|done| (first + done, most.min(items - done)));
        let (end, mut fold, mut timed, mut open) = (self.path.first_end(), 0.0, 0, 0);
        let after = first + items;
        let before = cpu_time();
        for (first, items) in calls() {
            self.path.make(first, items, end)?;
            let made = (closes.is_some() || timed == 0).then(cpu_time);
            self.path.fold()?;
            let (low, mut operators) = (first + items, 0.0);
            open += items;
            if closes.is_some_and(|every| open >= every || low == after) {
                operators = self.close(low)?;
                open = 0;
            }
            if let Some(made) = made {
                fold += cpu_time() - made - operators;
                timed += items;
            }
        }
        let folded = cpu_time();
        // Once more without the operators, which only a few workloads have so short that it matters.
        for (first, items) in calls() {
            self.path.make(first, items, 1)?;
        }
        let (cpu_seconds, source_seconds) = (folded - before, cpu_time() - folded);
        Ok(Slice {
            items,
            cpu_seconds,
            source_seconds,
            fold_seconds: fold * items as f64 / timed.max(1) as f64,
        })
    }

    /// Gives what has ended when all items before `low` are folded. Returns the CPU seconds of the operators on the way.
    fn close(&mut self, low: u64) -> Result<f64, WorkloadError> {
        let time = self.path.workload.watermark(low)?;
        // At the end of the input everything is emitted.
        if time == u64::MAX {
            return Ok(0.0);
        }
        let keys = self.keys;
        self.path.pass_on(|_, state, batch| state.close(time, keys, batch).map(drop))
    }

    /// Makes the first item of a turn, and drops it. A turn has a thread of its own, and so has what follows the last one. What the
    /// library prepares once in each thread is no work of the items: the threads of an engine may have done it before the run.
    fn prepare_thread(&mut self, turn: &[(u64, u64)]) -> Result<(), WorkloadError> {
        if let Some((first, _)) = turn.first() {
            let end = self.path.first_end();
            self.path.make(*first, 1, end)?;
        }
        Ok(())
    }

    /// Takes the slices of one core's turn until they have used `limit` CPU seconds, and `fewest` in any case.
    fn turn(&mut self, turn: &[(u64, u64)], fewest: usize, limit: f64) -> Result<Vec<Slice>, WorkloadError> {
        self.prepare_thread(turn)?;
        let (started, mut slices) = (cpu_time(), Vec::with_capacity(turn.len()));
        for (first, items) in turn {
            if slices.len() >= fewest && cpu_time() - started > limit {
                break;
            }
            slices.push(self.slice(*first, *items)?);
        }
        Ok(slices)
    }

    /// Takes what was reduced to the sink. Returns the CPU seconds of the operators on the way.
    fn finish(&mut self) -> Result<f64, WorkloadError> {
        let keys = self.keys;
        self.path.pass_on(|_, state, batch| state.emit(keys, batch))
    }
}

pub(super) fn summary(passes: &[Pass], items: u64, cores: usize) -> SerialSample {
    let mut seconds: Vec<_> = passes.iter().map(|pass| pass.seconds(items)).collect();
    seconds.sort_by(f64::total_cmp);
    let cheapest: Vec<_> = passes.iter().map(Pass::in_cache).collect();
    let least = cheapest.iter().map(|pass| pass.seconds(items)).fold(f64::INFINITY, f64::min);
    let error = cheapest.iter().map(|pass| pass.standard_error(items)).fold(0.0, f64::max);
    let slices = || cheapest.iter().flat_map(|pass| &pass.slices);
    let total = |of: fn(&Slice) -> f64| slices().map(of).sum::<f64>();
    let rest = |of: fn(&Pass) -> f64| cheapest.iter().map(of).sum::<f64>();
    let sampled = total(|slice| slice.cpu_seconds) + rest(|pass| pass.rest);
    let operators = total(|slice| slice.cpu_seconds - slice.source_seconds - slice.fold_seconds)
        + rest(|pass| pass.rest_operators);
    SerialSample {
        cpu_seconds: seconds[seconds.len() / 2],
        least_cpu_seconds: (least - STANDARD_ERRORS * error).max(0.0),
        operator_share: (operators / sampled.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0),
        items: slices().map(|slice| slice.items).sum(),
        slices: slices().count() as u64,
        cores: cores as u64,
        ..SerialSample::default()
    }
}

impl Pass {
    /// The CPU seconds that it took, with those that count for no work.
    pub(super) fn taken(&self) -> f64 {
        self.slices.iter().map(|slice| slice.cpu_seconds + slice.source_seconds).sum::<f64>() + self.rest
    }

    /// The same if the states of its keyed reductions fitted into a cache. Operators after a reduction count in full, and so does a sink
    /// that no reduction is before; one behind a reduction is not timed apart from it.
    pub(super) fn in_cache(&self) -> Self {
        let saved = if self.keyed { 1.0 - IN_CACHE } else { 0.0 };
        let in_cache = |slice: &Slice| {
            // It is the extrapolation of one call.
            let fold = slice.fold_seconds.min(slice.cpu_seconds);
            Slice {
                cpu_seconds: slice.cpu_seconds - saved * fold,
                fold_seconds: fold - saved * fold,
                ..*slice
            }
        };
        Self {
            slices: self.slices.iter().map(in_cache).collect(),
            rest: self.rest - saved * (self.rest - self.rest_operators),
            ..*self
        }
    }

    /// The CPU seconds of the whole input. What follows a reduction counts once, as it depends on the number of keys: a run has
    /// at least those of the sample.
    fn seconds(&self, items: u64) -> f64 {
        let (sampled, count) = sum(&self.slices);
        // A reduction allocates its keys when it first sees them, which the first slices do most.
        let later = &self.slices[if self.keyed { self.slices.len() / 2 } else { 0 }..];
        let (seconds, of) = sum(later);
        sampled + items.saturating_sub(count) as f64 * seconds / of.max(1) as f64 + self.rest
    }

    /// The standard error of that (of a ratio of means), as if the input were drawn anew: other data of the same point may have other
    /// items. None if the whole input was run, and infinite where there are too few slices to know.
    fn standard_error(&self, items: u64) -> f64 {
        let number = self.slices.len() as f64;
        let (seconds, count) = sum(&self.slices);
        // Nothing is extrapolated. A run of other data that takes less is compared with a reference of its own.
        if count >= items {
            return 0.0;
        }
        if number < FEWEST_SLICES as f64 {
            return f64::INFINITY;
        }
        let rate = seconds / count as f64;
        let deviation = |slice: &Slice| slice.cpu_seconds - rate * slice.items as f64;
        let squares: f64 = self.slices.iter().map(|slice| deviation(slice).powi(2)).sum();
        (squares * number / (number - 1.0)).sqrt() / count as f64 * items as f64
    }
}

fn sum(slices: &[Slice]) -> (f64, u64) {
    let add = |(seconds, items), slice: &Slice| (seconds + slice.cpu_seconds, items + slice.items);
    slices.iter().fold((0.0, 0), add)
}

#[cfg(test)]
mod tests;
