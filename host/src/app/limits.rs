//! Limits on the resources and the time of workers: options, and environment variables for all commands.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::command_line::CommandLine;
use super::{Problem, options};
use crate::run::session::Deadlines;
use crate::sandbox::Limits;

/// The deadlines of phases, such as `load=5s,probe=1s,open=2m,run=5m,close=30s,catalogue=5s,expect=10m,judge=1m`.
const DEADLINES: &str = "CROSSRUN_DEADLINES";
const MEMORY: &str = "CROSSRUN_MEMORY_LIMIT";
const PROCESSES: &str = "CROSSRUN_PROCESS_LIMIT";
const LOG: &str = "CROSSRUN_LOG_LIMIT";
const NAMESPACES: &str = "CROSSRUN_NAMESPACES";

#[derive(clap::Args, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LimitArguments {
    /// Kill a trial whose processes use more memory than this, such as 500MiB or 2GiB [default: 80 % of what the machine or the
    /// control group has].
    #[arg(long, value_name = "SIZE", value_parser = options::size, allow_negative_numbers = true)]
    memory_limit: Option<u64>,
    /// Kill a trial that has more processes and threads than this [default: 4096, or 64 for each core if that is more].
    #[arg(long, value_name = "COUNT", value_parser = options::number, allow_negative_numbers = true)]
    process_limit: Option<u32>,
    /// Keep only the end of a log that is larger than this [default: 64MiB].
    #[arg(long, value_name = "SIZE", value_parser = options::log_size, allow_negative_numbers = true)]
    log_limit: Option<u64>,
}

impl LimitArguments {
    /// These limits, and `others` for those that are not set.
    pub(crate) fn or(self, others: Self) -> Self {
        Self {
            memory_limit: self.memory_limit.or(others.memory_limit),
            process_limit: self.process_limit.or(others.process_limit),
            log_limit: self.log_limit.or(others.log_limit),
        }
    }

    /// The limits of workers: the default for each that is not set.
    pub(crate) fn limits(self) -> Limits {
        let default = Limits::default();
        Limits {
            memory_bytes: self.memory_limit.unwrap_or(default.memory_bytes),
            processes: self.process_limit.unwrap_or(default.processes),
            log_bytes: self.log_limit.unwrap_or(default.log_bytes),
        }
    }

    /// The options, each with its value if it is set.
    fn each(self) -> [(&'static str, Option<u64>); 3] {
        [
            ("memory-limit", self.memory_limit),
            ("process-limit", self.process_limit.map(u64::from)),
            ("log-limit", self.log_limit),
        ]
    }

    /// The first option that is set.
    pub(crate) fn first_set(self) -> Option<&'static str> {
        self.each().into_iter().find_map(|(option, value)| value.map(|_| option))
    }

    /// The first option that is set to another value than the one with which the run was `begun`.
    pub(crate) fn difference(self, begun: Limits) -> Option<String> {
        let begun = [begun.memory_bytes, begun.processes.into(), begun.log_bytes];
        let mut differing = self
            .each()
            .into_iter()
            .zip(begun)
            .filter(|((_, value), begun)| value.is_some_and(|value| value != *begun));
        differing.next().map(|((option, _), _)| option.to_owned())
    }

    pub(crate) fn add_to(&self, command: &mut CommandLine) {
        for (option, value) in self.each() {
            command.options(option, value);
        }
    }
}

/// The limits that environment variables set.
pub(crate) fn of_environment() -> Result<LimitArguments, Problem> {
    Ok(LimitArguments {
        memory_limit: variable(MEMORY, options::size)?,
        process_limit: variable(PROCESSES, options::number)?,
        log_limit: variable(LOG, options::log_size)?,
    })
}

/// The deadlines that the environment sets, and the defaults of the others.
pub(crate) fn deadlines() -> Result<Deadlines, Problem> {
    Ok(variable(DEADLINES, parse_deadlines)?.unwrap_or_default())
}

