//! What workers may take, and how long: options, and variables of the environment for all verbs.

use std::time::Duration;

use super::{Problem, options, reproduce};
use crate::run::session::Deadlines;
use crate::sandbox::Limits;

/// How long phases may take, as `load=5s,probe=1s,open=2m,close=30s,catalogue=5s,expect=10m,judge=1m`.
const DEADLINES: &str = "CROSSRUN_DEADLINES";
const MEMORY: &str = "CROSSRUN_MEMORY_LIMIT";
const PROCESSES: &str = "CROSSRUN_PROCESS_LIMIT";
const LOG: &str = "CROSSRUN_LOG_LIMIT";

#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct LimitArguments {
    /// End a trial whose processes have more memory than this, such as 500MiB or 2GiB [default: 80 % of the machine].
    #[arg(long, value_name = "SIZE", value_parser = options::size)]
    memory_limit: Option<u64>,
    /// End a trial that has more processes than this [default: 1024].
    #[arg(long, value_name = "COUNT", value_parser = options::parallelism)]
    process_limit: Option<u32>,
    /// Keep only the end of a log that is larger than this [default: 64MiB].
    #[arg(long, value_name = "SIZE", value_parser = options::size)]
    log_limit: Option<u64>,
}

impl LimitArguments {
    pub(crate) fn apply(self, limits: &mut Limits) {
        let Self { memory_limit, process_limit, log_limit } = self;
        limits.memory_bytes = memory_limit.unwrap_or(limits.memory_bytes);
        limits.processes = process_limit.unwrap_or(limits.processes);
        limits.log_bytes = log_limit.unwrap_or(limits.log_bytes);
    }

    /// The words that say the same again.
    pub(crate) fn push(&self, words: &mut Vec<String>) {
        let Self { memory_limit, process_limit, log_limit } = self;
        let options = [
            ("memory-limit", *memory_limit),
            ("process-limit", process_limit.map(u64::from)),
            ("log-limit", *log_limit),
        ];
        for (name, value) in options {
            value.into_iter().for_each(|value| reproduce::push(words, name, value));
        }
    }
}

/// The usual limits, but for those that the environment sets.
pub(crate) fn of_environment() -> Result<Limits, Problem> {
    let mut limits = Limits::usual();
    let given = LimitArguments {
        memory_limit: variable(MEMORY, options::size)?,
        process_limit: variable(PROCESSES, options::parallelism)?,
        log_limit: variable(LOG, options::size)?,
    };
    given.apply(&mut limits);
    Ok(limits)
}

/// The usual deadlines, but for those that the environment sets.
pub(crate) fn deadlines() -> Result<Deadlines, Problem> {
    Ok(variable(DEADLINES, parse_deadlines)?.unwrap_or_default())
}

fn variable<T>(name: &str, parse: fn(&str) -> Result<T, String>) -> Result<Option<T>, Problem> {
    let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    let parsed = parse(&value.to_string_lossy());
    parsed
        .map(Some)
        .map_err(|why| Problem::usage(format!("{name}: {why}")).with_remedy(format!("unset {name}")))
}

fn parse_deadlines(text: &str) -> Result<Deadlines, String> {
    let mut deadlines = Deadlines::default();
    for part in text.split(',') {
        let (phase, time) = part.split_once('=').ok_or_else(|| format!("{part:?} is not PHASE=TIME"))?;
        let time: Duration = options::duration(time.trim())?;
        let deadline = deadlines.of_phase(phase.trim());
        *deadline.ok_or_else(|| format!("{phase:?} is no phase that has a deadline here"))? = time;
    }
    Ok(deadlines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_set_one_by_one() {
        let deadlines = parse_deadlines("load=500ms, close=2s").unwrap();
        assert_eq!(deadlines.load, Duration::from_millis(500));
        assert_eq!(deadlines.close, Duration::from_secs(2));
        assert_eq!(deadlines.open, Deadlines::default().open);
        for bad in ["", "load", "load=soon", "run=1s", "load=1s,"] {
            assert!(parse_deadlines(bad).is_err(), "{bad}");
        }
    }
}
