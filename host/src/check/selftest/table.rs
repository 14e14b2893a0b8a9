//! The cheats: what each does, and what detects it, or why nothing does. The table is that of `docs/method.md`.

use std::iter;
use std::sync::LazyLock;

use serde::Serialize;

use crate::worker::cheat::Cheat;

/// The page that documents the cheats. Which there are, what detects each, or why nothing does, is taken from its table.
const PAGE: &str = include_str!("../../../../docs/method.md");

/// How an attempt to cheat ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// It has figures, as an honest run.
    Believed,
    #[serde(rename = "wrong answer")]
    WrongAnswer,
    #[serde(rename = "invalid measurement")]
    Invalid,
    Warning,
    /// The call failed with an error of the backend's.
    Refused,
    /// The call failed in another way.
    Failed,
    /// The records were found to be altered, and were put right.
    #[serde(rename = "altered records")]
    Altered,
    /// It has figures, which are no better than those of an honest run.
    #[serde(rename = "gained nothing")]
    GainedNothing,
}

/// A way to cheat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The cheat of the backend; `None` for one that is not tried here: not at all, or in the tests of this repository only.
    pub cheat: Option<Cheat>,
    /// What the backend does.
    pub does: &'static str,
    /// Whether anything detects or prevents it.
    pub is_caught: bool,
    /// How it must end, if it is tried here; nothing for a cheat that is not detected.
    pub caught: &'static [How],
    /// The check that detects it, or why none does.
    pub by: &'static str,
}

/// All cheats; the honest backend comes first, and what is not detected comes last.
pub(crate) static TABLE: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let honest = Row {
        cheat: Some(Cheat::None),
        does: "tells the truth",
        is_caught: true,
        caught: &[How::Believed],
        by: "nothing: it is verified",
    };
    let row = |[does, caught, by, _]: [&'static str; 4]| {
        let tried = CHEATS.iter().find(|(_, _, tried)| *tried == does);
        let (cheat, how) = tried.map(|(cheat, how, _)| (*cheat, *how)).unzip();
        Row { cheat, does, is_caught: caught != "no", caught: how.unwrap_or_default(), by }
    };
    iter::once(honest).chain(documented().map(row)).collect()
});

/// The rows of the page: what a backend does, whether it is caught, by what or why not, and where it is tried.
fn documented() -> impl Iterator<Item = [&'static str; 4]> {
    let section = PAGE.split_once("\n## Backends that cheat\n").map_or("", |(_, section)| section);
    let lines = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    lines.map_while(|line| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
        cells.collect::<Vec<_>>().try_into().ok()
    })
}

