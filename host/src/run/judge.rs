//! The judge: computes the expected answer of a run and decodes the actual one, from the workload's library alone.
//!
//! It is a worker that loads no backend. A backend hands over the state of its sinks and its claims; only what the judge
//! decodes from that state counts.

use std::time::Duration;

use plugin_api::workload::{CatalogueEntry, GRAPH, Latency, Outcome as Answer, WATERMARKS};
use plugin_api::{ErrorKind, RunnerError, WorkloadSpec};

use super::outcome::Outcome;
use super::session::{CallError, Fault, Observer, WorkerSession, answer_in};
use super::trial::UNSETTLED;
use crate::stats::samples_needed;
use crate::text::without_line_ends;
use crate::worker::protocol::{
    CallTime, Finished, LibraryFile, MachineCheck, Planned, Reference, Request, ShownGraph, ShownItems, Work,
};

/// How much longer than its duration a machine check may take.
const MACHINE_CHECK_GRACE: Duration = Duration::from_secs(10);

/// How much longer than its duration the timing of a stage or of the whole may take: each core has a minimum.
const TIMING_GRACE: Duration = Duration::from_secs(60);

/// The clocks of two processes may differ by this fraction of a time.
const WAITING_TOLERANCE: f64 = 0.001;

/// A backend's own time may be below the worker's by so many seconds: drivers open the workload, and messages take time.
const UNDERSTATED: f64 = 0.2;
/// And by this fraction of the worker's time.
const UNDERSTATED_PART: f64 = 0.1;

/// The source's lag must not exceed one part in so many of the latency.
const LAG_PART: u64 = 10;
/// Either makes the lag a smaller part of the latency: how late a machine wakes the source does not depend on the work of an item.
const LATE_REMEDY: &str = "end what else runs on this machine, or give each item more work, as a larger --extra iters does \
                           in open_loop";

/// A backend's own time may be above the worker's by so many seconds: engines round to milliseconds. Only the worker's time counts,
/// so that nothing is gained.
const OVERSTATED: f64 = 0.001;
/// And by this fraction of the worker's time: an engine may read the clock of the day, which is 0.05 % too fast while it is put right.
const OVERSTATED_PART: f64 = 0.001;

/// The worker's time may be above the host's by so many seconds, which read the same clock: what is lost in numbers.
const CLOCK_TOLERANCE: f64 = 1e-6;

/// A worker with one workload library. All that it is asked for fails when the spec is not valid, the library crashes, hangs, fails or
/// refuses, or the worker dies.
pub(crate) struct Judge {
    session: WorkerSession,
    library: LibraryFile,
    /// The library's workloads, once they have been asked for.
    catalogue: Option<Vec<CatalogueEntry>>,
}

impl Judge {
    /// A judge over `library`.
    pub(crate) fn new(session: WorkerSession, library: LibraryFile) -> Self {
        Self { session, library, catalogue: None }
    }

    /// The workload of `spec`. A judge can do all that a workload needs.
    fn work(&mut self, spec: &WorkloadSpec) -> Result<Work, CallError> {
        let granted = self.granted(&spec.name, None)?;
        Ok(Work { spec: WorkloadSpec { granted, ..spec.clone() }, library: self.library.clone() })
    }

    /// The words of what a backend must support to run a workload of the library; none for a workload that it does not have.
    pub(crate) fn needs(&mut self, workload: &str) -> Result<Vec<String>, CallError> {
        let entry = self.catalogue()?.iter().find(|entry| entry.name == workload);
        Ok(entry.map(|entry| entry.needs.clone()).unwrap_or_default())
    }

    /// The words of what a workload needs or makes use of that a backend supports, or all if the backend is not given.
    pub(crate) fn granted(
        &mut self,
        workload: &str,
        supports: Option<&[String]>,
    ) -> Result<Vec<String>, CallError> {
        let entry = self.catalogue()?.iter().find(|entry| entry.name == workload);
        let words = entry.into_iter().flat_map(|entry| entry.needs.iter().chain(&entry.uses));
        let is_granted = |word: &&String| supports.is_none_or(|supports| supports.contains(word));
        Ok(words.filter(is_granted).cloned().collect())
    }

    /// Ends the judge's worker.
    pub(crate) fn end(self) {
        self.session.discard();
    }

