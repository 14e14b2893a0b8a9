//! The table of checks.

use super::finding::CheckResult;
use super::fixture::Fixture;
use super::target::Target;
use super::{file, library, loading, runs, sessions, specs};

/// One thing that is demanded of a plugin.
#[derive(Debug)]
pub struct Check {
    /// Its name, which does not change.
    pub id: &'static str,
    /// What is demanded.
    pub demands: &'static str,
    /// The section of plugin-api's `ABI.md` in which the rule stands.
    pub section: &'static str,
    /// What to do if it fails.
    pub remedy: &'static str,
    pub(super) of: Of,
    pub(super) needs: Needs,
    /// Makes it; gives what is worth saying if it passed.
    pub(super) run: fn(&mut Fixture) -> CheckResult,
}

/// Of which plugins it is demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// Of all.
    Both,
    /// Of backends.
    Runner,
    /// Of libraries of workloads.
    Workloads,
}

/// What must be there for a check to be made, each with all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Needs {
    /// A file.
    File,
    /// A plugin.
    Plugin,
    /// A plugin that can be loaded.
    Loaded,
    /// A backend whose engine is available.
    Engine,
}

impl Check {
    /// Where the rule stands, from the repository's top.
    pub fn rule(&self) -> String {
        format!("plugin-api/ABI.md#{}", self.section.to_lowercase().replace(' ', "-"))
    }

    /// Whether it is for this kind of plugin. A file that is none is what its first checks say.
    pub(super) fn concerns(&self, target: &Target) -> bool {
        match self.of {
            Of::Both => true,
            Of::Runner => target.is_backend() == Some(true),
            Of::Workloads => target.is_backend() == Some(false),
        }
    }

    /// Of which plugins it is demanded.
    pub fn of(&self) -> &'static str {
        match self.of {
            Of::Both => "all",
            Of::Runner => "backends",
            Of::Workloads => "workloads",
        }
    }
}

