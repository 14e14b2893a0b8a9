//! The cheats: what each does, and what detects it, or why nothing does. `docs/method.md` has the same table.

use serde::{Serialize, Serializer};

use crate::worker::cheat::Cheat;

/// How an attempt to cheat ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It has figures, as an honest run.
    Believed,
    WrongAnswer,
    Invalid,
    Warning,
    /// The call failed with an error of the backend's.
    Refused,
    /// The call failed in another way.
    Failed,
    /// The records were found to be altered, and were put right.
    Altered,
    /// It has figures, which are no better than those of an honest run.
    GainedNothing,
}

impl How {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Believed => "believed",
            Self::WrongAnswer => "wrong answer",
            Self::Invalid => "invalid measurement",
            Self::Warning => "warning",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Altered => "altered records",
            Self::GainedNothing => "gained nothing",
        }
    }
}

impl Serialize for How {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

/// A way to cheat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The cheat of the backend; `None` for one that is not tried.
    pub cheat: Option<Cheat>,
    /// What the backend does.
    pub does: &'static str,
    /// How it must end; nothing for a cheat that is not detected.
    pub caught: &'static [How],
    /// The check that detects it, or why none does.
    pub by: &'static str,
}

const fn tried(cheat: Cheat, does: &'static str, caught: &'static [How], by: &'static str) -> Row {
    Row { cheat: Some(cheat), does, caught, by }
}

const fn not_tried(does: &'static str, why: &'static str) -> Row {
    Row { cheat: None, does, caught: &[], by: why }
}

/// All cheats; the honest backend comes first, and what is not detected comes last.
pub(crate) const TABLE: [Row; 32] = [
    tried(Cheat::None, "tells the truth", &[How::Believed], "nothing: it is verified"),
    tried(Cheat::Drop, "drops an item", &[How::WrongAnswer], COUNT),
    tried(Cheat::Duplicate, "duplicates an item in place of another", &[How::WrongAnswer], CHECKSUM),
    tried(Cheat::FlipBit, "flips a bit", &[How::WrongAnswer], CHECKSUM),
    tried(Cheat::Cached, "gives the answer of the run before", &[How::WrongAnswer], OTHER_DATA),
    tried(
        Cheat::CachedOnDisk,
        "gives the answer of an earlier session, from the disk",
        &[How::WrongAnswer],
        OTHER_DATA,
    ),
    tried(
        Cheat::GuessSeed,
        "computes answers ahead, for seeds that follow from that of a warm-up",
        &[How::GainedNothing],
        "no guess is right: each seed is a draw of its own",
    ),
    tried(Cheat::Memoise, "remembers answers within a session, by their data", &[How::Invalid], FRESH),
    tried(Cheat::RememberOnDisk, "remembers answers on the disk, by their data", &[How::Invalid], FRESH),
    tried(
        Cheat::SkipKernel,
        "skips the work",
        &[How::WrongAnswer],
        "the checksum: each item carries the result of its work",
    ),
    tried(
        Cheat::SkipIterations,
        "patches the kernel: half of its iterations",
        &[How::WrongAnswer],
        "the checksum: each item carries the result of its work",
    ),
    tried(
        Cheat::ClosedForm,
        "patches the kernel: the right result by a shorter way",
        &[How::Invalid],
        DURATION,
    ),
    tried(
        Cheat::ClosedFormAndWait,
        "takes that shorter way, and waits as long as the work takes",
        &[How::Invalid],
        "the bound on CPU time, from 50 ms of work on",
    ),
    tried(
        Cheat::AskOracle,
        "asks the workload for the expected answer",
        &[How::Refused],
        "the table of functions that a backend gets refuses the question",
    ),
    tried(
        Cheat::AskCopy,
        "loads the workload's library again, and asks that copy",
        &[How::Invalid],
        DURATION,
    ),
    tried(
        Cheat::PoisonJudge,
        "alters and leaves files, to mislead the judge",
        &[How::GainedNothing],
        "no file is believed: expected answers are in the memory of the host",
    ),
    tried(
        Cheat::AlterRecords,
        "alters the records of a comparison that goes on",
        &[How::Altered],
        "the records are compared with those in memory at the end, and put right; exit code 6",
    ),
    tried(Cheat::StopClockEarly, "stops its clock early", &[How::Warning], OWN_CLOCK),
    tried(Cheat::Stall, "stalls behind its own clock", &[How::Warning], OWN_CLOCK),
    tried(
        Cheat::ClaimMoreTime,
        "claims more time than passed",
        &[How::Invalid],
        "the clock of the worker around the run",
    ),
    tried(
        Cheat::SlowClock,
        "slows the clock of its process",
        &[How::Invalid],
        "the clock of the host from request to reply, if more is missing than a call takes",
    ),
    tried(
        Cheat::ClaimMoreResults,
        "claims another count",
        &[How::Invalid],
        "the count in the state of the sink",
    ),
    tried(
        Cheat::OtherName,
        "reports another's name",
        &[How::Invalid],
        "the name in the metadata of its file",
    ),
    tried(
        Cheat::MoreParallelism,
        "works with more at once than asked for",
        &[How::Invalid],
        "the time that operators wait, divided by the parallelism",
    ),
    tried(
        Cheat::MoreThreads,
        "computes with four times the threads that it was allowed",
        &[How::Invalid, How::GainedNothing],
        "the bound on duration; where no cores are free, it gains nothing",
    ),
    tried(
        Cheat::EarlyLoop,
        "does the work of an open loop before it is due",
        &[How::Invalid],
        "the time at which the last item is due",
    ),
    tried(
        Cheat::WorkAfterRun,
        "works after `run` has returned",
        &[How::Warning],
        "a warning, by the CPU time between runs",
    ),
    tried(
        Cheat::ForgedStamps,
        "forges the times in the items of an open loop",
        &[],
        "no checksum covers times, and only the sink, in the process of the backend, knows when an item came",
    ),
    not_tried(
        "has an answer that it did not compute, and burns the time that the work takes",
        "it is as slow as an honest one, but its figures say nothing of its engine",
    ),
    not_tried(
        "exceeds a bound by less than the tolerance, or where the work is too short for a bound",
        "honest runs on a busy machine do so too",
    ),
    not_tried(
        "works on other machines than it says",
        "what other machines do is not seen; the record says `not checked`",
    ),
    not_tried(
        "attacks this program, the process of the judge, or the files of plugins",
        "it runs with all rights of its user; `--locked` protects the files of plugins only",
    ),
];

