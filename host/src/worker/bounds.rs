//! Limits for what a plugin reports: the host has to read, keep and show it, and must not grow with it. A message is one line.

use plugin_api::workload::CatalogueEntry;
use plugin_api::{Availability, ErrorKind, Parameter, Progress, RunnerError};
use serde_json::{Map, Value};

use crate::sandbox::Bytes;
use crate::sandbox::frame::MAX_LENGTH;
use crate::text::{or_else, without_line_ends, without_remedy};
use crate::worker::protocol::Reply;

/// The most bytes of a run's metrics, as JSON.
const METRICS: u64 = 1 << 20;
/// The most levels of a run's metrics: readers of JSON give up at about a hundred.
const METRICS_DEPTH: usize = 32;
/// The most bytes of a message, of a log record and of a remedy.
const MESSAGE: usize = 4096;
/// The most bytes of a name.
const NAME: usize = 256;
/// The most words of what a backend supports, or a workload needs.
const WORDS: usize = 64;

/// A message of a worker within the limits, for the host: a plugin can write to the channel by itself, past those of the worker. What is
/// within them is as it was. The answer of [`Reply::Done`] is of a type that only the caller knows, and stays.
pub(crate) fn reply(reply: Reply) -> Reply {
    match reply {
        Reply::Finished(mut finished) => {
            finished.backend = name(std::mem::take(&mut finished.backend));
            finished.scheduler_name = name(std::mem::take(&mut finished.scheduler_name));
            finished.metrics = metrics(std::mem::take(&mut finished.metrics));
            Reply::Finished(finished)
        }
        Reply::Failed { error, refused } => Reply::Failed { error: self::error(error), refused },
        Reply::Progress(Progress { done, total, message }) => {
            Reply::Progress(Progress { done, total, message: self::message(message) })
        }
        Reply::Log { level, target, message } => {
            Reply::Log { level, target: name(target), message: self::message(message) }
        }
        Reply::Hello { .. } | Reply::Done { .. } => reply,
    }
}

/// The state of a run's sinks, unless it is larger than the contract allows.
pub(super) fn sink_state(state: Vec<u8>) -> Result<Vec<u8>, RunnerError> {
    match state.len() {
        0..=MAX_LENGTH => Ok(state),
        length => Err(too_large("the sink's state", length)),
    }
}

/// The error for bytes of a plugin that exceed the limit of the channel.
pub(super) fn too_large(what: &str, length: usize) -> RunnerError {
    let may = Bytes(MAX_LENGTH as u64);
    RunnerError::new(ErrorKind::Internal, format!("{what} has {length} bytes, but may have {may}"))
}

/// The metrics, or instead of them a warning that says why they were left out.
pub(super) fn metrics(metrics: Map<String, Value>) -> Map<String, Value> {
    let length = serde_json::to_vec(&metrics).map_or(u64::MAX, |json| json.len() as u64);
    let why = if length > METRICS {
        format!("{} of metrics were left out: a record takes at most {}", Bytes(length), Bytes(METRICS))
    } else if metrics.values().any(|value| is_deeper(value, METRICS_DEPTH)) {
        format!("the metrics were left out: a record takes at most {METRICS_DEPTH} levels of them")
    } else {
        return metrics;
    };
    Map::from_iter([("warnings".to_owned(), Value::from(vec![why]))])
}

/// Whether lists and objects are nested in more than `levels` levels.
pub(crate) fn is_deeper(value: &Value, levels: usize) -> bool {
    let Some(left) = levels.checked_sub(1) else { return value.is_array() || value.is_object() };
    match value {
        Value::Array(values) => values.iter().any(|value| is_deeper(value, left)),
        Value::Object(values) => values.values().any(|value| is_deeper(value, left)),
        _ => false,
    }
}

/// An error of a plugin. One that was built in another language, and a workload, may have the remedy in the message.
pub(super) fn error(RunnerError { kind, message, remedy }: RunnerError) -> RunnerError {
    let (message, remedy) = match (without_remedy(&message), remedy) {
        ((message, Some(found)), None) => (message.to_owned(), Some(found.to_owned())),
        (_, remedy) => (message, remedy),
    };
    RunnerError {
        kind,
        message: or_else(self::message(message), "the plugin failed without a message"),
        remedy: remedy.map(self::message),
    }
}

pub(super) fn availability(availability: Availability) -> Availability {
    match availability {
        Availability::Available => Availability::Available,
        Availability::Unavailable { reason, remedy } => {
            Availability::Unavailable { reason: message(reason), remedy: message(remedy) }
        }
    }
}

