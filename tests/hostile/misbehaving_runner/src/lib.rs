//! A backend that does what it is told to in `extra.behaviour`, or in an environment variable where there is no spec
//! yet: `CROSSRUN_TEST_LOAD` when it is opened as a library, `CROSSRUN_TEST_PROBE` when it is asked whether it could
//! start. Several words joined by `+` are done one after the other.

mod afterwards;
mod claims;
mod clock;
mod graph;
mod harm;
mod library;
mod serial;
#[path = "../../../../host/src/worker/cheating_backend/shortcut.rs"]
mod shortcut;

use std::path::Path;

use plugin_api::{
    Availability, ErrorKind, Parameter, RunContext, RunResult, RunnerError, Session, SetupContext,
    SetupRequest, WorkloadRunner, WorkloadSpec, monotonic_nanos,
};

plugin_api::export_runner!(name = "misbehaving", runner = Misbehaving::default());

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

extern "C" fn constructor() {
    if let Ok(behaviour) = std::env::var("CROSSRUN_TEST_LOAD") {
        harm::do_all(&behaviour);
    }
}

/// The file that the set-up writes into the data folder.
const MARKER: &str = "misbehaving.installed";

#[derive(Default)]
struct Misbehaving {
    at_close: Option<String>,
}

impl WorkloadRunner for Misbehaving {
    fn backend_name(&self) -> &str {
        if std::env::var_os("CROSSRUN_TEST_OTHER_NAME").is_some() { "another" } else { "misbehaving" }
    }

    fn is_available(&self) -> Availability {
        let Ok(behaviour) = std::env::var("CROSSRUN_TEST_PROBE") else { return Availability::Available };
        if behaviour == "unavailable" {
            return Availability::Unavailable {
                reason: "it is not in the mood".into(),
                remedy: "crossrun setup misbehaving".into(),
            };
        }
        if behaviour == "write_data" {
            plugin_api::data_dir().into_iter().for_each(|folder| write_data(&folder));
        }
        if behaviour == "not_set_up" {
            let marker = plugin_api::data_dir().map(|folder| folder.join(MARKER));
            if marker.is_some_and(|marker| marker.exists()) {
                return Availability::Available;
            }
            return Availability::Unavailable { reason: "it is not installed".into(), remedy: String::new() };
        }
        if behaviour == "unavailable_in_colour" {
            return Availability::Unavailable {
                reason: format!("it is {}", harm::IN_COLOUR),
                remedy: harm::IN_COLOUR.into(),
            };
        }
        harm::do_all(&behaviour);
        Availability::Available
    }

    fn options(&self) -> Vec<Parameter> {
        let behaviour = Parameter::text("behaviour", "what it does", "none");
        let phase = Parameter::choice("at", "when it does it", &["run", "open", "prepare", "close"]);
        // It joins none: what it says of itself is all that the host knows.
        vec![behaviour, phase, Parameter::text("cluster_address", "a cluster that it joins", "none")]
    }

    fn supports(&self) -> Vec<String> {
        vec![plugin_api::workload::GRAPH.into()]
    }

