//! How long a run of a check may take.

use std::time::Duration;

/// The limit before a run has ended: the engine starts its processes, and compiles.
const FIRST: Duration = Duration::from_secs(120);
/// The least limit after that, so that a busy machine fails no backend.
const LEAST: Duration = Duration::from_secs(30);
/// How many times longer than the longest run so far another one may take. The checks' runs differ less in what they do.
const TIMES: u32 = 20;

/// The time limit of runs.
pub(super) struct TimeLimit {
    /// The user's own.
    fixed: Option<Duration>,
    /// The time of the longest run that has ended.
    longest: Option<Duration>,
}

impl TimeLimit {
    pub(super) fn new(fixed: Option<Duration>) -> Self {
        Self { fixed, longest: None }
    }

    /// The limit of the next run.
    pub(super) fn next(&self) -> Duration {
        let learnt = self.longest.map(|longest| (longest * TIMES).max(LEAST));
        self.fixed.unwrap_or_else(|| learnt.map_or(FIRST, |learnt| learnt.min(FIRST)))
    }

    /// A run has ended after this time.
    pub(super) fn learn(&mut self, took: Duration) {
        self.longest = self.longest.max(Some(took));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_end_shorten_the_limit_of_the_next_but_not_the_users() {
        let (mut limit, second) = (TimeLimit::new(None), Duration::from_secs(1));
        assert_eq!(limit.next(), FIRST);
        limit.learn(second / 100);
        assert_eq!(limit.next(), LEAST);
        limit.learn(2 * second);
        limit.learn(second);
        assert_eq!(limit.next(), 40 * second);
        limit.learn(60 * second);
        assert_eq!(limit.next(), FIRST);
        let mut fixed = TimeLimit::new(Some(300 * second));
        fixed.learn(second);
        assert_eq!(fixed.next(), 300 * second);
    }
}