    /// The library's workloads.
    pub(crate) fn catalogue(&mut self) -> Result<&[CatalogueEntry], CallError> {
        let entries = match self.catalogue.take() {
            Some(entries) => entries,
            None => {
                let deadline = self.session.deadlines.catalogue;
                let request = Request::Catalogue { library: self.library.clone() };
                self.session.ask("catalogue", request, deadline)?
            }
        };
        Ok(self.catalogue.insert(entries))
    }

    /// How fast the machine computes right now, by the judge's process, in which no engine runs.
    pub(crate) fn check_machine(&mut self, duration: Duration) -> Result<MachineCheck, CallError> {
        let request = Request::CheckMachine { seconds: duration.as_secs_f64() };
        self.session.ask("machine_check", request, duration + MACHINE_CHECK_GRACE)
    }

    /// How long a call of `stage` takes on each core, with nothing but the workload's library at work; `duration` in all.
    pub(crate) fn time(
        &mut self,
        spec: &WorkloadSpec,
        stage: usize,
        duration: Duration,
    ) -> Result<Vec<CallTime>, CallError> {
        let request = Request::Time { work: self.work(spec)?, stage, seconds: duration.as_secs_f64() };
        self.session.ask("reference", request, duration + TIMING_GRACE)
    }

    /// What the workload's library alone takes for `spec`, of which a run may take `timeout`, by a sample of about `duration`, or without
    /// a sample if that is 0.
    pub(crate) fn reference(
        &mut self,
        spec: &WorkloadSpec,
        duration: Duration,
        timeout: Duration,
    ) -> Result<Reference, CallError> {
        let request = Request::Reference { work: self.work(spec)?, seconds: duration.as_secs_f64() };
        // It may open and run the whole workload, as the oracle may; what takes longer serially than all operators of a run may together is
        // in no run that ends.
        let whole = self.session.deadlines.expect.min(timeout.saturating_mul(spec.parallelism));
        self.session.ask("reference", request, duration + whole.max(TIMING_GRACE))
    }

    /// The expected answer of a run that may take `timeout`, by the serial oracle. It never lies in a file, as a plugin can
    /// write to any file of the user.
    pub(crate) fn expect(&mut self, spec: &WorkloadSpec, timeout: Duration) -> Result<Answer, CallError> {
        let deadline = self.session.deadlines.expect_of(timeout, spec.parallelism);
        let request = Request::Expect(self.work(spec)?);
        self.session.ask("expect", request, deadline).and_then(|answer| checked("expect", answer))
    }

    /// Opens the workload of `spec` within `limit`, which fails if its values do not go together.
    pub(crate) fn check(&mut self, spec: &WorkloadSpec, limit: Duration) -> Result<(), CallError> {
        let request = Request::Plan(self.work(spec)?);
        self.session.ask::<Planned>("expect", request, limit).map(drop)
    }

    /// What is to be known of the plan of a workload that makes use of a backend's way to run graphs, or to close. Others are not
    /// opened for it.
    pub(crate) fn planned(&mut self, spec: &WorkloadSpec) -> Result<Planned, CallError> {
        let work = self.work(spec)?;
        let (runs_tasks, closes) = (work.spec.is_granted(GRAPH), work.spec.is_granted(WATERMARKS));
        if !runs_tasks && !closes {
            return Ok(Planned::default());
        }
        let deadline = self.session.deadlines.expect;
        let planned: Planned = self.session.ask("expect", Request::Plan(work), deadline)?;
        Ok(Planned { graph: planned.graph.filter(|_| runs_tasks), ..planned })
    }

    /// The answer of a serial run of the workload, without a backend.
    pub(crate) fn serial(&mut self, spec: &WorkloadSpec, timeout: Duration) -> Result<Answer, CallError> {
        let request = Request::Serial(self.work(spec)?);
        self.session.ask("serial", request, timeout).and_then(|answer| checked("serial", answer))
    }

    /// The answer of a serial run of the workload that closes what has ended while the input goes on. It checks the rules of
    /// closing.
    pub(crate) fn closing(&mut self, spec: &WorkloadSpec, timeout: Duration) -> Result<Answer, CallError> {
        let request = Request::Closing(self.work(spec)?);
        self.session.ask("serial", request, timeout).and_then(|answer| checked("serial", answer))
    }

    /// The items that leave `stage`, described for people; without a stage, those that must reach the sink.
    pub(crate) fn show(
        &mut self,
        spec: &WorkloadSpec,
        stage: Option<usize>,
    ) -> Result<ShownItems, CallError> {
        let deadline = self.session.deadlines.expect;
        let request = Request::Show { work: self.work(spec)?, stage };
        self.session.ask("expect", request, deadline)
    }

