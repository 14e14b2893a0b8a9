//! The cheats: what each does, and what detects it, or why nothing does. `docs/method.md` has the same table.

use std::iter;
use std::sync::LazyLock;

use serde::Serialize;

use crate::worker::cheat::Cheat;

/// The page that documents the cheats. What detects each, or why nothing does, is taken from its table.
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
    /// It has figures, and no verdict: together its runs are in doubt, or too few of them are verified.
    Doubted,
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
    /// How it must end; nothing for a cheat that is not detected.
    pub caught: &'static [How],
    /// The check that detects it, or why none does.
    pub by: &'static str,
}

/// All cheats; the honest backend comes first, and what is not detected comes last.
pub(crate) static TABLE: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let honest = Row {
        cheat: Some(Cheat::None),
        does: "tells the truth",
        caught: &[How::Believed],
        by: "nothing: it is verified",
    };
    // A test finds a cheat that the page does not have.
    let by = |does| documented(does).map_or("", |[_, by, _]| by);
    let row = |cheat, caught, does| Row { cheat, does, caught, by: by(does) };
    let tried = CHEATS.iter().map(|&(cheat, caught, does)| row(cheat, caught, does));
    let undetected = UNDETECTED.iter().map(|&does| row(None, &[], does));
    iter::once(honest).chain(tried).chain(undetected).collect()
});

/// What the page has of what a backend `does`: whether it is caught, by what, and where it is tried.
fn documented(does: &str) -> Option<[&'static str; 3]> {
    let (_, section) = PAGE.split_once("\n## Backends that cheat\n")?;
    let cells =
        section.lines().find_map(|line| line.strip_prefix("| ")?.strip_prefix(does)?.strip_prefix(" | "))?;
    cells.trim_end_matches(" |").split(" | ").collect::<Vec<_>>().try_into().ok()
}

