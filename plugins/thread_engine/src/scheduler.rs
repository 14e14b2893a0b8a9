//! Which scheduler a run has.

use plugin_api::RunResult;

/// How work reaches the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// A worker that is idle takes what is next, so the load decides which worker does what.
    Pull,
    /// Each worker gets its share by number, in order.
    InOrder,
}

/// The scheduler for the name that a spec has.
#[derive(Debug)]
pub struct Choice {
    /// What runs.
    pub scheduler: Scheduler,
    /// The name under which the run is reported.
    pub name: &'static str,
    /// What the user should know of it.
    pub warning: Option<String>,
}

impl Choice {
    /// The scheduler that `name` means to `backend`. A name that is unknown means the default, with a warning; so does `load_aware`.
    pub fn of(backend: &str, name: &str) -> Self {
        let known = |scheduler, name| Self { scheduler, name, warning: None };
        match name {
            "default" => known(Scheduler::Pull, "default"),
            // A record with its name would else look like one of something other than the default.
            "load_aware" => Self {
                warning: Some(format!(
                    "scheduler \"load_aware\" is the default of {backend}, where idle workers take what is next"
                )),
                ..known(Scheduler::Pull, "load_aware")
            },
            "fifo" => known(Scheduler::InOrder, "fifo"),
            _ => Self {
                warning: Some(format!("scheduler {name:?} is unknown to {backend}; it ran as \"default\"")),
                ..known(Scheduler::Pull, "default")
            },
        }
    }

    /// The same for a graph of tasks. There a task runs when its inputs are there, under every scheduler, so that a record with another name
    /// than the default would compare what does not differ.
    #[must_use]
    pub fn of_graph(self) -> Self {
        let Self { name, .. } = self;
        if name == "default" {
            return self;
        }
        let warning = format!("scheduler {name:?} has no effect on a graph of tasks; it ran as \"default\"");
        Self { scheduler: Scheduler::Pull, name: "default", warning: Some(warning) }
    }

    /// Adds to `result` how the run was scheduled, and on which machine. `in_order` says in a few words what
    /// [`Scheduler::InOrder`] is for this backend.
    pub fn report(self, in_order: &str, mut result: RunResult) -> RunResult {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let hand_out = match self.scheduler {
            Scheduler::Pull => "idle workers pull",
            Scheduler::InOrder => in_order,
        };
        result.scheduler_name = self.name.into();
        let result =
            result.with_metric("hand_out", hand_out).with_metric("cores", cores).with_metric("nodes", 1);
        match self.warning {
            Some(warning) => result.with_warning(warning),
            None => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scheduler_runs_as_the_default_and_says_so() {
        let choice = Choice::of("native", "x");
        assert_eq!((choice.scheduler, choice.name), (Scheduler::Pull, "default"));
        assert_eq!(choice.warning.unwrap(), "scheduler \"x\" is unknown to native; it ran as \"default\"");
        assert!(Choice::of("native", "fifo").warning.is_none());
    }

    #[test]
    fn a_scheduler_that_is_the_default_says_so() {
        let choice = Choice::of("native", "load_aware");
        assert_eq!((choice.scheduler, choice.name), (Scheduler::Pull, "load_aware"));
        assert!(choice.warning.unwrap().starts_with("scheduler \"load_aware\" is the default of native"));
    }

    #[test]
    fn of_a_graph_every_scheduler_is_the_default_and_another_name_is_told() {
        for (name, words) in [("fifo", "no effect"), ("load_aware", "no effect"), ("x", "unknown to")] {
            let Choice { scheduler, name, warning } = Choice::of("native", name).of_graph();
            assert_eq!((scheduler, name), (Scheduler::Pull, "default"));
            assert!(warning.is_some_and(|warning| warning.contains(words)), "{words}");
        }
        assert!(Choice::of("native", "default").of_graph().warning.is_none());
    }
}