    fn open(&mut self, session: &Session) -> Result<(), RunnerError> {
        let option = |name| session.options.get(name).and_then(|value| value.as_str());
        let behaviour = option("behaviour").unwrap_or_default();
        refuse_spec("open")?;
        match option("at") {
            Some("open") => {
                if behaviour == "write_data_and_fail" {
                    write_data(&session.data_dir);
                }
                fallible(behaviour)
            }
            Some("close") => {
                self.at_close = Some(behaviour.into());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn prepare(&mut self, spec: &WorkloadSpec, _context: &RunContext) -> Result<(), RunnerError> {
        let option = |name| spec.extra.get(name).and_then(|value| value.as_str());
        let behaviour = option("behaviour").filter(|_| option("at") == Some("prepare"));
        refuse_spec("prepare")?;
        fallible(behaviour.unwrap_or_default())
    }

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        let at_run = spec.extra.get("at").is_none_or(|phase| phase == "run");
        let behaviour = spec.extra.get("behaviour").and_then(|value| value.as_str()).filter(|_| at_run);
        let behaviour = behaviour.unwrap_or_default();
        refuse_spec("run")?;
        match behaviour {
            // The thread strikes when the answer is out, while the host waits for the engine to stop.
            "crash_later" => self.at_close = Some("crash_in_thread+sleep".into()),
            "shortcut" => {
                let started = std::time::Instant::now();
                let (count, state) = shortcut::answer(spec, context.workload())?;
                let elapsed = started.elapsed().as_secs_f64();
                return Ok(RunResult::new("misbehaving", spec, elapsed, count, state));
            }
            "slow_clock" => {
                clock::slow_down();
                std::thread::sleep(std::time::Duration::from_secs(8));
            }
            "flood_with_progress" => flood_with_progress(context),
            "ask_oracle" => drop(context.workload().expected()?),
            "late_start" => start(context, monotonic_nanos())?,
            "same_start" => start(context, spec.start_nanos.unwrap_or_default())?,
            _ => fallible(behaviour)?,
        }
        if behaviour == "memoise" {
            return claims::memoised(spec, || serial::run(spec, context, None));
        }
        if graph::is_granted(spec, context) && behaviour != "stages" {
            return graph::run(spec, context, behaviour);
        }
        let honest = serial::run(spec, context, claims::tamper(behaviour))?;
        match behaviour {
            "ask_judge" => drop(context.workload().outcome(&honest.sink_state)?),
            "work_afterwards" => afterwards::work(),
            "spoil_library" => library::spoil(context.workload().library_path()),
            "write_data" => write_data(context.data_dir()),
            _ => {}
        }
        Ok(claims::lie(behaviour, honest))
    }

    fn close(&mut self) -> Result<(), RunnerError> {
        fallible(self.at_close.take().as_deref().unwrap_or_default())
    }

    fn setup(&mut self, request: &SetupRequest, context: &SetupContext) -> Result<(), RunnerError> {
        context.progress(1, 2, &format!("half way {}", harm::IN_COLOUR));
        let marker = context.data_dir().join(MARKER);
        match std::env::var("CROSSRUN_TEST_SETUP") {
            Ok(behaviour) => fallible(&behaviour),
            Err(_) if request.remove => Ok(std::fs::remove_file(marker)?),
            Err(_) => Ok(std::fs::write(marker, "")?),
        }
    }
}

/// Has the open loop of the run start at this time.
fn start(context: &RunContext, nanos: u64) -> Result<(), RunnerError> {
    context.workload().start(nanos)?;
    Ok(())
}

/// Adds a file to the engine of another backend.
fn write_data(data_dir: &Path) {
    let folder = data_dir.join("environments/another/lib");
    let _ = std::fs::create_dir_all(&folder);
    let _ = std::fs::write(folder.join("slow.pth"), "import time; time.sleep(9)");
}

/// Refuses any spec in the phase that an environment variable names, without an option of its own.
fn refuse_spec(phase: &str) -> Result<(), RunnerError> {
    match std::env::var("CROSSRUN_TEST_REFUSE") {
        Ok(named) if named == phase => Err(RunnerError::new(ErrorKind::InvalidSpec, "what a spec")),
        _ => Ok(()),
    }
}

fn fallible(behaviour: &str) -> Result<(), RunnerError> {
    match behaviour {
        "write_data_and_fail" => Err(RunnerError::engine("it has done its work")),
        "error" => Err(RunnerError::engine("the engine is out of order").with_remedy("restart the engine")),
        "error_in_colour" => Err(RunnerError::engine(format!("the engine is {}", harm::IN_COLOUR))
            .with_remedy(format!("paint it {}", harm::IN_COLOUR))),
        "error_of_two_lines" => {
            let line = "it broke\nverified: 999999 items \u{202e}with\u{200b}";
            log::warn!("{line}");
            Err(RunnerError::engine(line).with_remedy(line))
        }
        "huge_error" => Err(RunnerError::engine("no ".repeat(50 << 20)).with_remedy("yes ".repeat(25 << 20))),
        "wait_and_fail_once" if harm::wait_once() => {
            Err(RunnerError::engine("it was not heard from in time"))
        }
        "hang_politely" => Err(RunnerError::cancelled()),
        other => {
            harm::do_all(other);
            Ok(())
        }
    }
}

/// Reports until it is told to stop.
fn flood_with_progress(context: &RunContext) {
    for done in 0.. {
        context.progress(done, u64::MAX);
        if done % 1000 == 0 && context.cancelled() {
            break;
        }
    }
}
