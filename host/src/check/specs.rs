//! Specs that are odd, or cannot be.

use plugin_api::{ErrorKind, WorkloadSpec};
use serde_json::{Value, json};

use super::Trouble;
use super::bench::Bench;
use super::runs::expected_error;
use crate::plan::defaults::NULL;
use crate::worker::protocol::LibraryFile;

fn plain(extra: &[(&str, Value)]) -> WorkloadSpec {
    let mut spec = WorkloadSpec { total_items: 20, ..WorkloadSpec::new(NULL) };
    spec.extra.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    spec
}

/// What nobody knows in `extra` is passed over.
pub(super) fn unknown_option(bench: &mut Bench) -> Result<String, Trouble> {
    bench.workload_with(NULL, &[])?;
    let odd = [
        ("of_a_later_version", json!({"nested": [1, null, "two"]})),
        ("größe", json!(0.5)),
        ("", json!(false)),
    ];
    bench.run(&plain(&odd))?.verified().map_err(Trouble::Failed)?;
    Ok(String::new())
}

/// A scheduler that nobody knows is a hint that is not taken, or an error that says so.
pub(super) fn unknown_scheduler(bench: &mut Bench) -> Result<String, Trouble> {
    let library = bench.workload_with(NULL, &[])?;
    let spec = WorkloadSpec { scheduler_name: "of_nobody".into(), ..plain(&[]) };
    let mut subject = bench.subject()?;
    let ran = subject.open(&spec).map_err(Trouble::from).and_then(|()| bench.run_on(&mut subject, &spec));
    subject.dismiss();
    match ran {
        Ok(run) => run.verified().map_err(Trouble::Failed).and_then(|()| {
            let used = run.finished.scheduler_name;
            if used == spec.scheduler_name {
                return Err(Trouble::Failed(format!(
                    "it claims to have run with {used:?}, which there is not"
                )));
            }
            Ok(format!("it ran with {used:?}"))
        }),
        // The kind of the error is asked for apart.
        Err(Trouble::Failed(_)) => refused(bench, &spec, &library),
        Err(other) => Err(other),
    }
}

fn refused(bench: &mut Bench, spec: &WorkloadSpec, library: &LibraryFile) -> Result<String, Trouble> {
    let mut subject = bench.subject()?;
    let ran = subject.open(spec).and_then(|()| subject.run(spec, library));
    subject.dismiss();
    expected_error(ran.map(|_| ()), &[ErrorKind::InvalidSpec, ErrorKind::Unsupported])
}

/// More machines than there are are an error, or the run says how many took part.
pub(super) fn nodes(bench: &mut Bench) -> Result<String, Trouble> {
    const ASKED_FOR: u32 = 3;
    let library = bench.workload_with(NULL, &[])?;
    let spec = WorkloadSpec { parallelism: ASKED_FOR, ..plain(&[]) };
    let mut subject = bench.subject()?;
    let ran = subject.open_on(&spec, ASKED_FOR).and_then(|()| subject.run(&spec, &library));
    subject.dismiss();
    let (finished, _) = match ran {
        Ok(ran) => ran,
        Err(error) => {
            let kinds = [ErrorKind::Unsupported, ErrorKind::InvalidSpec, ErrorKind::Unavailable];
            return expected_error(Err(error), &kinds);
        }
    };
    match finished.metrics.get("nodes").and_then(Value::as_u64) {
        Some(nodes @ 1..) => Ok(format!("asked for {ASKED_FOR}, it says that it ran on {nodes}")),
        _ => Err(Trouble::Failed(format!(
            "it took a session of {ASKED_FOR} nodes, and does not report how many took part in a run"
        ))),
    }
}

/// A batch size that cannot be is an error.
pub(super) fn batch_size(bench: &mut Bench) -> Result<String, Trouble> {
    invalid(bench, "batch_size", &[json!(0), json!("many")])
}

/// A fusion that cannot be is an error.
pub(super) fn fusion(bench: &mut Bench) -> Result<String, Trouble> {
    invalid(bench, "fusion", &[json!("perhaps")])
}

fn invalid(bench: &mut Bench, option: &str, values: &[Value]) -> Result<String, Trouble> {
    let library = bench.workload_with(NULL, &[])?;
    for value in values {
        let spec = plain(&[(option, value.clone())]);
        let mut subject = bench.subject()?;
        let ran = subject.open(&spec).and_then(|()| subject.run(&spec, &library));
        subject.dismiss();
        let what = |why: String| format!("{option}={value}: {why}");
        expected_error(ran.map(|_| ()), &[ErrorKind::InvalidSpec]).map_err(|trouble| match trouble {
            Trouble::Failed(why) => Trouble::Failed(what(why)),
            other => other,
        })?;
    }
    Ok(String::new())
}
