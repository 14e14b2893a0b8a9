//! A runner that keeps the contract, on one thread, but for the one rule that `CROSSRUN_TEST_DEVIATION` names. Each of its
//! deviations fails a check of `crossrun backends check`.

mod serial;

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

use plugin_api::workload::GRAPH;
use plugin_api::{
    Availability, ErrorKind, Parameter, RunContext, RunResult, RunnerError, Session, WorkloadRunner,
    WorkloadSpec,
};

plugin_api::export_runner!(name = "deviant", runner = Deviant::default());

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

extern "C" fn constructor() {
    if deviates("slow_load") {
        // Longer than the busiest machine excuses, and not as long as the call may take.
        std::thread::sleep(Duration::from_secs(9));
    }
}

unsafe extern "C" {
    fn puts(text: *const std::ffi::c_char) -> i32;
}

/// Whether this is the rule that is broken.
fn deviates(name: &str) -> bool {
    std::env::var("CROSSRUN_TEST_DEVIATION").is_ok_and(|deviation| deviation == name)
}

#[derive(Default)]
struct Deviant {
    session: Option<Session>,
}

static KEPT: Mutex<Option<RunResult>> = Mutex::new(None);

impl WorkloadRunner for Deviant {
    fn backend_name(&self) -> &str {
        if deviates("name") { "another" } else { "deviant" }
    }

    fn is_available(&self) -> Availability {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let unavailable = |reason: &str| Availability::Unavailable {
            reason: reason.into(),
            remedy: "crossrun setup deviant".into(),
        };
        match ASKED.fetch_add(1, Ordering::Relaxed) {
            _ if deviates("no_reason") => unavailable(""),
            _ if deviates("not_set_up") => unavailable("deviant is not set up"),
            1.. if deviates("fickle") => unavailable("it changed its mind"),
            _ => Availability::Available,
        }
    }

    fn options(&self) -> Vec<Parameter> {
        let option = || Parameter::choice("mood", "how it feels", &["well", "ill"]);
        match () {
            () if deviates("options") => vec![option(), option()],
            () if deviates("default_outside") => {
                vec![Parameter::integer("strength", "how strong", 11, 0, 10)]
            }
            () => vec![option()],
        }
    }

    fn supports(&self) -> Vec<String> {
        if deviates("deaf_to_graphs") { vec![GRAPH.into()] } else { Vec::new() }
    }

    fn open(&mut self, session: &Session) -> Result<(), RunnerError> {
        if !["passes_over_nodes", "no_number_of_nodes"].into_iter().any(deviates) {
            session.demand_one_node("deviant")?;
        }
        let marker = session.data_dir.join("deviant.open");
        if deviates("second_session") {
            if marker.exists() {
                return Err(RunnerError::engine("somebody has opened it before"));
            }
            std::fs::write(marker, "")?;
        }
        if deviates("data") {
            let name = format!("deviant-{:?}", std::time::SystemTime::now());
            std::fs::write(session.data_dir.join(name.replace(' ', "")), "")?;
        }
        let thread = || drop(std::thread::spawn(|| std::thread::sleep(Duration::from_secs(600))));
        if deviates("thread") {
            thread();
        }
        // Not a deviation: the runtime of a language starts its threads once, and never ends them.
        static RUNTIME: Once = Once::new();
        if deviates("runtime_thread") {
            RUNTIME.call_once(thread);
        }
        // Nor does one start them all at once that starts a thread when all others wait.
        static STARTED: AtomicU32 = AtomicU32::new(0);
        if deviates("growing_runtime") && STARTED.fetch_add(1, Ordering::Relaxed) < 3 {
            thread();
        }
        // Not a deviation either: an engine may have its temporary files elsewhere, beside those of others.
        if deviates("other_temporary_folder") {
            // SAFETY: no other thread of this plugin reads the environment.
            unsafe { std::env::set_var("TMPDIR", "/") };
        }
        self.session = Some(session.clone());
        Ok(())
    }

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        let started = Instant::now();
        refuse(spec)?;
        if deviates("stdout") {
            println!("{} items to go", spec.total_items);
        }
        if deviates("buffered_stdout") {
            // SAFETY: text that ends with a NUL. The C library writes it when its buffer is full, or when the process exits.
            unsafe { puts(c"items in a buffer".as_ptr()) };
        }
        while deviates("deadlock") {
            std::thread::sleep(Duration::from_secs(600));
        }
        // It would run the tasks here, and does not ask meanwhile whether to stop.
        while deviates("deaf_to_graphs") && spec.is_granted(GRAPH) {
            std::thread::sleep(Duration::from_secs(600));
        }
        if deviates("reference") {
            std::mem::forget(context.workload().clone());
        }
        if deviates("file") {
            std::fs::write(std::env::temp_dir().join("litter"), "")?;
        }
        if deviates("process") {
            Command::new("sh").args(["-c", "setsid sleep 600 & exit 0"]).status()?;
        }
        let (count, state) = serial::run(spec, context).map_err(other_kind)?;
        let mut elapsed = started.elapsed().as_secs_f64();
        if deviates("clock") {
            elapsed /= 10.0;
        }
        let mut result = RunResult::new("deviant", spec, elapsed, count, state);
        if !deviates("claims_any_scheduler") {
            result = result.with_scheduler("default", spec);
        }
        if deviates("no_number_of_nodes") {
            result = result.with_metric("nodes", "all");
        }
        if deviates("kept_answer") {
            return Ok(KEPT.lock().unwrap().get_or_insert(result).clone());
        }
        Ok(result)
    }

    fn close(&mut self) -> Result<(), RunnerError> {
        if deviates("close") {
            return Err(RunnerError::engine("it does not stop"));
        }
        Ok(())
    }
}

/// Refuses what cannot be; what is refused beside that is a deviation.
fn refuse(spec: &WorkloadSpec) -> Result<(), RunnerError> {
    let no = |why: &str| Err(RunnerError::engine(why));
    let extra = |key: &str| spec.extra.get(key);
    if !deviates("takes_any_batch_size") {
        spec.batch_size()?;
    }
    if !deviates("takes_any_fusion") {
        spec.fusion()?;
    }
    if deviates("nothing") && spec.total_items == 0 {
        return no("nothing comes out of nothing");
    }
    if deviates("large_batch") && spec.batch_size()? > spec.total_items {
        return no("the batch is not full");
    }
    if deviates("unfused") && extra("fusion").is_some_and(|fusion| fusion == "off") {
        return no("it is always fused");
    }
    if deviates("many_workers") && u64::from(spec.parallelism) > spec.total_items {
        return no("a worker has nothing to do");
    }
    if deviates("unknown_option") && spec.extra.contains_key("of_a_later_version") {
        return no("what is this");
    }
    if deviates("unknown_scheduler") && spec.scheduler_name != "default" {
        return no("who is this");
    }
    if deviates("scheduler_is_unsupported") && spec.scheduler_name != "default" {
        return Err(RunnerError::new(ErrorKind::Unsupported, "there is no such scheduler"));
    }
    Ok(())
}

/// A failure of the workload that is told as one of the engine.
fn other_kind(error: RunnerError) -> RunnerError {
    let panicked = error.message.contains("panicked");
    let deviation = if panicked { "panic_is_of_engine" } else { "error_is_of_engine" };
    if deviates(deviation) && error.kind == ErrorKind::Workload {
        return RunnerError::engine(error.message);
    }
    error
}