const COUNT: &str = "the count in the state of the sink";
const CHECKSUM: &str = "the checksum in the state of the sink";
const OTHER_DATA: &str = "the checksum: every trial has other data";
const FRESH: &str = "fresh data for every trial; on the same data again, the bound on duration";
const DURATION: &str = "the bound on duration, from 5 ms of work on";
const OWN_CLOCK: &str = "a warning: only the clock of the worker counts";

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/method.md");

    /// What the document has of a row before the tests that try it.
    fn documented(row: &Row) -> String {
        let caught = match row.caught {
            [] => "no",
            [How::GainedNothing] => "prevented",
            _ => "yes",
        };
        format!("| {} | {caught} | {} | ", row.does, row.by)
    }

    #[test]
    fn the_document_has_the_same_table_and_names_tests_that_exist() {
        let (_, section) = PAGE.split_once("\n## Backends that cheat\n").unwrap();
        let lines = section.lines().skip_while(|line| !line.starts_with("|---"));
        let lines: Vec<_> = lines.skip(1).take_while(|line| line.starts_with("| ")).collect();
        let rows = &TABLE[1..];
        for (row, line) in rows.iter().zip(&lines) {
            let documented = documented(row);
            let tests = line.strip_prefix(&documented);
            let tests = tests.unwrap_or_else(|| panic!("docs/method.md has\n{line}\nand not\n{documented}"));
            assert_eq!(tests.contains("`tests/selftest.rs`"), row.cheat.is_some(), "{line}");
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            for file in tests.split('`').filter(|word| word.starts_with("tests/")) {
                assert!(folder.join(file).is_file(), "{line}");
            }
        }
        assert_eq!(lines.len(), rows.len());
    }

    #[test]
    fn every_cheat_has_one_row_and_the_honest_one_is_first() {
        let mut cheats: Vec<_> = TABLE.iter().filter_map(|row| row.cheat).map(|cheat| cheat as u8).collect();
        assert_eq!(cheats.first(), Some(&(Cheat::None as u8)));
        cheats.sort_unstable();
        assert_eq!(cheats, (0..=Cheat::WorkAfterRun as u8).collect::<Vec<_>>());
    }
}
