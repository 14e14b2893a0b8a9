//! A backend that does what it is told to in `extra.behaviour`, or in an environment variable where there is no spec
//! yet: `CROSSRUN_TEST_LOAD` when it is opened as a library, `CROSSRUN_TEST_PROBE` when it is asked whether it could
//! start.

use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use plugin_api::{
    Availability, Batch, BatchBuilder, Parameter, RunContext, RunResult, RunnerError, Session, SetupContext,
    SetupRequest, WorkloadRunner, WorkloadSpec,
};

plugin_api::export_runner!(name = "misbehaving", runner = Misbehaving::default());

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

extern "C" fn constructor() {
    if let Ok(behaviour) = std::env::var("CROSSRUN_TEST_LOAD") {
        misbehave(&behaviour);
    }
}

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
        misbehave(&behaviour);
        Availability::Available
    }

    fn options(&self) -> Vec<Parameter> {
        let behaviour = Parameter::choice("behaviour", "what it does", &["none"]);
        let phase = Parameter::choice("at", "when it does it", &["run", "open", "close"]);
        vec![behaviour, phase]
    }

    fn open(&mut self, session: &Session) -> Result<(), RunnerError> {
        let option = |name| session.options.get(name).and_then(|value| value.as_str());
        let behaviour = option("behaviour").unwrap_or_default();
        match option("at") {
            Some("open") => fallible(behaviour),
            Some("close") => {
                self.at_close = Some(behaviour.into());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        let at_run = spec.extra.get("at").is_none_or(|phase| phase == "run");
        let behaviour = spec.extra.get("behaviour").and_then(|value| value.as_str()).filter(|_| at_run);
        let behaviour = behaviour.unwrap_or_default();
        fallible(behaviour)?;
        let honest = serial(spec, context, tamper(behaviour))?;
        Ok(lie(behaviour, honest))
    }

    fn close(&mut self) -> Result<(), RunnerError> {
        fallible(self.at_close.take().as_deref().unwrap_or_default())
    }

    fn setup(&mut self, request: &SetupRequest, context: &SetupContext) -> Result<(), RunnerError> {
        context.progress(1, 2, "half way");
        let marker = context.data_dir().join("misbehaving.installed");
        match std::env::var("CROSSRUN_TEST_SETUP") {
            Ok(behaviour) => fallible(&behaviour),
            Err(_) if request.remove => Ok(std::fs::remove_file(marker)?),
            Err(_) => Ok(std::fs::write(marker, "")?),
        }
    }
}

fn fallible(behaviour: &str) -> Result<(), RunnerError> {
    match behaviour {
        "error" => Err(RunnerError::engine("the engine is out of order").with_remedy("kick it")),
        "hang_politely" => Err(RunnerError::cancelled()),
        other => {
            misbehave(other);
            Ok(())
        }
    }
}

/// What hurts a process.
fn misbehave(behaviour: &str) {
    match behaviour {
        "segfault" => {
            // SAFETY: none: this is the crash that the host must survive.
            unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) }
        }
        "abort" => std::process::abort(),
        "exit" => std::process::exit(7),
        "exit_in_success" => std::process::exit(0),
        "hang" => loop {
            std::thread::sleep(Duration::from_secs(3600));
        },
        "panic" => panic!("this backend panics on request"),
        "panic_in_thread" => {
            let _ = std::thread::spawn(|| panic!("a thread of this backend panics")).join();
        }
        "grandchild" => grandchild(),
        "grandchild_and_crash" => {
            grandchild();
            std::process::abort();
        }
        "grandchild_and_hang" => {
            grandchild();
            misbehave("hang");
        }
        "print" => {
            println!("{{\"type\":\"done\"}} rubbish on standard output");
            eprintln!("rubbish on standard error \u{1b}[31m");
            log::warn!("a warning of the backend");
        }
        _ => {}
    }
}

/// A process that leaves the session and the group of its parent, and sleeps for ten minutes under a name by which the
/// tests find it.
fn grandchild() {
    let name = std::env::var("CROSSRUN_TEST_GRANDCHILD").unwrap_or_else(|_| "600".into());
    let script = format!("setsid sleep {name} & exit 0");
    let _ = Command::new("sh").arg("-c").arg(script).status();
}

/// How the items that reach the sink are changed: the item at number 1 of the first batch.
type Tamper = fn(&mut Vec<Vec<u8>>);

fn tamper(behaviour: &str) -> Option<Tamper> {
    match behaviour {
        "drop" => Some(|items| {
            items.pop();
        }),
        "duplicate" => Some(|items| items.extend(items.last().cloned())),
        "change" => Some(|items| {
            if let Some(byte) = items.last_mut().and_then(|item| item.last_mut()) {
                *byte ^= 1;
            }
        }),
        // The count stays right.
        "replace" => Some(|items| {
            if let (Some(first), Some(last)) = (items.first().cloned(), items.last_mut()) {
                *last = first;
            }
        }),
        _ => None,
    }
}

static CACHE: Mutex<Option<RunResult>> = Mutex::new(None);

/// Claims that are not true.
fn lie(behaviour: &str, honest: RunResult) -> RunResult {
    match behaviour {
        "claim_more_time" => RunResult { elapsed_time: honest.elapsed_time + 3600.0, ..honest },
        "claim_no_number" => RunResult { elapsed_time: f64::NAN, ..honest },
        "claim_more_results" => RunResult { results_count: honest.results_count + 1, ..honest },
        "claim_another_name" => RunResult { backend: "native".into(), ..honest },
        "rubbish_state" => RunResult { sink_state: b"rubbish".to_vec(), ..honest },
        "empty_state" => RunResult { sink_state: Vec::new(), ..honest },
        "cached" => CACHE.lock().unwrap().get_or_insert(honest).clone(),
        _ => honest,
    }
}

/// An honest serial run, but for what `tamper` does to the last batch before the sink. Linear plans without a keyed
/// reduction only.
fn serial(
    spec: &WorkloadSpec,
    context: &RunContext,
    tamper: Option<Tamper>,
) -> Result<RunResult, RunnerError> {
    let started = std::time::Instant::now();
    let workload = context.workload();
    let (mut sink, mut out) = (workload.new_sink()?, workload.buffer());
    workload.source(0, spec.total_items, workload.plan().sink(), &mut out)?;
    let mut items: Vec<Vec<u8>> = Batch::parse(&out)?.iter().map(<[u8]>::to_vec).collect();
    if let Some(tamper) = tamper {
        tamper(&mut items);
    }
    let batch: BatchBuilder = items.iter().map(Vec::as_slice).collect();
    let mut encoded = Vec::new();
    batch.encode(&mut encoded)?;
    sink.fold(&encoded)?;
    let state = sink.encode()?.to_vec();
    let elapsed = started.elapsed().as_secs_f64();
    Ok(RunResult::new("misbehaving", spec, elapsed, items.len() as u64, state))
}