/// Refuses a value of the variable that would have no effect.
pub(crate) fn check_namespaces() -> Result<(), Problem> {
    let is_known = |value: &str| match value {
        "on" | "off" => Ok(()),
        _ => Err(format!("{value:?} is neither on nor off")),
    };
    variable(NAMESPACES, is_known).map(drop)
}

/// Whether two values of a variable, of which either may be unset, have one effect on what is measured.
pub(crate) fn have_one_effect(name: &str, one: Option<&String>, other: Option<&String>) -> bool {
    let deadlines = |value: Option<&String>| {
        let deadlines = value.map_or_else(|| Ok(Deadlines::default()), |text| parse_deadlines(text));
        // Those of what is printed, and of the question whether a backend could start, are none of a measurement.
        deadlines.map(|it| Deadlines { reader: Duration::ZERO, probe: Duration::ZERO, ..it })
    };
    let is_off = |value: Option<&String>| value.is_some_and(|value| value == "off");
    match name {
        DEADLINES => deadlines(one) == deadlines(other),
        NAMESPACES => is_off(one) == is_off(other),
        _ => one == other,
    }
}

fn variable<T>(name: &str, parse: fn(&str) -> Result<T, String>) -> Result<Option<T>, Problem> {
    let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    let parsed = parse(&value.to_string_lossy());
    parsed
        .map(Some)
        .map_err(|why| Problem::usage(format!("{name}: {why}")).with_remedy(format!("unset {name}")))
}

fn parse_deadlines(text: &str) -> Result<Deadlines, String> {
    let (mut deadlines, mut given) = (Deadlines::default(), HashSet::new());
    for part in text.split(',') {
        let (phase, time) = part.split_once('=').ok_or_else(|| format!("{part:?} is not PHASE=TIME"))?;
        let time: Duration = options::duration(time.trim())?;
        let deadline = deadlines.of_phase(phase.trim());
        let phases = || Deadlines::PHASES.join(", ");
        let unknown = || format!("{phase:?} is not a phase with a deadline, which are {}", phases());
        *deadline.ok_or_else(unknown)? = time;
        if !given.insert(phase.trim()) {
            return Err(format!("{} is given twice", phase.trim()));
        }
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
        assert_eq!((deadlines.open, deadlines.run), (Deadlines::default().open, None));
        assert_eq!(parse_deadlines("run=1s").unwrap().run, Some(Duration::from_secs(1)));
        for bad in ["", "load", "load=soon", "walk=1s", "load=1s,", "load=1s, load=2s"] {
            assert!(parse_deadlines(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_have_one_effect_whatever_their_words() {
        let same = |name, one: &str, other: &str| {
            let [one, other] = [one, other].map(|value| Some(value.to_owned()).filter(|it| !it.is_empty()));
            have_one_effect(name, one.as_ref(), other.as_ref())
        };
        assert!(same(NAMESPACES, "", "on") && !same(NAMESPACES, "", "off") && !same(NAMESPACES, "off", "on"));
        assert!(
            same(DEADLINES, "", "reader=5s")
                && same(DEADLINES, "probe=1m", "")
                && same(DEADLINES, "load=60s", "load=1m, reader=5s")
        );
        assert!(!same(DEADLINES, "load=60s", "load=61s") && !same(DEADLINES, "", "run=1h"));
        assert!(same("CROSSRUN_DRIVERS", "a=/b", "a=/b") && !same("CROSSRUN_DRIVERS", "a=/b", ""));
    }

    #[test]
    fn an_unknown_phase_is_answered_with_those_that_can_be_set() {
        let why = parse_deadlines("walk=1s").unwrap_err();
        for phase in Deadlines::PHASES {
            assert!(why.contains(phase), "{why}");
            assert!(parse_deadlines(&format!("{phase}=1s")).is_ok(), "{phase}");
        }
    }
}
