//! What comes on a channel: frames that are cut anywhere, the messages of both sides in them, the supervisor's events,
//! and what becomes of a runner's claims.

use std::io::Read;
use std::time::SystemTime;

use crossrun::internals::plan::BackendChoice;
use crossrun::internals::record::{Conditions, Entry, Records, SystemProfile, TrialRecord};
use crossrun::internals::run::{Isolation, Outcome, Participants, TrialResult, TrialSpec, judge};
use crossrun::internals::sandbox::frame::{self, Frame, Incoming};
use crossrun::internals::sandbox::{Event, Events};
use crossrun::internals::worker::{self, Finished, Reply, Request};
use plugin_api::workload::{CatalogueEntry, Outcome as Answer};
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
    let (frames, _) = whole;
    let mut written = Vec::new();
    frames.iter().for_each(|frame| frame::write(&mut written, &frame.message, &frame.attachment).unwrap());
    assert!(stream.starts_with(&written));
    let mut reader = stream;
    for frame in &frames {
        assert_eq!(frame::read(&mut reader).unwrap().as_ref(), Some(frame));
    }
    // What is left is no frame, or a part of one.
    assert!(!matches!(frame::read(&mut reader), Ok(Some(_))));
    for frame in frames {
        check_message(&frame.message);
        let (attachment, finished) = (frame.attachment.clone(), worker::reply(frame));
        match finished {
            Some(Reply::Finished(finished)) => assert_eq!(finished.sink_state, attachment),
            Some(_) => assert!(attachment.is_empty()),
            None => {}
        }
    }
}

/// The frames in a stream that comes in pieces, and whether it ends in bytes that are no frame.
fn frames(stream: &[u8], cut: usize) -> (Vec<Frame>, bool) {
    let (mut incoming, mut frames) = (Incoming::default(), Vec::new());
    for piece in stream.chunks(cut) {
        incoming.extend(piece);
        loop {
            match incoming.take() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
    }
    (frames, false)
}

fn check_reports(stream: &[u8], cut: usize) {
    let whole = events(stream, stream.len().max(1));
    assert_eq!(events(stream, cut), whole);
    let mut written = Vec::new();
    whole.0.iter().for_each(|event| event.send(&mut written));
    assert_eq!(events(&written, cut).0, whole.0);
}

fn events(stream: &[u8], cut: usize) -> (Vec<Event>, bool) {
    let (mut events, mut found) = (Events::default(), Vec::new());
    let mut from = Pieces { rest: stream, cut };
    loop {
        match events.read(&mut from) {
            Ok(Some(event)) => found.push(event),
            Ok(None) => {
                assert!(events.closed());
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
            check_trial(*finished, Answer { count, ..Digest::default().into() });
        }
        // The judge is a worker too, and what it says comes from a library.
        Some(Reply::Done { answer }) => {
            if let Ok(outcome) = serde_json::from_value::<Answer>(answer.clone()) {
                check_trial(honest(&outcome), outcome);
            }
            for entry in serde_json::from_value::<Vec<CatalogueEntry>>(answer).unwrap_or_default() {
                let _ = plugin_api::Parameters::resolve(&entry.parameters, &Map::new());
                let _ = (entry.plan.is_well_formed(), entry.plan.end_of_chain(1));
            }
        }
        _ => {}
    }
}

/// A runner that claims what is so.
fn honest(outcome: &Answer) -> Finished {
    Finished {
        backend: "mock".into(),
        scheduler_name: "default".into(),
        elapsed_time: Some(0.5),
        results_count: outcome.count,
        duration_seconds: 0.5,
        begun_seconds: None,
        sink_state: Vec::new(),
        metrics: Map::new(),
    }
}

/// Whatever a runner claims, its trial becomes one line, and the line is read as what was written.
fn check_trial(finished: Finished, outcome: Answer) {
    let backend = finished.backend.to_lowercase();
    let ended = judge::verdict(&backend, 2, &finished, 1.0, &outcome, &outcome);
    let trial = TrialRecord::new(&conditions(), &spec(), result(finished, outcome, ended));
    let mut line = serde_json::to_vec(&trial).unwrap();
    line.push(b'\n');
    let read: Vec<_> = Records::<TrialRecord, _>::new(line.as_slice(), "trials.jsonl".as_ref()).collect();
    let [Ok(Entry::Record { record, .. })] = &read[..] else { panic!("{read:?}") };
    // A word of a record says less than the failure that it is of.
    assert_eq!(serde_json::to_value(record).unwrap(), serde_json::to_value(&trial).unwrap());
}

fn result(finished: Finished, answer: Answer, outcome: Outcome) -> TrialResult {
    TrialResult {
        expected: Some(answer.clone()),
        actual: Some(answer),
        finished: Some(finished),
        host_elapsed: Some(1.0),
        ..TrialResult::new(SystemTime::UNIX_EPOCH, outcome)
    }
}

fn spec() -> TrialSpec {
    TrialSpec::alone(BackendChoice::new("mock"), "run".into(), WorkloadSpec::new("null"), 1)
}

fn conditions() -> Conditions {
    Conditions {
        participants: Participants::default(),
        system_profile: SystemProfile::default(),
        isolation: Isolation::Process,
        locked: true,
        lock_file: None,
        cores: None,
        log_dir: "logs".into(),
        command: Box::new(|_| "crossrun run".into()),
        full_command: None,
        data_seed_chosen: false,
        sweeps: None,
    }
}