/// All checks, in the order in which they are made.
pub const CHECKS: &[Check] = &[
    Check {
        id: "file.metadata",
        demands: "the file is a plugin for this machine and this host, and its metadata is whole",
        section: "Metadata",
        remedy: "build it with export_runner! or export_workloads! of plugin-api, or with the header; crossrun backends inspect FILE tells what is wrong",
        of: Of::Both,
        needs: Needs::File,
        run: file::metadata,
    },
    Check {
        id: "file.release",
        demands: "it is optimised, and built without debug assertions",
        section: "Metadata",
        remedy: "cargo build --release",
        of: Of::Both,
        needs: Needs::Plugin,
        run: file::release,
    },
    Check {
        id: "load.opens",
        demands: "it opens with every symbol resolved at once, and makes what it exports",
        section: "Loading a runner",
        remedy: "link what is missing; ldd -r FILE names it",
        of: Of::Both,
        needs: Needs::Plugin,
        run: loading::opens,
    },
    Check {
        id: "load.abi",
        demands: "the host can call it: the layout of its types fits one way or the other, or its C ABI has the host's major version",
        section: "Loading a runner",
        remedy: "rebuild it against the plugin-api of this host, and leave the layout in its header",
        of: Of::Both,
        needs: Needs::Plugin,
        run: loading::abi,
    },
    Check {
        id: "load.time",
        demands: "it is loaded within two seconds",
        section: "Loading a runner",
        remedy: "do in open what takes long, not in a constructor or in create",
        of: Of::Both,
        needs: Needs::Loaded,
        run: loading::time,
    },
    Check {
        id: "load.name",
        demands: "the runner has the name that stands in its metadata",
        section: "Runners",
        remedy: "return from backend_name what stands in export_runner!",
        of: Of::Runner,
        needs: Needs::Loaded,
        run: loading::name,
    },
    Check {
        id: "load.options",
        demands: "each option is declared once, with a description",
        section: "JSON",
        remedy: "declare each option once, and say what it does",
        of: Of::Runner,
        needs: Needs::Loaded,
        run: loading::options,
    },
    Check {
        id: "probe.answers",
        demands: "it says within the deadline whether it could start, and if not, why",
        section: "What the host calls",
        remedy: "start nothing in is_available, and give a reason",
        of: Of::Runner,
        needs: Needs::Loaded,
        run: loading::probe,
    },
    Check {
        id: "probe.repeats",
        demands: "it says the same again, in the same process and in another",
        section: "What the host calls",
        remedy: "let is_available depend on nothing that it changes itself",
        of: Of::Runner,
        needs: Needs::Loaded,
        run: loading::repeats,
    },
    Check {
        id: "run.workloads",
        demands: "every workload without keys is verified",
        section: "What the host calls",
        remedy: "return the merged state of all sinks when every item has reached one; crossrun run shows one run",
        of: Of::Runner,
        needs: Needs::Engine,
        run: runs::workloads,
    },
    Check {
        id: "run.keyed",
        demands: "every workload with a keyed reduction is verified, or refused as unsupported",
        section: "Running a plan",
        remedy: "split every batch, fold each partition on its owner, and emit at the end of the input",
        of: Of::Runner,
        needs: Needs::Engine,
        run: runs::keyed,
    },
    Check {
        id: "run.open_loop",
        demands: "every open loop is verified, or refused as unsupported",
        section: "Workload libraries",
        remedy: "pass the spec on as it is, so that all processes have one start",
        of: Of::Runner,
        needs: Needs::Engine,
        run: runs::open_loop,
    },
    Check {
        id: "run.sizes",
        demands: "no item, one, two and 5003 are verified",
        section: "Running a plan",
        remedy: "let slices cover all items once, and return a state of the sink for no items too",
        of: Of::Runner,
        needs: Needs::Engine,
        run: runs::sizes,
    },
    Check {
        id: "run.batches",
        demands: "batches that do not divide the items, and one that is larger than all of them, are verified",
        section: "What the host calls",
        remedy: "end the last batch at total_items",
        of: Of::Runner,
        needs: Needs::Engine,
        run: runs::batches,
    },
    Check {
        id: "run.fusion",
        demands: "with fusion=off and with auto it is verified",
        section: "What the host calls",
        remedy: "read fusion from extra: off is one task or message for each stage and batch",
        of: Of::Runner,
        needs: Needs::Engine,
        run: runs::fusion,
    },
    Check {
        id: "run.parallelism",
        demands: "one operator at once, and more than there are items, are verified",
        section: "What the host calls",
        remedy: "start no more workers than parallelism, and let those without an item end",
        of: Of::Runner,
        needs: Needs::Engine,
        run: runs::parallelism,
    },
    Check {
        id: "run.data",
        demands: "runs of one session on other data are verified",
        section: "What the host calls",
        remedy: "keep nothing of a run for the next",
        of: Of::Runner,
        needs: Needs::Engine,
        run: runs::data,
    },
    Check {
        id: "run.at_once",
        demands: "no more operators work at once than parallelism",
        section: "What the host calls",
        remedy: "let parallelism bound the calls in flight over all stages together",
        of: Of::Runner,
        needs: Needs::Engine,
        run: runs::at_once,
    },
    Check {
        id: "run.timing",
        demands: "the time that it claims is within the worker's, and not far below",
        section: "What the host calls",
        remedy: "measure all of run with a monotonic clock",
        of: Of::Runner,
        needs: Needs::Engine,
        run: runs::timing,
    },
    Check {
        id: "run.cancel",
        demands: "a run that is asked to stop ends within two seconds, as cancelled",
        section: "What a runner may use",
        remedy: "poll context.cancelled() once a batch, and return an error of kind cancelled",
        of: Of::Runner,
        needs: Needs::Engine,
        run: runs::cancel,
    },
    Check {
        id: "spec.unknown_option",
        demands: "keys of extra that it does not know are passed over",
        section: "Versions",
        remedy: "read from extra what you know, and leave the rest",
        of: Of::Runner,
        needs: Needs::Engine,
        run: specs::unknown_option,
    },
    Check {
        id: "spec.unknown_scheduler",
        demands: "a scheduler that it does not know is not taken, or refused as invalid_spec or unsupported",
        section: "Errors and panics",
        remedy: "run with the usual scheduler and say in scheduler_name what was used, or return invalid_spec",
        of: Of::Runner,
        needs: Needs::Engine,
        run: specs::unknown_scheduler,
    },
    Check {
        id: "spec.batch_size",
        demands: "a batch_size that cannot be is refused as invalid_spec",
        section: "Errors and panics",
        remedy: "read it with spec.batch_size()?",
        of: Of::Runner,
        needs: Needs::Engine,
        run: specs::batch_size,
    },
    Check {
        id: "spec.fusion",
        demands: "a fusion that cannot be is refused as invalid_spec",
        section: "Errors and panics",
        remedy: "read it with spec.fusion()?",
        of: Of::Runner,
        needs: Needs::Engine,
        run: specs::fusion,
    },
    Check {
        id: "fault.error",
        demands: "an operator that fails ends the run with an error of kind workload",
        section: "Errors and panics",
        remedy: "hand on the error of the workload's call",
        of: Of::Runner,
        needs: Needs::Engine,
        run: runs::operator_error,
    },
    Check {
        id: "fault.panic",
        demands: "an operator that panics ends the run with an error of kind workload",
        section: "Errors and panics",
        remedy: "hand on the error of the workload's call",
        of: Of::Runner,
        needs: Needs::Engine,
        run: runs::operator_panic,
    },
    Check {
        id: "session.close",
        demands: "close stops the engine within its deadline, and the worker leaves by itself with code 0",
        section: "What the host calls",
        remedy: "stop in close all that open started, and exit nothing",
        of: Of::Runner,
        needs: Needs::Engine,
        run: sessions::shuts_down,
    },
    Check {
        id: "session.twice",
        demands: "two sessions, one after the other, are verified and closed",
        section: "What the host calls",
        remedy: "leave nothing behind that a second session meets",
        of: Of::Runner,
        needs: Needs::Engine,
        run: sessions::twice,
    },
    Check {
        id: "session.nodes",
        demands: "more machines than there are are refused, or a run reports how many took part",
        section: "What the host calls",
        remedy: "refuse in open more nodes than one, as demand_one_node does, or put nodes into the metrics of each run",
        of: Of::Runner,
        needs: Needs::Engine,
        run: specs::nodes,
    },
    Check {
        id: "session.stdout",
        demands: "nothing is printed on standard output",
        section: "What a runner may use",
        remedy: "use the crate log, or standard error",
        of: Of::Runner,
        needs: Needs::Engine,
        run: sessions::prints_nothing,
    },
    Check {
        id: "session.processes",
        demands: "no process is left after close",
        section: "What a runner may use",
        remedy: "end in close whatever open or run started",
        of: Of::Runner,
        needs: Needs::Engine,
        run: sessions::leaves_no_processes,
    },
    Check {
        id: "session.threads",
        demands: "the worker has no more threads after close than before open",
        section: "What the host calls",
        remedy: "join in close the threads that open or run started",
        of: Of::Runner,
        needs: Needs::Engine,
        run: sessions::leaves_no_threads,
    },
    Check {
        id: "session.files",
        demands: "no file is left in TMPDIR after close",
        section: "What a runner may use",
        remedy: "remove temporary files in close",
        of: Of::Runner,
        needs: Needs::Engine,
        run: sessions::leaves_no_files,
    },
    Check {
        id: "session.data",
        demands: "a second session adds nothing to the data folder",
        section: "What a runner may use",
        remedy: "write what is of one session into its log folder",
        of: Of::Runner,
        needs: Needs::Engine,
        run: sessions::keeps_its_data,
    },
    Check {
        id: "library.catalogue",
        demands: "the catalogue lists what the metadata names, with plans that can be run, and all open at their defaults",
        section: "JSON",
        remedy: "export every workload with export_workloads!, and let each default be in its domain",
        of: Of::Workloads,
        needs: Needs::Loaded,
        run: library::catalogue,
    },
    Check {
        id: "library.oracle",
        demands: "a serial run comes to what the oracle says, of no item, one, 101 and 5003",
        section: "Workload libraries",
        remedy: "compare what oracle hands to the sink with what source and apply make",
        of: Of::Workloads,
        needs: Needs::Loaded,
        run: library::oracle,
    },
    Check {
        id: "library.slices",
        demands: "the answer does not depend on how items are cut into batches",
        section: "Running a plan",
        remedy: "let source depend on the index alone, and fold and merge on no order",
        of: Of::Workloads,
        needs: Needs::Loaded,
        run: library::slices,
    },
    Check {
        id: "library.repeats",
        demands: "another process comes to the same",
        section: "Workload libraries",
        remedy: "draw everything from the spec: no clock, no address, no order of a hash map",
        of: Of::Workloads,
        needs: Needs::Loaded,
        run: library::repeats,
    },
    Check {
        id: "library.refuses",
        demands: "an unknown workload, and parameters of another type, are refused as invalid",
        section: "Functions",
        remedy: "return SPEC, with what the parameter may be",
        of: Of::Workloads,
        needs: Needs::Loaded,
        run: library::refuses,
    },
    Check {
        id: "library.bytes",
        demands: "bytes that are no batch or state are refused or taken: nothing crashes or panics",
        section: "Functions",
        remedy: "check lengths before reading an item or a state, and return an error",
        of: Of::Workloads,
        needs: Needs::Loaded,
        run: library::bytes,
    },
    Check {
        id: "library.backends",
        demands: "the backends that are found come to what the oracle says",
        section: "Workload libraries",
        remedy: "see library.oracle, library.slices and library.repeats first",
        of: Of::Workloads,
        needs: Needs::Loaded,
        run: library::backends,
    },
];