const CHEATS: [(Option<Cheat>, &[How], &str); 49] = [
    (Some(Cheat::Drop), &[How::WrongAnswer], "drops an item"),
    (Some(Cheat::Duplicate), &[How::WrongAnswer], "duplicates an item in place of another"),
    (Some(Cheat::FlipBit), &[How::WrongAnswer], "flips a bit"),
    (Some(Cheat::Cached), &[How::WrongAnswer], "gives the answer of the run before"),
    (Some(Cheat::CachedOnDisk), &[How::WrongAnswer], "gives the answer of an earlier session, from the disk"),
    (
        Some(Cheat::GuessSeed),
        &[How::GainedNothing],
        "computes answers ahead, for seeds that follow from that of a warm-up",
    ),
    (Some(Cheat::Memoise), &[How::Invalid], "remembers answers within a session, by their data"),
    (Some(Cheat::RememberOnDisk), &[How::Invalid], "remembers answers on the disk, by their data"),
    (
        Some(Cheat::AnswerBeforeRun),
        &[How::Invalid],
        "computes the answer while the run is prepared, before the clock",
    ),
    (
        Some(Cheat::AnswerBeforeRunAndBurn),
        &[How::Invalid],
        "does so, and burns the time that the work takes while the run is timed",
    ),
    (Some(Cheat::SkipKernel), &[How::WrongAnswer], "skips the work"),
    (Some(Cheat::SkipIterations), &[How::WrongAnswer], "patches the kernel: half of its iterations"),
    (Some(Cheat::ClosedForm), &[How::Invalid], "patches the kernel: the right result by a shorter way"),
    (
        Some(Cheat::ClosedFormAndWait),
        &[How::Invalid],
        "takes that shorter way, and waits as long as the work takes",
    ),
    (
        Some(Cheat::IdleSweep),
        &[How::Invalid],
        "does so in a sweep for METG, to look like an engine without overhead",
    ),
    (
        Some(Cheat::GraphAhead),
        &[How::Invalid, How::GainedNothing],
        "has the answer of a graph before the run, which takes as long as its tasks would if none needed another",
    ),
    (Some(Cheat::AskOracle), &[How::Refused], "asks the workload for the expected answer"),
    (Some(Cheat::AskCopy), &[How::Invalid], "loads the workload's library again, and asks that copy"),
    (Some(Cheat::PoisonJudge), &[How::GainedNothing], "alters and leaves files, to mislead the judge"),
    (None, &[How::GainedNothing], "changes the file of the workload's library while the judge has it open"),
    (None, &[How::Warning], "changes installed engines or files of plugins, to slow another backend"),
    (
        None,
        &[How::Warning],
        "adds a module, compiled code or an environment to an installed engine in Python, to slow it",
    ),
    (Some(Cheat::AlterRecords), &[How::Altered], "alters the records of a comparison that goes on"),
    (Some(Cheat::StopClockEarly), &[How::Warning], "stops its clock early"),
    (Some(Cheat::Stall), &[How::Warning], "stalls behind its own clock"),
    (Some(Cheat::ClaimMoreTime), &[How::Invalid], "claims more time than passed"),
    (Some(Cheat::SlowClock), &[How::Invalid], "slows the clock of its process"),
    (None, &[How::Doubted], "slows that clock by less than a call may take"),
    (
        None,
        &[How::Invalid],
        "keeps the cores busy after such a run, so that the machine looks slow and a call may take longer",
    ),
    (Some(Cheat::ClaimMoreResults), &[How::Invalid], "claims another count"),
    (Some(Cheat::OtherName), &[How::Invalid], "reports another's name"),
    (Some(Cheat::MoreParallelism), &[How::Invalid], "works with more at once than asked for"),
    (
        Some(Cheat::MoreThreads),
        &[How::Invalid, How::GainedNothing, How::Warning],
        "computes with four times the threads that it was allowed",
    ),
    (None, &[How::Invalid], "uses more cores than `--cores` gave it"),
    (None, &[How::Warning], "runs on other cores than `--cores` gave it"),
    (Some(Cheat::RaisePriority), &[How::GainedNothing], "raises its priority over other programs"),
    (
        None,
        &[How::Warning],
        "kills its supervisor, where it is in no namespace, so that a process of it stays",
    ),
    (Some(Cheat::EarlyLoop), &[How::Invalid], "does the work of an open loop before it is due"),
    (
        Some(Cheat::LateStart),
        &[How::Refused],
        "starts an open loop later, so that its start-up in the run is in no latency",
    ),
    (
        Some(Cheat::TimesInClosedLoop),
        &[How::Refused],
        "adds times of an open loop to the state of other work, or leaves out those of an open loop",
    ),
    (None, &[How::Doubted], "is faster in the run that is measured, which it knows by counting the warm-ups"),
    (None, &[How::Doubted], "does a little less work than there is, within the tolerance of the bounds"),
    (None, &[How::Invalid], "stops one of its processes in a run that is slow, to have it run again"),
    (
        None,
        &[How::Doubted],
        "fails, or gives wrong answers, where it would be slow: in some blocks, or at some points",
    ),
    (
        None,
        &[How::Doubted],
        "says in slow trials of an open loop that other machines took part, so that these have no latency",
    ),
    (
        None,
        &[How::Doubted],
        "says in some sessions only that it runs tasks by their dependencies, to be compared with backends that do not",
    ),
    (
        None,
        &[How::GainedNothing],
        "says in the words of the host that its warm-ups did not settle, so that it may be faster than they are",
    ),
    (Some(Cheat::WorkAfterRun), &[How::Warning], "works after `run` has returned"),
    (Some(Cheat::ForgedStamps), &[], "forges the times in the items of an open loop"),
];

