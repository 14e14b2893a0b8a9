//! What comes on a channel: frames that are cut anywhere, the messages of both sides in them, the supervisor's reports,
//! and what becomes of a runner's claims.

use std::io::Read;
use std::time::SystemTime;

use crossrun::internals::record::{
    Conclusion, Conditions, Entry, Kind, Observation, Phases, Resources, SystemProfile, TrialRecord, reader,
};
use crossrun::internals::run::judge::{self, Verdict};
use crossrun::internals::sandbox::frame::{self, Incoming};
use crossrun::internals::sandbox::{Report, Reports};
use crossrun::internals::worker::{Finished, Reply, Request};
use plugin_api::workload::Outcome;
use plugin_api::{Digest, WorkloadSpec};
use serde_json::Map;

/// What must hold for any bytes: the first says where what follows is cut.
pub fn check(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else { return };
    let cut = usize::from(*cut) + 1;
    check_frames(stream, cut);
    check_reports(stream, cut);
    check_message(stream);
}

fn check_frames(stream: &[u8], cut: usize) {
    let whole = frames(stream, stream.len().max(1));
    assert_eq!(frames(stream, cut), whole);
    let (messages, _) = whole;
    let mut written = Vec::new();
    messages.iter().for_each(|message| frame::write(&mut written, message).unwrap());
    assert!(stream.starts_with(&written));
    let mut reader = stream;
    for message in &messages {
        assert_eq!(frame::read(&mut reader).unwrap().as_ref(), Some(message));
    }
    // What is left is no message, or a part of one.
    assert!(!matches!(frame::read(&mut reader), Ok(Some(_))));
    messages.iter().for_each(|message| check_message(message));
}

/// The messages in a stream that comes in pieces, and whether it ends in something that is none.
fn frames(stream: &[u8], cut: usize) -> (Vec<Vec<u8>>, bool) {
    let (mut incoming, mut messages) = (Incoming::default(), Vec::new());
    for piece in stream.chunks(cut) {
        incoming.extend(piece);
        loop {
            match incoming.take() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return (messages, true),
            }
        }
    }
    (messages, false)
}

fn check_reports(stream: &[u8], cut: usize) {
    let whole = reports(stream, stream.len().max(1));
    assert_eq!(reports(stream, cut), whole);
    let mut written = Vec::new();
    whole.0.iter().for_each(|report| report.send(&mut written));
    assert_eq!(reports(&written, cut).0, whole.0);
}

fn reports(stream: &[u8], cut: usize) -> (Vec<Report>, bool) {
    let (mut reports, mut found) = (Reports::default(), Vec::new());
    let mut from = Pieces { rest: stream, cut };
    loop {
        match reports.read(&mut from) {
            Ok(Some(report)) => found.push(report),
            Ok(None) => {
                assert!(reports.closed());
                return (found, false);
            }
            Err(_) => return (found, true),
        }
    }
}

/// Gives at most `cut` bytes at a time.
struct Pieces<'a> {
    rest: &'a [u8],
    cut: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = into.len().min(self.cut);
        self.rest.read(&mut into[..length])
    }
}

fn check_message(message: &[u8]) {
    super::survives::<Request>(message);
    match super::survives(message) {
        Some(Reply::Finished(finished)) => {
            let count = finished.results_count;
            check_trial(*finished, Outcome { count, ..Digest::default().into() });
        }
        // The judge is a worker too, and what it says comes from a library.
        Some(Reply::Outcome { outcome }) => check_trial(honest(&outcome), outcome),
        Some(Reply::Catalogue { entries }) => {
            for entry in entries {
                let _ = plugin_api::Parameters::resolve(&entry.parameters, &Map::new());
                let _ = (entry.plan.is_well_formed(), entry.plan.end_of_chain(1));
            }
        }
        _ => {}
    }
}

/// A runner that claims what is so.
fn honest(outcome: &Outcome) -> Finished {
    Finished {
        backend: "mock".into(),
        scheduler_name: "default".into(),
        elapsed_time: Some(0.5),
        results_count: outcome.count,
        duration_seconds: 0.5,
        sink_state: String::new(),
        metrics: Map::new(),
    }
}

/// Whatever a runner claims, its trial becomes one line, and the line is read as what was written.
fn check_trial(finished: Finished, outcome: Outcome) {
    let backend = finished.backend.to_lowercase();
    let conclusion = match judge::verdict(&backend, 2, &finished, 1.0, &outcome, &outcome) {
        Verdict::Verified => Conclusion::Verified,
        Verdict::Wrong(why) => Conclusion::Wrong(why),
        Verdict::Invalid(why) | Verdict::Late(why) => Conclusion::Invalid(why),
    };
    let trial = TrialRecord::new(&conditions(), observation(finished, outcome, conclusion));
    let mut line = serde_json::to_vec(&trial).unwrap();
    line.push(b'\n');
    let read: Vec<_> = reader::trials_from(line.as_slice(), "trials.jsonl".as_ref()).collect();
    let [Ok(Entry::Record { record, .. })] = &read[..] else { panic!("{read:?}") };
    assert_eq!(**record, trial);
}

fn observation(finished: Finished, outcome: Outcome, conclusion: Conclusion) -> Observation {
    Observation {
        conclusion,
        scheduler_name: Some(finished.scheduler_name),
        expected: Some(outcome.clone()),
        actual: Some(outcome),
        duration_seconds: Some(finished.duration_seconds),
        host_elapsed: Some(1.0),
        reported_elapsed: finished.elapsed_time,
        phases: Phases::default(),
        resources: Resources::default(),
        metrics: finished.metrics,
        warnings: Vec::new(),
    }
}

fn conditions() -> Conditions {
    Conditions {
        backend: "mock".into(),
        run_id: "run".into(),
        spec: WorkloadSpec::new("null"),
        data_seed: 42,
        block: None,
        nodes: 1,
        kind: Kind::Measured,
        started: SystemTime::UNIX_EPOCH,
        plugin: None,
        workload_library: None,
        system_profile: SystemProfile::default(),
        command: "crossrun run".into(),
        isolation: "process".into(),
        locked: true,
        cores: None,
        metg: None,
        log: None,
    }
}
