//! The ways in which the backend of `selftest` cheats.

use serde::{Deserialize, Serialize};

/// The participant's name.
pub(crate) const NAME: &str = "liar";

/// The metric that says whether a backend gave an answer that it had before the run.
pub(crate) const GAINED: &str = "gained";

/// A way to cheat; the table of `check::selftest` says what each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cheat {
    None,
    Drop,
    Duplicate,
    FlipBit,
    Cached,
    CachedOnDisk,
    GuessSeed,
    Memoise,
    RememberOnDisk,
    AnswerBeforeRun,
    AnswerBeforeRunAndBurn,
    SkipKernel,
    SkipIterations,
    ClosedForm,
    ClosedFormAndWait,
    IdleSweep,
    GraphAhead,
    AskOracle,
    AskCopy,
    PoisonJudge,
    AlterRecords,
    StopClockEarly,
    Stall,
    ClaimMoreTime,
    SlowClock,
    ClaimMoreResults,
    OtherName,
    MoreParallelism,
    MoreThreads,
    RaisePriority,
    EarlyLoop,
    LateStart,
    TimesInClosedLoop,
    ForgedStamps,
    WorkAfterRun,
}
