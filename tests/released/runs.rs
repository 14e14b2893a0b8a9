//! `run`: what it prints, what it records of every way in which a trial can end, and what it leaves.

use super::shapes::Shapes;
use super::text::{Wording, transcript};
use super::{both, files, lines_of, released, words};
use crate::session::unspoilt;
use crate::support::without_chain;

/// What a trial is called here, its backend, and the options with which it ends as it is called.
const TRIALS: [(&str, &str, &str); 17] = [
    ("verified", "native", "--workload pipeline --items 100"),
    (
        "open_loop",
        "native",
        "--workload open_loop --items 800 --parallelism 1 --extra rate=1000000 --extra iters=100000",
    ),
    ("long", "native", "--workload word_count --items 2000000 --extra batch_size=10000"),
    ("not_isolated", "native", "--isolation none --no-lock"),
    ("warned", "native", "--cores 1 --scheduler magic --extra nobody=1"),
    ("wrong", "misbehaving", "--extra behaviour=drop"),
    ("invalid", "misbehaving", "--extra behaviour=claim_more_time"),
    ("failed", "misbehaving", "--extra behaviour=error"),
    ("failed_to_open", "misbehaving", "--extra behaviour=error --extra at=open"),
    ("failed_to_close", "misbehaving", "--extra behaviour=error --extra at=close"),
    ("panicked", "misbehaving", "--extra behaviour=panic"),
    ("crashed", "misbehaving", "--extra behaviour=segfault"),
    ("timed_out", "misbehaving", "--extra behaviour=sleep --timeout 100ms"),
    ("many_bytes", "misbehaving", "--extra behaviour=allocate --memory-limit 300MiB"),
    ("many_processes", "misbehaving", "--extra behaviour=fork_bomb --process-limit 30"),
    ("printed", "misbehaving", "--extra behaviour=print"),
    ("left_a_process", "misbehaving", "--extra behaviour=grandchild"),
];

#[test]
fn runs() {
    let place = both();
    let (mut records, mut said) = (Shapes::default(), String::new());
    for (name, backend, options) in TRIALS {
        let workload = if options.contains("--workload") { "" } else { " --workload null" };
        let command =
            format!("run --backend {backend}{workload} {options} --output-dir made/{name} --run-id {name}");
        // How far it was beyond a limit depends on when somebody looked.
        let wording = if name.starts_with("many_") { Wording::Bare } else { Wording::Rounded };
        let ran = unspoilt(|| {
            let _ = std::fs::remove_dir_all(place.path().join("made").join(name));
            words(&place, &command)
        });
        said += &transcript(&place, &command, &ran, wording);
        let trials = lines_of(&place, &format!("made/{name}/trials.jsonl"));
        assert_eq!(trials.len(), 1, "{name}");
        records.add(name, &trials[0]);
        let unified = lines_of(&place, &format!("made/{name}/unified_results.jsonl"));
        let unified: Vec<_> = unified.into_iter().map(without_chain).collect();
        assert_eq!(unified, [trials[0]["record"].clone()], "{name}");
    }
    let table = std::fs::read_to_string(place.path().join("made/verified/unified_results.csv")).unwrap();
    said += &format!("unified_results.csv\n{}\n", table.lines().next().unwrap());
    released("run", said);
    released("run_records", records.render());
    released("run_files", files(&place));
}

#[test]
fn what_run_prints_as_json_is_the_record() {
    let place = both();
    for (backend, code) in [("native", 0), ("misbehaving", 5)] {
        let run = format!(
            "run --json --backend {backend} --workload null --extra behaviour=drop --output-dir {backend}"
        );
        let printed = words(&place, &run).code(code).json();
        let unified = lines_of(&place, &format!("{backend}/unified_results.jsonl"));
        assert_eq!(unified.into_iter().map(without_chain).collect::<Vec<_>>(), [printed]);
    }
}
