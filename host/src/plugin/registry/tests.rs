//! The original layer's own list of tests, with mock runners.

use std::path::Path;

use plugin_api::{Availability, RunContext, RunResult, RunnerError, WorkloadRunner, WorkloadSpec};

use super::*;

struct Mock(&'static str, Availability);

impl Mock {
    fn named(name: &'static str) -> Box<dyn WorkloadRunner> {
        Box::new(Self(name, Availability::Available))
    }
}

impl WorkloadRunner for Mock {
    fn backend_name(&self) -> &str {
        self.0
    }

    fn is_available(&self) -> Availability {
        self.1.clone()
    }

    fn run(&mut self, _: &WorkloadSpec, _: &RunContext) -> Result<RunResult, RunnerError> {
        Err(RunnerError::engine(format!("{} was dispatched to", self.0)))
    }
}

fn location(folder: usize, path: &str) -> Location {
    Location { folder, path: Path::new(path).into() }
}

type Runner = Box<dyn WorkloadRunner>;

fn other(_: &Runner, _: &Runner) -> bool {
    false
}

fn same(_: &Runner, _: &Runner) -> bool {
    true
}

fn never_asked(_: &Runner, _: &Runner) -> bool {
    panic!("items of different names are compared")
}

fn registry(names: &[&'static str]) -> Registry<Runner> {
    let mut registry = Registry::new("backend");
    for name in names {
        let registration = registry.register(name, location(0, name), Mock::named(name), never_asked);
        assert_eq!(registration, Registration::Active);
    }
    registry
}

fn name_behind(registry: &Registry<Runner>, name: &str) -> String {
    registry.get(name).unwrap().backend_name().to_owned()
}

#[test]
fn what_is_registered_is_found() {
    assert_eq!(name_behind(&registry(&["mock"]), "mock"), "mock");
}

#[test]
fn names_are_registered_in_lower_case_and_found_in_any() {
    let registry = registry(&["MoCk"]);
    assert_eq!(registry.names(), ["mock"]);
    for name in ["mock", "MOCK", "Mock"] {
        assert_eq!(name_behind(&registry, name), "MoCk");
    }
}

#[test]
fn the_listing_is_sorted_and_may_be_empty() {
    assert_eq!(registry(&["b", "c", "a"]).names(), ["a", "b", "c"]);
    assert!(registry(&[]).names().is_empty());
}

#[test]
fn dispatch_reaches_the_one_that_was_named() {
    let registry = registry(&["one", "two"]);
    assert_eq!(name_behind(&registry, "one"), "one");
    assert_eq!(name_behind(&registry, "two"), "two");
}

#[test]
fn an_unknown_name_is_told_with_what_there_is() {
    let message = registry(&["native", "other"]).get("nosuch").err().unwrap().to_string();
    assert_eq!(message, "there is no backend \"nosuch\"; there is native, other");
    let message = registry(&[]).get("x").err().unwrap().to_string();
    assert_eq!(message, "there is no backend \"x\"; none was found");
}

#[test]
fn a_name_that_is_misspelled_is_guessed() {
    let near = |name: &str| match registry(&["native", "word_count"]).get(name) {
        Err(GetError::Unknown { near, .. }) => near,
        _ => None,
    };
    assert_eq!(near("natvie"), Some("native".into()));
    assert_eq!(near("wordcount"), Some("word_count".into()));
    assert_eq!(near("spark"), None);
}

#[test]
fn one_that_is_known_but_not_available_says_why_and_what_to_do() {
    let reason = Availability::Unavailable { reason: "no engine".into(), remedy: "crossrun setup x".into() };
    let mut registry: Registry<Runner> = Registry::new("backend");
    registry.register("x", location(0, "x"), Box::new(Mock("x", reason.clone())), never_asked);
    assert_eq!(registry.get("x").unwrap().is_available(), reason);
}

#[test]
fn two_of_one_name_in_one_folder_lead_to_neither() {
    let mut registry = registry(&["mock"]);
    let registration = registry.register("MOCK", location(0, "other"), Mock::named("mock"), other);
    assert_eq!(registration, Registration::Clash { with: "mock".into() });
    let message = registry.get("mock").err().unwrap().to_string();
    assert!(message.contains("mock and other"), "{message}");
    assert!(registry.names().is_empty());
}

#[test]
fn an_earlier_folder_shadows_a_later_one_and_the_same_file_is_one() {
    let mut registry = registry(&["mock"]);
    let later = registry.register("mock", location(1, "later"), Mock::named("later"), other);
    assert_eq!(later, Registration::Shadowed { by: "mock".into(), same: false });
    let copy = registry.register("mock", location(0, "copy"), Mock::named("copy"), same);
    assert_eq!(copy, Registration::Shadowed { by: "mock".into(), same: true });
    assert_eq!(name_behind(&registry, "mock"), "mock");
}

mod end_to_end {
    //! From a name to a result, with a runner that is part of this program and a workload library without a file.

    use std::cell::RefCell;
    use std::sync::Arc;

    use plugin_api::{
        BatchBuilder, HostServices, Parameters, Plan, Progress, StageKind, Workload, WorkloadError,
    };

    use super::*;

    plugin_api::export_workloads!(name = "test_workloads", workloads = [Doubling]);

    /// The numbers below the count, doubled.
    struct Doubling(u64);

    impl Workload for Doubling {
        const NAME: &'static str = "doubling";
        const DESCRIPTION: &'static str = "doubles";

        fn open(spec: &WorkloadSpec, _: &Parameters) -> Result<Self, WorkloadError> {
            Ok(Self(spec.total_items))
        }

        fn plan(&self) -> Plan {
            Plan::new().then(StageKind::Map, "double")
        }

        fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
            out.push(&index.to_le_bytes());
            Ok(())
        }

        fn apply(&self, _: usize, item: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError> {
            let index = item.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
            let index = index.ok_or(WorkloadError::Malformed("short"))?;
            out.push(&(index * 2).to_le_bytes());
            Ok(())
        }

        fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
            (0..self.0).for_each(|index| sink(&(index * 2).to_le_bytes()));
        }
    }

    struct Serial;

    impl WorkloadRunner for Serial {
        fn backend_name(&self) -> &str {
            "serial"
        }

        fn is_available(&self) -> Availability {
            Availability::Available
        }

        fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
            let workload = context.workload();
            let (mut sink, mut batch) = (workload.new_sink()?, workload.buffer());
            workload.source(0, spec.total_items, workload.plan().sink(), &mut batch)?;
            sink.fold(&batch)?;
            Ok(RunResult::new("serial", spec, 0.5, spec.total_items, sink.encode()?.to_vec()))
        }
    }

    struct NoHost;

    impl HostServices for NoHost {
        fn log(&self, _: log::Level, _: &str, _: &str) {}
        fn progress(&self, _: Progress) {}
        fn cancelled(&self) -> bool {
            false
        }
        fn clock_nanos(&self) -> u64 {
            0
        }
    }

    #[test]
    fn from_a_name_to_a_verified_result() {
        let mut registry: Registry<RefCell<Runner>> = Registry::new("backend");
        registry.register("serial", location(0, "linked"), RefCell::new(Box::new(Serial)), |_, _| true);
        let spec = WorkloadSpec::new("doubling");
        let workload = workload_library().open(&spec).unwrap();
        let folder = || std::env::temp_dir();
        let context = RunContext::new(workload.clone(), Arc::new(NoHost), folder(), folder(), None);
        let result = registry.get("SERIAL").unwrap().borrow_mut().run(&spec, &context).unwrap();
        assert_eq!(workload.outcome(&result.sink_state).unwrap(), workload.expected().unwrap());
        assert_eq!(result.summary(), "[serial] scheduler=default results=10 elapsed=0.500s (20.0 results/s)");
    }
}