/// What is not detected, nor tried here.
const UNDETECTED: [&str; 42] = [
    "takes a shorter way in an open loop, or in work that also waits; or does that work ahead, and gives each item to the \
     sink when it is due",
    "starts an open loop later, in processes of its own or with a workload that it opened itself",
    "runs a graph of tasks in another form than it says, by a workload that it opened itself",
    "has an answer that it did not compute, and burns the time that the work takes",
    "gives an answer that it knows, where the data do not depend on the seed, as those of `null` and `scheduler_comparison`",
    "takes a shorter way where what its engine adds takes as long as the work",
    "exceeds a bound by less than the tolerance in few blocks, or by less than a tenth, or where the work is too short for \
     a bound or not in its sample",
    "does half of the work in a single run on a machine that other programs keep busy",
    "gains in a part of the blocks only, by a way that is not caught there",
    "takes a shorter way in a keyed reduction, of which it does a fifth",
    "has the memory of states cheaper than the reference has it, by huge pages or an allocator of its own",
    "slows its clock by less than a call may take in a single run, or where fewer than six blocks or no other backend is beside it, \
     or where all beside it do so too, as the two names of an A/A comparison; or in every run by no more than 20 ms and 5 % of it",
    "claims what the host's clock shows, so that what a call takes counts against the others",
    "does a part of what its engine adds to the work while the run is prepared, within the bound on preparing; or rests then, \
     so that the processor is cooler and other programs are quiet, or warms up for longer",
    "puts off what its engine adds until the run is over, within a tenth of the CPU time of the run or 0.05 s",
    "has no stable speed in its warm-ups, and another one in the run that is measured",
    "handles many items, or all stages, as one task where a batch of one item and `fusion=off` ask for a task each",
    "is inefficient with the longest kernels in some blocks of a sweep, which then have no value",
    "says that it does not support the points at which it is slow",
    "is slow, and fails in a block or is unsteady, so that no verdict says so",
    "makes crossrun stop in a slow run, as by a full disk or another file in the place of its own, so that `--resume` runs it \
     again",
    "lets the time of `--time-budget` pass while it starts or stops, where the blocks so far suit it",
    "is favoured by the library of the workload, which can tell in whose process it runs",
    "names a scheduler or a version that it did not use",
    "hides CPU time in processes that exit during a run and that nobody waits for",
    "hides memory: in processes that exit during a run, in files, pipes and devices, or by resetting its own peak or \
     sharing pages at the end",
    "works while `crossrun run` takes the serial reference, so that it takes longer",
    "slows the backend after it, or has it fail, by what is left when its processes are gone: pages that are still to be \
     written, files in memory, a full disk, a file cache without the files of others, memory in pieces, ports that stay in \
     use for a while, heat",
    "has a program outside its processes work for it or against others, such as a service manager, moves to another \
     control group or changes one, or changes the machine with the rights of root",
    "keeps the cores busy after a run that it timed too short, by processes that were there before it and end meanwhile",
    "has the system's own threads keep the cores busy after a run that it timed too short, as by pages to be written to an \
     encrypted or compressed disk, or by packets to itself",
    "sends crossrun many messages in a run that it timed too short, so that crossrun waits for a core again and again on a \
     busy machine",
    "takes a larger share of cores that others use too, by many threads, or by a session (`setsid`) of its own for each process",
    "makes the references vary that are taken again, beside its engine, when its run breaks a bound",
    "stretches the time between two readings of CPU time, by hundreds of processes that are read one after the other, and \
     uses more cores than `--cores` gave it",
    "runs on other cores than `--cores` gave it, and is back when the run is over",
    "adds a file of records to the folder of a comparison that goes on",
    "adds to the history of the machine, or to what another program of the user reads, such as the engine of another \
     backend",
    "changes installed engines before the comparison, as when it was listed, set up or measured alone",
    "alters the records of earlier runs, and computes their hashes anew",
    "works on other machines than it says, or takes a shorter way on several machines",
    "attacks this program, or the memory of the judge's process; or has it stand still in a slow run, by a lack of memory or, \
     in no namespace, by a signal",
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_document_has_the_same_table_and_names_tests_that_exist() {
        for row in &TABLE[1..] {
            let [caught, _, tests] =
                documented(row.does).unwrap_or_else(|| panic!("docs/method.md lacks {row:?}"));
            let expected = match row.caught {
                [] => "no",
                [How::GainedNothing] => "prevented",
                _ => "yes",
            };
            assert_eq!(caught, expected, "{row:?}");
            assert!(!row.by.is_empty(), "{row:?}");
            assert_eq!(tests.contains("`tests/selftest.rs`"), row.cheat.is_some(), "{row:?}");
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            for file in tests.split('`').filter(|word| word.starts_with("tests/")) {
                assert!(folder.join(file).is_file(), "{row:?}");
            }
        }
        let (_, section) = PAGE.split_once("\n## Backends that cheat\n").unwrap();
        let lines = section.lines().skip_while(|line| !line.starts_with("|---"));
        let documented: Vec<_> =
            lines.skip(1).map_while(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
        assert_eq!(documented, TABLE[1..].iter().map(|row| row.does).collect::<Vec<_>>());
    }

    #[test]
    fn every_cheat_has_one_row_and_the_honest_one_is_first() {
        let mut cheats: Vec<_> = TABLE.iter().filter_map(|row| row.cheat).map(|cheat| cheat as u8).collect();
        assert_eq!(cheats.first(), Some(&(Cheat::None as u8)));
        cheats.sort_unstable();
        assert_eq!(cheats, (0..=Cheat::WorkAfterRun as u8).collect::<Vec<_>>());
    }
}
