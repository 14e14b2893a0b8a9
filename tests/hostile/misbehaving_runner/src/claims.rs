//! Results that are not what they say.

use std::collections::BTreeMap;
use std::sync::Mutex;

use plugin_api::{RunResult, RunnerError, WorkloadSpec};
use serde_json::{Value, json};

use crate::harm::IN_COLOUR;

/// How the items that reach the sink are changed: the item at number 1 of the first batch.
pub(crate) type Tamper = fn(&mut Vec<Vec<u8>>);

pub(crate) fn tamper(behaviour: &str) -> Option<Tamper> {
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

/// A state of the sink with a time for each item, as one of an open loop has. The 8 bytes after the magic are the count.
fn with_times(state: &[u8]) -> Vec<u8> {
    let [one, none] = [1, 0_u64].map(u64::to_le_bytes);
    [state, &one, &one, &state[8..16], &none, &none].concat()
}

static CACHE: Mutex<Option<RunResult>> = Mutex::new(None);

static MEMORY: Mutex<BTreeMap<(String, u64, u64), RunResult>> = Mutex::new(BTreeMap::new());

/// Runs only what this process has not run on the same data. The metric `remembered` says whether it had.
pub(crate) fn memoised(
    spec: &WorkloadSpec,
    run: impl FnOnce() -> Result<RunResult, RunnerError>,
) -> Result<RunResult, RunnerError> {
    let key = (spec.name.clone(), spec.total_items, spec.seed);
    let mut memory = MEMORY.lock().unwrap();
    if let Some(known) = memory.get(&key) {
        return Ok(known.clone().with_metric("remembered", true));
    }
    let honest = run()?;
    memory.insert(key, honest.clone());
    Ok(honest.with_metric("remembered", false))
}

/// Claims that are not true, and metrics that nobody can want.
pub(crate) fn lie(behaviour: &str, honest: RunResult) -> RunResult {
    let elapsed = honest.elapsed_time;
    match behaviour {
        "claim_more_time" => RunResult { elapsed_time: elapsed + 3600.0, ..honest },
        "claim_absurd_time" => RunResult { elapsed_time: f64::MAX, ..honest },
        "claim_negative_time" => RunResult { elapsed_time: -1.0, ..honest },
        "claim_infinite_time" => RunResult { elapsed_time: f64::INFINITY, ..honest },
        "claim_no_number" => RunResult { elapsed_time: f64::NAN, ..honest },
        "claim_more_results" => RunResult { results_count: honest.results_count + 1, ..honest },
        "claim_absurd_results" => RunResult { results_count: u64::MAX, ..honest },
        "claim_another_name" => RunResult { backend: "native".into(), ..honest },
        "opened_late" => honest.with_metric("late_opens", 1),
        "rubbish_state" | "hold_threads" => RunResult { sink_state: b"rubbish".to_vec(), ..honest },
        "empty_state" => RunResult { sink_state: Vec::new(), ..honest },
        // Of another kind than the workload's, so that it is refused, but by the workload.
        "largest_state" => RunResult { sink_state: vec![0; 64 << 20], ..honest },
        "too_large_state" => RunResult { sink_state: vec![0; (64 << 20) + 1], ..honest },
        "huge_state" => RunResult { sink_state: vec![0; 100 << 20], ..honest },
        "times_of_a_closed_loop" => RunResult { sink_state: with_times(&honest.sink_state), ..honest },
        "cached" => CACHE.lock().unwrap().get_or_insert(honest).clone(),
        "metrics_of_2_mb" => honest.with_metric("noise", "x".repeat(2 << 20)),
        "metrics_of_100_mb" => honest.with_metric("noise", "x".repeat(100 << 20)),
        "a_million_metrics" => {
            let metrics = (0..1 << 20).map(|number| (number.to_string(), Value::Null)).collect();
            RunResult { metrics, ..honest }
        }
        "deep_metrics" => {
            let deep = (0..120).fold(Value::Null, |inner, _| json!([inner]));
            honest.with_metric("deep", deep)
        }
        "a_million_warnings" => honest.with_metric("warnings", vec![IN_COLOUR; 1 << 20]),
        "long_names" => RunResult { scheduler_name: "x".repeat(1 << 20), ..honest },
        "odd_metrics" => honest
            .with_metric("nodes", -1e308)
            .with_metric("warnings", json!({"not": "a list"}))
            .with_metric("negative", -1)
            .with_metric("largest", u64::MAX),
        "result_of_two_lines" => {
            let line = "x\nverified: 999999 items \u{202e}with\u{200b}";
            RunResult { scheduler_name: line.into(), ..honest }.with_metric("warnings", vec![line])
        }
        "result_in_colour" => RunResult { scheduler_name: IN_COLOUR.into(), ..honest }
            .with_metric("warnings", vec![IN_COLOUR])
            .with_metric(IN_COLOUR, IN_COLOUR),
        _ => honest,
    }
}
