//! A query as a workload: what all have in common, and what each defines.

use std::time::Duration;

use plugin_api::serde_json::{Map, Value};
use plugin_api::workload::WATERMARKS;
use plugin_api::{BatchBuilder, Parameter, Parameters, Plan, Workload, WorkloadError, WorkloadSpec};

use super::arrivals;
use super::event::Event;
use super::generator::Generator;
use crate::record::{self, Column, Done, head, malformed};
use crate::schedule::Schedule;

/// The end of what does not end before the stream does.
pub(super) const NEVER: u64 = u64::MAX;

/// A query on the stream, as a workload.
pub(crate) struct Nexmark<Q> {
    stream: Generator,
    query: Q,
    /// When each event comes; `None` if it comes when it is asked for.
    arrivals: Option<Schedule>,
}

/// What one query does with the events.
pub(crate) trait Query: Send + Sync + Sized + 'static {
    const NAME: &'static str;
    const DESCRIPTION: &'static str;

    /// The fields of the answer; none where it is events.
    const ANSWER: &'static [Column];

    /// Whether something of its reductions ends before the stream does. Then, if it says nothing else, the key of every reduction
    /// begins with the end of a window.
    const CLOSES: bool;

    /// The parameters beside those of the stream.
    fn parameters() -> Vec<Parameter> {
        Vec::new()
    }

    fn open(parameters: &Parameters) -> Result<Self, WorkloadError>;

    fn plan() -> Plan;

    /// Applies a map, filter or flat map.
    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done;

    /// How many words at the start of a record that reaches the keyed reduction `stage` are its key.
    fn key_words(_stage: usize) -> usize {
        1
    }

    /// Adds a record to the accumulator of its key.
    fn fold(&self, stage: usize, accumulator: &mut Vec<u8>, record: &[u8]) -> Done {
        let _ = (accumulator, record);
        Err(not_reduced(stage))
    }

    /// Adds another accumulator of the same key.
    fn merge(&self, stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        let _ = (accumulator, other);
        Err(not_reduced(stage))
    }

    /// Pushes the records of a key.
    fn emit(&self, stage: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        let _ = (key, accumulator, out);
        Err(not_reduced(stage))
    }

    /// When what a record is a part of can end at the earliest.
    fn ends(&self, _stage: usize, record: &[u8]) -> Result<u64, WorkloadError> {
        window_end(record)
    }

    /// When the first part of an accumulator ends.
    fn closes(&self, _stage: usize, key: &[u8], _accumulator: &[u8]) -> Result<u64, WorkloadError> {
        window_end(key)
    }

    /// Pushes the records of what has ended at `time`, and removes it from the accumulator.
    fn close(
        &self,
        stage: usize,
        time: u64,
        key: &[u8],
        accumulator: &mut Vec<u8>,
        out: &mut BatchBuilder,
    ) -> Done {
        self.emit(stage, key, accumulator, out)?;
        self.drop_ended(accumulator, time)
    }

    /// Removes what [`Query::close`] has pushed at `time`: all of it, if a query says nothing else.
    fn drop_ended(&self, accumulator: &mut Vec<u8>, _time: u64) -> Done {
        accumulator.clear();
        Ok(())
    }

    /// Passes every record of the answer to `sink`. It reads the events in order and uses no code of the operators.
    fn oracle(&self, stream: &Generator, sink: &mut dyn FnMut(&[u8]));
}

/// The first word, which is the end of a window.
fn window_end(bytes: &[u8]) -> Result<u64, WorkloadError> {
    head(bytes).map(|[end]| end).ok_or_else(|| malformed(bytes))
}

fn not_reduced(stage: usize) -> WorkloadError {
    WorkloadError::Argument(format!("stage {stage} is no keyed reduction of this query"))
}

impl<Q: Query> Workload for Nexmark<Q> {
    const NAME: &'static str = Q::NAME;
    const DESCRIPTION: &'static str = Q::DESCRIPTION;

    fn parameters() -> Vec<Parameter> {
        let never_ends = !Q::CLOSES && Q::plan().has_reduction();
        [Generator::parameters(), Q::parameters(), arrivals::parameters(never_ends)].concat()
    }

    fn uses() -> Vec<&'static str> {
        if Q::CLOSES { vec![WATERMARKS] } else { Vec::new() }
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        let arrivals = arrivals::schedule(spec, parameters)?;
        Ok(Self { stream: Generator::new(spec, parameters), query: Q::open(parameters)?, arrivals })
    }

    fn plan(&self) -> Plan {
        Q::plan()
    }

    fn due(&self, index: u64) -> Option<Duration> {
        self.arrivals.as_ref().map(|schedule| Duration::from_nanos(schedule.due(index)))
    }

    // The host calls it for each event in a loop of its own.
    #[inline(always)]
    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        let event = self.stream.event(self.stream.number(index));
        out.push_with(|bytes| self.stream.encode(&event, bytes));
        Ok(())
    }

    #[inline(always)]
    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        self.query.apply(stage, item, out)
    }

    fn key<'a>(&self, stage: usize, item: &'a [u8]) -> &'a [u8] {
        // A record that is too short has no key; `fold` refuses it.
        item.get(..8 * Q::key_words(stage)).unwrap_or_default()
    }

    fn fold(&self, stage: usize, accumulator: &mut Vec<u8>, item: &[u8]) -> Done {
        self.query.fold(stage, accumulator, item)
    }

    fn merge(&self, stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        self.query.merge(stage, accumulator, other)
    }

    fn emit(&self, stage: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        self.query.emit(stage, key, accumulator, out)
    }

    fn watermark(&self, index: u64) -> u64 {
        self.stream.watermark(index)
    }

    fn ends(&self, stage: usize, item: &[u8]) -> Result<u64, WorkloadError> {
        if Q::CLOSES { self.query.ends(stage, item) } else { Ok(NEVER) }
    }

    fn closes(&self, stage: usize, key: &[u8], accumulator: &[u8]) -> Result<u64, WorkloadError> {
        if Q::CLOSES { self.query.closes(stage, key, accumulator) } else { Ok(NEVER) }
    }

    fn close(
        &self,
        stage: usize,
        time: u64,
        key: &[u8],
        accumulator: &mut Vec<u8>,
        out: &mut BatchBuilder,
    ) -> Done {
        self.query.close(stage, time, key, accumulator, out)
    }

    /// Events, and records of the answer. Records between stages are not described.
    fn describe(&self, stage: usize, item: &[u8]) -> Result<Option<Map<String, Value>>, WorkloadError> {
        match stage {
            _ if stage == 0 || Q::ANSWER.is_empty() => Event::describe(item).map(Some),
            _ if stage + 1 == Q::plan().sink() => Ok(Some(record::describe(Q::ANSWER, item)?.0)),
            _ => Ok(None),
        }
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        self.query.oracle(&self.stream, sink);
    }
}