    /// The graph of the tasks, by its edges or as the items describe it.
    pub(crate) fn show_graph(&mut self, spec: &WorkloadSpec) -> Result<ShownGraph, CallError> {
        let deadline = self.session.deadlines.expect;
        let request = Request::ShowGraph(self.work(spec)?);
        self.session.ask("expect", request, deadline)
    }

    /// Calls the workload's functions with malformed input, `rounds` times.
    pub(crate) fn give_malformed(
        &mut self,
        spec: &WorkloadSpec,
        rounds: u32,
        timeout: Duration,
    ) -> Result<(), CallError> {
        let request = Request::Malformed { work: self.work(spec)?, rounds };
        self.session.ask("malformed", request, timeout)
    }

    /// The actual answer of a run, decoded from the state of its sinks.
    ///
    /// # Errors
    /// When the bytes are not the state of a sink.
    pub(crate) fn judge(
        &mut self,
        spec: &WorkloadSpec,
        sink_state: &[u8],
        observer: Observer<'_>,
    ) -> Result<Answer, CallError> {
        let (work, sink_state) = (self.work(spec)?, sink_state.to_owned());
        let (deadline, request) = (self.session.deadlines.judge, Request::Judge { work, sink_state });
        let reply = self.session.call("judge", request, Some(deadline), observer)?;
        answer_in(reply, "judge").and_then(|answer| checked("judge", answer))
    }
}