pub(super) fn message(text: String) -> String {
    cut(text, MESSAGE)
}

pub(super) fn name(text: String) -> String {
    cut(text, NAME)
}

/// The keys of `extra` that a plugin reads, as a listing shows them.
pub(super) fn parameters(parameters: Vec<Parameter>) -> Vec<Parameter> {
    let bounded =
        |it: Parameter| Parameter { name: name(it.name), description: message(it.description), ..it };
    parameters.into_iter().map(bounded).collect()
}

/// The words of what a backend supports, or a workload can do without. Those beyond the limit do not count.
pub(super) fn supports(words: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for word in words.into_iter().map(name).filter(|word| !word.is_empty()) {
        if kept.len() < WORDS && !kept.contains(&word) {
            kept.push(word);
        }
    }
    kept
}

/// The words of what a workload needs. With more than the limit it needs what no backend supports.
fn needs(words: Vec<String>) -> Vec<String> {
    let too_many = (words.len() > WORDS).then(|| format!("more than {WORDS} words"));
    words.into_iter().take(WORDS).map(name).chain(too_many).collect()
}

pub(super) fn catalogue(mut entries: Vec<CatalogueEntry>) -> Vec<CatalogueEntry> {
    for entry in &mut entries {
        entry.description = message(std::mem::take(&mut entry.description));
        entry.parameters = parameters(std::mem::take(&mut entry.parameters));
        entry.needs = needs(std::mem::take(&mut entry.needs));
        entry.uses = supports(std::mem::take(&mut entry.uses));
    }
    entries
}

fn cut(text: String, limit: usize) -> String {
    let mut text = if text.contains(['\n', '\r']) { without_line_ends(&text) } else { text };
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("äöü".into(), 3), "ä…");
        assert_eq!(cut("äöü".into(), 6), "äöü");
    }

    #[test]
    fn of_many_words_a_few_are_supported_and_none_suffices() {
        let many: Vec<_> = (0..1_000_000).map(|number| number.to_string()).collect();
        let supported = supports(many.clone());
        assert_eq!(supported, many[..WORDS]);
        assert!(needs(many).iter().any(|word| !supported.contains(word)));
        let twice = ["graph", "", "graph", "state"].map(str::to_owned).to_vec();
        assert_eq!(supports(twice.clone()), ["graph", "state"]);
        assert_eq!(needs(twice.clone()), twice);
    }

    #[test]
    fn a_failure_without_a_message_says_so() {
        for empty in ["", " ", "\n\t"] {
            let failed = error(RunnerError::new(ErrorKind::Internal, empty));
            assert_eq!(failed.message, "the plugin failed without a message");
        }
        assert_eq!(error(RunnerError::new(ErrorKind::Internal, "why")).message, "why");
    }

    #[test]
    fn what_a_plugin_sends_by_itself_is_cut_and_what_was_cut_stays() {
        let long = "x".repeat(1 << 20);
        let log = Reply::Log { level: 1, target: long.clone(), message: long.clone() };
        let Reply::Log { target, message, .. } = reply(log) else { panic!("another message") };
        assert_eq!((target.len(), message.len()), (NAME + '…'.len_utf8(), MESSAGE + '…'.len_utf8()));
        let failed = Reply::Failed { error: RunnerError::new(ErrorKind::Internal, long), refused: None };
        let Reply::Failed { error, .. } = reply(failed) else { panic!("another message") };
        assert_eq!(error.message, message);
        assert_eq!(super::error(error.clone()), error);
    }

    #[test]
    fn a_state_of_64_mib_is_passed_on_and_one_byte_more_is_an_error() {
        assert_eq!(sink_state(vec![1; 64 << 20]).unwrap().len(), 64 << 20);
        let error = sink_state(vec![1; (64 << 20) + 1]).unwrap_err();
        assert_eq!(error.message, "the sink's state has 67108865 bytes, but may have 64 MiB");
    }

    #[test]
    fn metrics_that_are_too_much_are_replaced_by_a_warning() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let few = object(json!({"a": [1, {"b": 2}], "warnings": ["c"]}));
        assert_eq!(metrics(few.clone()), few);
        let many = metrics(object(json!({"a": "x".repeat(2 << 20)})));
        assert_eq!(
            many["warnings"],
            json!(["2.0 MiB of metrics were left out: a record takes at most 1 MiB"])
        );
        let deep = (0..40).fold(Value::Null, |inner, _| json!([inner]));
        let deep = metrics(object(json!({"a": deep})));
        assert!(deep["warnings"][0].as_str().unwrap().contains("32 levels"), "{deep:?}");
    }
}
