//! When the keys of a reduction close: a state keeps what is open, and gives out what has ended before the input has.
//!
//! Nothing is kept until the first call of `close`, so that a state which is never closed (a part that is merged elsewhere, or one
//! that emits at the end of its input) costs what it did without watermarks.

use std::collections::BTreeMap;
use std::hash::BuildHasherDefault;

use hashbrown::HashMap;

use super::error::WorkloadError;
use super::keyed::KeyHasher;

/// The word of a backend that closes what has ended by the watermark of the source, and not at the end of the input only.
pub const WATERMARKS: &str = "watermarks";

/// The end of what never ends before the input does.
pub(super) const NEVER: u64 = u64::MAX;

/// Refuses to close where the backend, or the host, has no watermarks.
///
/// # Errors
/// [`WorkloadError::Argument`] then.
pub(super) fn check_granted(is_granted: bool) -> Result<(), WorkloadError> {
    if is_granted {
        return Ok(());
    }
    Err(WorkloadError::Argument("reductions are to emit at the end: `use` has no `watermarks`".into()))
}

/// When each key of a state that was closed at some time is to be looked at again.
#[derive(Default)]
pub(super) struct Deadlines {
    /// The latest time at which the state was closed.
    closed: u64,
    /// When a key is to be looked at: at the end of its first part, or earlier. A key that never ends has no time.
    scheduled: HashMap<Box<[u8]>, u64, BuildHasherDefault<KeyHasher>>,
    /// The keys by that time. An entry that `scheduled` does not confirm is out of date.
    by_time: BTreeMap<u64, Vec<Box<[u8]>>>,
}

impl Deadlines {
    /// From now on nothing may come that ended at `time` or before.
    pub(super) fn close_at(&mut self, time: u64) {
        self.closed = self.closed.max(time);
    }

    /// Refuses what ended at `end`, if this was closed.
    ///
    /// # Errors
    /// [`WorkloadError::Operator`] when it is late.
    pub(super) fn refuse_late(&self, end: u64) -> Result<(), WorkloadError> {
        if end > self.closed {
            return Ok(());
        }
        Err(WorkloadError::Operator(format!(
            "what ended at time {end} came after the state was closed at time {}",
            self.closed
        )))
    }

    /// The first part of `key` ends at `end`.
    pub(super) fn schedule(&mut self, key: &[u8], end: u64) {
        if end == NEVER {
            return;
        }
        match self.scheduled.get_mut(key) {
            // It is looked at in time, and then again.
            Some(before) if *before <= end => return,
            Some(before) => *before = end,
            None => drop(self.scheduled.insert(key.into(), end)),
        }
        self.by_time.entry(end).or_default().push(key.into());
    }

    /// Takes a key out that is to be looked at by `time`, if there is one.
    pub(super) fn take_due(&mut self, time: u64) -> Option<Box<[u8]>> {
        while let Some(mut first) = self.by_time.first_entry().filter(|first| *first.key() <= time) {
            let at = *first.key();
            let Some(key) = first.get_mut().pop() else {
                first.remove();
                continue;
            };
            if self.scheduled.get(&key) == Some(&at) {
                self.scheduled.remove(&key);
                return Some(key);
            }
        }
        None
    }

    /// No key ends before this time.
    pub(super) fn next(&mut self) -> u64 {
        while let Some(mut first) = self.by_time.first_entry() {
            let at = *first.key();
            while let Some(key) = first.get().last() {
                if self.scheduled.get(key) == Some(&at) {
                    return at;
                }
                first.get_mut().pop();
            }
            first.remove();
        }
        NEVER
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(deadlines: &mut Deadlines, time: u64) -> Vec<u8> {
        let mut keys: Vec<_> = std::iter::from_fn(|| deadlines.take_due(time)).map(|key| key[0]).collect();
        keys.sort_unstable();
        keys
    }

    proptest! {
        #[test]
        fn each_key_is_due_once_at_its_earliest_time(
            times in prop::collection::vec((0_u8..8, 1_u64..20), 0..40), steps in prop::collection::vec(0_u64..22, 0..6)
        ) {
            let (mut deadlines, mut earliest) = (Deadlines::default(), BTreeMap::<u8, u64>::new());
            for (key, time) in &times {
                deadlines.schedule(&[*key], *time);
                let known = earliest.entry(*key).or_insert(*time);
                *known = (*known).min(*time);
            }
            for step in steps {
                prop_assert_eq!(deadlines.next(), earliest.values().copied().min().unwrap_or(NEVER));
                let due: Vec<_> = earliest.extract_if(.., |_, time| *time <= step).map(|(key, _)| key).collect();
                prop_assert_eq!(taken(&mut deadlines, step), due);
            }
            let left: Vec<_> = earliest.into_keys().collect();
            prop_assert_eq!(taken(&mut deadlines, NEVER - 1), left);
            prop_assert!(deadlines.scheduled.is_empty() && deadlines.by_time.is_empty());
        }
    }

    #[test]
    fn what_ended_by_the_time_of_closing_is_late_and_what_never_ends_is_not_kept() {
        let mut deadlines = Deadlines::default();
        deadlines.close_at(7);
        deadlines.close_at(5);
        assert!(deadlines.refuse_late(8).is_ok());
        let error = deadlines.refuse_late(7).unwrap_err();
        assert_eq!(error.to_string(), "what ended at time 7 came after the state was closed at time 7");
        deadlines.schedule(b"a", NEVER);
        assert!(deadlines.by_time.is_empty() && deadlines.next() == NEVER);
    }
}