/// Whether an answer can be compared: a workload that gives no checksum would verify everything.
fn is_checksum(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// The answer, if it can be compared.
fn checked(phase: &'static str, answer: Answer) -> Result<Answer, CallError> {
    if is_checksum(&answer.checksum) {
        return Ok(answer);
    }
    let message = format!(
        "the workload gives {:.40?} as its checksum, which must have 32 hex digits: no answer can be verified by it",
        answer.checksum
    );
    Err(CallError::reported(phase, RunnerError::new(ErrorKind::Workload, message), None))
}

/// Compares the actual answer with the expected one, and the runner's claims with the host's clock. A wrong answer takes
/// precedence over an impossible claim.
pub fn verdict(
    backend: &str,
    parallelism: u32,
    finished: &Finished,
    host_elapsed: f64,
    actual: &Answer,
    expected: &Answer,
) -> Outcome {
    if actual.count != expected.count {
        let (actual, expected) = (actual.count, expected.count);
        return wrong(format!("{actual} items reached the sink, but {expected} must"));
    }
    if actual.checksum != expected.checksum {
        let (actual, expected) = (&actual.checksum, &expected.checksum);
        return wrong(format!("the checksum is {actual}, but must be {expected}"));
    }
    let impossible = impossible_claim(backend, finished, host_elapsed, actual);
    if let Some(why) = impossible.or_else(|| exceeds_parallelism(parallelism, finished, expected)) {
        return Outcome::Invalid(CallError::judged(Fault::InvalidMeasurement, why));
    }
    let late = |why| {
        let error = CallError::judged(Fault::LateSource, why);
        Outcome::Invalid(CallError { remedy: Some(LATE_REMEDY.into()), ..error })
    };
    actual.latency.as_ref().and_then(late_source).map_or(Outcome::Verified, late)
}

fn wrong(why: String) -> Outcome {
    Outcome::Wrong(CallError::judged(Fault::WrongAnswer, why))
}

/// Operators that wait take a known time. A run that took less had more of them at work at once than its parallelism allows.
fn exceeds_parallelism(parallelism: u32, finished: &Finished, expected: &Answer) -> Option<String> {
    let (waiting, window) = (expected.waiting_seconds?, finished.duration_seconds);
    let least = waiting / f64::from(parallelism);
    (window < least * (1.0 - WAITING_TOLERANCE)).then(|| {
        format!(
            "operators wait for {waiting:.3} s in all, which takes {least:.3} s at parallelism {parallelism}, but the run \
             took {window:.3} s: more of them were at work at once"
        )
    })
}

/// A warning about a backend whose own time is far below what the worker measured around it. Only the worker's time counts,
/// so that the backend gains nothing. The tolerance is `slowdown` times that of a quiet machine.
pub(crate) fn understated(finished: &Finished, slowdown: f64) -> Option<String> {
    // An open loop may begin before the backend is called, which no backend can see.
    let begun = finished.begun_seconds.unwrap_or_default();
    let (claim, window) = (finished.elapsed_time?, finished.duration_seconds - begun);
    (window - claim > UNDERSTATED.max(window * UNDERSTATED_PART) * slowdown).then(|| {
        format!(
            "the backend claims {claim:.3} s, but the worker measured {window:.3} s around it; the worker's time counts"
        )
    })
}

fn impossible_claim(
    backend: &str,
    finished: &Finished,
    host_elapsed: f64,
    actual: &Answer,
) -> Option<String> {
    let window = finished.duration_seconds;
    if finished.backend.to_lowercase() != backend {
        return Some(format!(
            "the result says that it is of backend {:?}, not {backend:?}",
            finished.backend
        ));
    }
    if finished.results_count != actual.count {
        return Some(format!(
            "the backend claims {} items, its sink has {}",
            finished.results_count, actual.count
        ));
    }
    if window > host_elapsed + CLOCK_TOLERANCE {
        return Some(format!("the worker's {window:.6} s exceed the host's {host_elapsed:.6} s"));
    }
    match finished.elapsed_time {
        None => Some("the backend's own elapsed time is not a number".into()),
        Some(claim) if claim < 0.0 => Some(format!("the backend's own elapsed time is {claim} s")),
        Some(claim) if claim > window * (1.0 + OVERSTATED_PART) + OVERSTATED => {
            Some(format!("the backend claims {claim:.6} s, but the worker measured {window:.6} s around it"))
        }
        Some(_) => None,
    }
}

/// A source that falls behind its own schedule causes latencies that are not the backend's. The limit is a tenth of the
/// highest percentile for which there are enough samples.
fn late_source(latency: &Latency) -> Option<String> {
    let Latency { scheduled, lag, .. } = latency;
    let enough = |quantile: f64| samples_needed(quantile).is_some_and(|needed| scheduled.count >= needed);
    let quantile = [0.99, 0.95, 0.9, 0.5].into_iter().find(|quantile| enough(*quantile))?;
    let (late, total) = (lag.at(quantile)?, scheduled.at(quantile)?);
    let milliseconds = |nanos: u64| nanos as f64 / 1e6;
    (late > total / LAG_PART).then(|| {
        format!(
            "the source was late by itself: by {:.3} ms at the {}th percentile, where the latency is {:.3} ms",
            milliseconds(late),
            quantile * 100.0,
            milliseconds(total),
        )
    })
}

/// How many warnings of a backend are reported, and how many characters each may have.
const WARNINGS: usize = 20;
const WARNING: usize = 1000;

/// The strings in the metrics' `warnings`. One that begins as a warning of the host by which rows are judged is marked.
pub(super) fn reported_warnings(finished: &Finished) -> Vec<String> {
    let warnings = finished.metrics.get("warnings").and_then(|warnings| warnings.as_array());
    let mut texts = warnings.into_iter().flatten().filter_map(|warning| warning.as_str());
    let mut reported: Vec<_> = texts
        .by_ref()
        .take(WARNINGS)
        .map(|text| without_line_ends(text).chars().take(WARNING).collect::<String>())
        .map(|text| if text.starts_with(UNSETTLED) { format!("the backend says: {text}") } else { text })
        .collect();
    let more = texts.count();
    reported.extend((more > 0).then(|| format!("the backend gives {more} more warnings")));
    reported
}

#[cfg(test)]
mod tests {
    use plugin_api::workload::Distribution;

    use super::*;
    use crate::record::trial::examples;

    fn outcome(count: u64) -> Answer {
        Answer { count, checksum: format!("{count:032x}"), waiting_seconds: None, latency: None }
    }

    fn finished() -> Finished {
        Finished {
            backend: "mock".into(),
            elapsed_time: Some(1.0),
            results_count: 5,
            ..examples::finished(1.5)
        }
    }

    #[test]
    fn a_count_or_checksum_that_differs_is_wrong_however_fast_it_was() {
        let short = verdict("mock", 2, &finished(), 2.0, &outcome(4), &outcome(5));
        assert_eq!(short, wrong("4 items reached the sink, but 5 must".into()));
        let flipped = Answer { checksum: "0".repeat(32), ..outcome(5) };
        assert!(matches!(verdict("mock", 2, &finished(), 2.0, &flipped, &outcome(5)), Outcome::Wrong(_)));
    }

    #[test]
    fn an_impossible_claim_invalidates_the_run_and_an_honest_one_does_not() {
        type Change = fn(&mut Finished);
        let changes: [(Change, &str); 9] = [
            (|_| (), ""),
            // Another clock, in milliseconds.
            (|it| it.elapsed_time = Some(1.502), ""),
            (|it| it.elapsed_time = Some(1.503), "measured"),
            (|it| it.elapsed_time = Some(1.6), "measured"),
            (|it| it.elapsed_time = Some(-1.0), "-1"),
            (|it| it.elapsed_time = None, "not a number"),
            (|it| it.results_count = 6, "claims 6"),
            (|it| it.backend = "other".into(), "other"),
            (|it| it.duration_seconds = 2.5, "exceed"),
        ];
        for (change, expected) in changes {
            let mut finished = finished();
            change(&mut finished);
            match verdict("mock", 2, &finished, 2.0, &outcome(5), &outcome(5)) {
                Outcome::Invalid(CallError { message, .. }) if !expected.is_empty() => {
                    assert!(message.contains(expected), "{message}");
                }
                other => assert_eq!((&other, expected), (&Outcome::Verified, "")),
            }
        }
    }

    #[test]
    fn a_source_that_is_late_by_itself_invalidates_the_run_with_what_to_do_about_it() {
        let of = |nanos| Distribution { count: 1000, mean_nanos: 0.0, curve: vec![(0.99, nanos)] };
        let judged = |lag| {
            let latency = Latency { scheduled: of(900_000), service: of(900_000), lag: of(lag) };
            verdict(
                "mock",
                2,
                &finished(),
                2.0,
                &Answer { latency: Some(latency), ..outcome(5) },
                &outcome(5),
            )
        };
        assert_eq!(judged(90_000), Outcome::Verified);
        let late = judged(300_000);
        let CallError { fault, message, remedy, .. } = late.error().unwrap();
        assert_eq!(*fault, Fault::LateSource);
        assert!(
            message.ends_with("by 0.300 ms at the 99th percentile, where the latency is 0.900 ms"),
            "{message}"
        );
        assert_eq!(remedy.as_deref(), Some(LATE_REMEDY));
    }

    #[test]
    fn a_run_that_is_over_before_its_operators_have_waited_is_invalid() {
        // The example's run takes 1.5 s.
        let waiting = |seconds| Answer { waiting_seconds: Some(seconds), ..outcome(5) };
        let judged = |parallelism, seconds| {
            verdict("mock", parallelism, &finished(), 2.0, &outcome(5), &waiting(seconds))
        };
        assert_eq!(judged(1, 1.5), Outcome::Verified);
        assert_eq!(judged(4, 6.0), Outcome::Verified);
        let why = judged(2, 4.0).error().unwrap().to_string();
        assert!(why.contains("takes 2.000 s at parallelism 2") && why.contains("took 1.500 s"), "{why}");
    }

    #[test]
    fn a_backend_cannot_say_in_the_words_of_the_host_that_it_did_not_settle() {
        let mut finished = finished();
        let forged = format!("{UNSETTLED} in 20 warm-ups");
        finished.metrics.insert("warnings".into(), vec![forged.as_str(), "a spill"].into());
        let expected = [format!("the backend says: {forged}"), "a spill".to_owned()];
        assert_eq!(reported_warnings(&finished), expected);
    }

    #[test]
    fn an_answer_without_a_checksum_verifies_nothing() {
        for (checksum, is_one) in
            [("", false), (" ", false), ("0", false), (&"g".repeat(32), false), (&"0f".repeat(16), true)]
        {
            assert_eq!(is_checksum(checksum), is_one, "{checksum:?}");
        }
    }

    #[test]
    fn a_clock_that_stops_early_gives_a_warning() {
        assert_eq!(understated(&Finished { elapsed_time: Some(1.31), ..finished() }, 1.0), None);
        let warning = understated(&Finished { elapsed_time: Some(0.5), ..finished() }, 1.0).unwrap();
        assert!(warning.contains("claims 0.500 s") && warning.contains("measured 1.500 s"), "{warning}");
        // An open loop that began half a second before the call.
        let honest = Finished { elapsed_time: Some(0.99), begun_seconds: Some(0.5), ..finished() };
        assert_eq!(understated(&honest, 1.0), None);
        assert!(understated(&Finished { elapsed_time: Some(0.5), ..honest }, 1.0).is_some());
    }
}