/// The cheats that are tried here, how each must end, and what it does, as the page says that.
const CHEATS: &[(Cheat, &[How], &str)] = &[
    (Cheat::Drop, &[How::WrongAnswer], "drops an item"),
    (Cheat::Duplicate, &[How::WrongAnswer], "duplicates an item in place of another"),
    (Cheat::FlipBit, &[How::WrongAnswer], "flips a bit"),
    (Cheat::Cached, &[How::WrongAnswer], "gives the answer of the run before"),
    (Cheat::CachedOnDisk, &[How::WrongAnswer], "gives the answer of an earlier session, from the disk"),
    (
        Cheat::GuessSeed,
        &[How::GainedNothing],
        "computes answers ahead, for seeds that follow from that of a warm-up",
    ),
    (Cheat::Memoise, &[How::Invalid], "remembers answers within a session, by their data"),
    (Cheat::RememberOnDisk, &[How::Invalid], "remembers answers on the disk, by their data"),
    (
        Cheat::AnswerBeforeRun,
        &[How::Invalid],
        "computes the answer while the run is prepared, before the clock",
    ),
    (
        Cheat::AnswerBeforeRunAndBurn,
        &[How::Invalid],
        "does so, and burns the time that the work takes while the run is timed",
    ),
    (Cheat::SkipKernel, &[How::WrongAnswer], "skips the work"),
    (Cheat::SkipIterations, &[How::WrongAnswer], "patches the kernel: half of its iterations"),
    (Cheat::ClosedForm, &[How::Invalid], "patches the kernel: the right result by a shorter way"),
    (
        Cheat::ClosedFormAndWait,
        &[How::Invalid],
        "takes that shorter way, and waits as long as the work takes",
    ),
    (
        Cheat::IdleSweep,
        &[How::Invalid],
        "does so in a sweep for METG, to look like an engine without overhead",
    ),
    (
        Cheat::GraphAhead,
        &[How::Invalid, How::GainedNothing],
        "has the answer of a graph before the run, which takes as long as its tasks would if none needed another",
    ),
    (Cheat::AskOracle, &[How::Refused], "asks the workload for the expected answer"),
    (Cheat::AskCopy, &[How::Invalid], "loads the workload's library again, and asks that copy"),
    (Cheat::PoisonJudge, &[How::GainedNothing], "alters and leaves files, to mislead the judge"),
    (Cheat::AlterRecords, &[How::Altered], "alters the records of a comparison that goes on"),
    (Cheat::StopClockEarly, &[How::Warning], "stops its clock early"),
    (Cheat::Stall, &[How::Warning], "stalls behind its own clock"),
    (Cheat::ClaimMoreTime, &[How::Invalid], "claims more time than passed"),
    (Cheat::SlowClock, &[How::Invalid], "slows the clock of its process"),
    (Cheat::ClaimMoreResults, &[How::Invalid], "claims another count"),
    (Cheat::OtherName, &[How::Invalid], "reports another's name"),
    (Cheat::MoreParallelism, &[How::Invalid], "works with more at once than asked for"),
    (
        Cheat::MoreThreads,
        &[How::Invalid, How::GainedNothing, How::Warning],
        "computes with four times the threads that it was allowed",
    ),
    (Cheat::RaisePriority, &[How::GainedNothing], "raises its priority over other programs"),
    (Cheat::EarlyLoop, &[How::Invalid], "does the work of an open loop before it is due"),
    (
        Cheat::LateStart,
        &[How::Refused],
        "starts an open loop later, so that its start-up in the run is in no latency",
    ),
    (
        Cheat::TimesInClosedLoop,
        &[How::Refused],
        "adds times of an open loop to the state of other work, or leaves out those of an open loop",
    ),
    (Cheat::WorkAfterRun, &[How::Warning], "works after `run` has returned"),
    (Cheat::ForgedStamps, &[], "forges the times in the items of an open loop"),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_rows_of_the_document_are_whole_and_name_tests_that_exist() {
        let (_, section) = PAGE.split_once("\n## Backends that cheat\n").unwrap();
        let lines = section.lines().skip_while(|line| !line.starts_with('|')).skip(2);
        assert_eq!(documented().count(), lines.take_while(|line| line.starts_with('|')).count());
        for (row, [_, caught, _, tests]) in TABLE[1..].iter().zip(documented()) {
            let is_as_tried = match row.caught {
                [] if row.cheat.is_none() => ["yes", "no", "prevented"].contains(&caught),
                [] => caught == "no",
                [How::GainedNothing] => caught == "prevented",
                _ => caught == "yes",
            };
            assert!(is_as_tried && !row.by.is_empty(), "{row:?}");
            assert_eq!(tests.contains("`tests/selftest.rs`"), row.cheat.is_some(), "{row:?}");
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            for file in tests.split('`').filter(|word| word.starts_with("tests/")) {
                assert!(folder.join(file).is_file(), "{row:?}");
            }
        }
    }

    #[test]
    fn every_cheat_has_one_row_and_the_honest_one_is_first() {
        let mut cheats: Vec<_> = TABLE.iter().filter_map(|row| row.cheat).map(|cheat| cheat as u8).collect();
        assert_eq!(cheats.first(), Some(&(Cheat::None as u8)));
        cheats.sort_unstable();
        assert_eq!(cheats, (0..=Cheat::WorkAfterRun as u8).collect::<Vec<_>>());
    }
}
