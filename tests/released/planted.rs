//! Records with planted figures, made of those in `tests/fixtures/format_1`: whatever reads them prints the same on every
//! machine.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Place, repository};

/// How a trial ended.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// It took so many seconds.
    Verified(f64),
    Wrong,
    Invalid,
    Failed,
}

/// A measured trial of `backend` on `workload`, without an open loop.
pub(crate) fn trial(backend: &str, workload: &str, block: u32, end: End) -> Value {
    let mut trial = of_format_1(end);
    let record = &mut trial["record"];
    record["backend"] = backend.into();
    record["workload"] = workload.into();
    record["run_id"] = format!("planted/{workload}").into();
    record["metadata"]["block"] = block.into();
    record["metadata"]["command"] = format!("crossrun run --backend {backend} --workload {workload}").into();
    record["metadata"]["plugin"]["path"] = format!("plugins/lib{backend}_runner.so").into();
    record["metadata"]["plugin"]["sha256"] = hash(backend).into();
    record["metadata"]["warnings"] = json!([]);
    configure(record, |config| {
        config.insert("workload".into(), workload.into());
    });
    trial
}

/// The line of the fixture that ended like this.
fn of_format_1(end: End) -> Value {
    let text = std::fs::read_to_string(repository().join("tests/fixtures/format_1/trials.jsonl")).unwrap();
    let line = |number: usize| serde_json::from_str::<Value>(text.lines().nth(number).unwrap()).unwrap();
    match end {
        End::Verified(seconds) => {
            let mut trial = line(0);
            take(&mut trial, seconds);
            trial["record"]["metadata"].as_object_mut().unwrap().remove("open_loop");
            for latency in ["latency_p50", "latency_p95"] {
                trial["record"][latency] = Value::Null;
            }
            trial
        }
        End::Wrong => line(1),
        End::Invalid => {
            let mut trial = line(1);
            trial["status"] = "invalid".into();
            trial["record"]["metadata"]["error"]["kind"] = "invalid_measurement".into();
            trial
        }
        End::Failed => line(2),
    }
}

fn take(trial: &mut Value, seconds: f64) {
    let record = &mut trial["record"];
    record["duration_seconds"] = seconds.into();
    record["throughput"] = (500.0 / seconds).into();
    record["metadata"]["input_throughput"] = (1000.0 / seconds).into();
    record["metadata"]["worker_elapsed"] = seconds.into();
    record["metadata"]["host_elapsed"] = (seconds + 0.001).into();
}

/// Changes what was configured, and its hash with it.
pub(crate) fn configure(record: &mut Value, change: impl FnOnce(&mut Map<String, Value>)) {
    let config = &mut record["metadata"]["config"];
    change(config.as_object_mut().unwrap());
    record["config_hash"] = hash(&config.to_string()).into();
    record["metadata"]["extra"] = record["metadata"]["config"]["extra"].clone();
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A trial in an open loop, the items of which took `milliseconds` in the median.
pub(crate) fn open_loop(backend: &str, block: u32, milliseconds: f64) -> Value {
    let mut trial = trial(backend, "open_loop", block, End::Verified(1.0));
    let scale = |value: f64| json!(value * milliseconds);
    let percentiles = json!({
        "samples": 500, "mean": scale(1.1), "p50": scale(1.0), "p90": scale(1.5), "p95": scale(2.0), "p99": null,
        "p99_9": null, "max": scale(4.0), "curve": [[0.5, scale(1.0)], [0.95, scale(2.0)]],
    });
    let record = &mut trial["record"];
    (record["latency_p50"], record["latency_p95"]) = (scale(1.0), scale(2.0));
    record["metadata"]["open_loop"] = json!({
        "shared_clock": true, "scheduled": percentiles, "service": percentiles, "generator_lag": percentiles,
    });
    trial
}

/// A point of a sweep on two cores: kernels of `iterations`, and an efficiency.
pub(crate) fn point(backend: &str, block: u32, iterations: u32, efficiency: f64) -> Value {
    const SECONDS_PER_ITERATION: f64 = 1e-8;
    let kernel = f64::from(iterations) * SECONDS_PER_ITERATION;
    // `tasks` kernels on two cores take this long.
    let tasks = 10_000;
    let end = if efficiency > 0.0 {
        End::Verified(f64::from(tasks) * kernel / (2.0 * efficiency))
    } else {
        End::Failed
    };
    let mut trial = trial(backend, "pipeline", block, end);
    let record = &mut trial["record"];
    record["parallelism"] = 2.into();
    record["run_id"] = format!("planted/pipeline/iters={iterations}").into();
    record["metadata"]["total_items"] = tasks.into();
    record["metadata"]["metg"] =
        json!({"seconds_per_iteration": SECONDS_PER_ITERATION, "kernel_seconds": kernel});
    configure(record, |config| {
        config["items"] = tasks.into();
        config["parallelism"] = 2.into();
        config["extra"] = json!({"iters": iterations, "batch_size": 1, "fusion": "off", "stages": 1});
    });
    trial
}

/// A folder with these trials in `place`.
pub(crate) fn folder(place: &Place, name: &str, trials: &[Value]) -> PathBuf {
    let folder = place.path().join(name);
    std::fs::create_dir(&folder).unwrap();
    let lines: String = trials.iter().map(|trial| trial.to_string() + "\n").collect();
    std::fs::write(folder.join("trials.jsonl"), lines).unwrap();
    folder
}
