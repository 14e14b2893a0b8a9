//! Standard output and terminals: a full disk, a closed pipe, a terminal without a width or without colours, usage errors as JSON.

use std::fs::File;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::field::wrappers::with_environment_of;
use crate::support::{Place, Ran, executable, not_run};

/// Verbs that print a result and need no more than records in `results/pipeline`, which [`recorded`] makes.
const PRINTING: [&[&str]; 13] = [
    &["run", "--backend", "native", "--no-lock"],
    &["run", "--backend", "native", "--no-lock", "--json"],
    &["report", "results/pipeline"],
    &["report", "results/pipeline", "--json"],
    &["diff", "results/pipeline", "results/pipeline"],
    &["show", "results/pipeline"],
    &["backends", "--no-probe"],
    &["backends", "check", "--list"],
    &["workloads"],
    &["doctor"],
    &["completions", "bash"],
    &["--help"],
    &["run", "--help"],
];

fn recorded() -> Place {
    let place = Place::new();
    place.crossrun(&["run", "--backend", "native", "--workload", "pipeline", "--no-lock"]).code(0);
    place
}

#[test]
fn a_result_that_could_not_be_printed_is_exit_1_for_every_verb() {
    let place = recorded();
    for verb in PRINTING {
        let mut command = place.command(verb);
        command.stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
        let ran = Ran::ended(command.spawn().unwrap());
        // A comparison of runs that have too little in common has a worse code of its own.
        assert!(matches!(ran.output.status.code(), Some(1 | 6)), "{verb:?}: {}", ran.explain());
        ran.says("standard output").says("No space left on device");
    }
}

#[test]
fn a_pipe_that_is_closed_is_no_failure() {
    let place = recorded();
    for verb in PRINTING.into_iter().filter(|verb| verb[0] != "diff") {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = place.command(verb);
        command.stdout(writer).stderr(Stdio::piped());
        let ran = Ran::ended(command.spawn().unwrap()).code(0);
        assert!(!ran.stderr().contains("standard output"), "{}", ran.explain());
    }
}

#[test]
fn a_usage_error_is_json_on_standard_output_too() {
    let place = Place::empty();
    for (arguments, words, remedy) in [
        (&["run", "--json", "--nope"][..], "unexpected argument '--nope' found", "crossrun run --help"),
        (&["--json"], "requires a subcommand", "crossrun --help"),
        (&["compare", "--json", "--items", "x"], "is not a count such as 1000", "--help"),
        (&["report", "--json"], "<PATH>...", "crossrun report --help"),
    ] {
        // Without the folder of plugins, which is an option more.
        let mut command = with_environment_of(&place.command(&[]), Command::new(executable()));
        command.args(arguments);
        let ran = Ran::of(command).code(2);
        let error = &ran.json()["error"];
        let told = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        assert!(told("message").contains(words) && !told("message").contains('\n'), "{}", ran.explain());
        assert!(told("remedy").contains(remedy), "{}", ran.explain());
        assert_eq!(error["exit_code"], Value::from(2));
        assert!(!ran.stderr().is_empty());
    }
    // After `--`, it is a value.
    let ran = Ran::of({
        let mut command = with_environment_of(&place.command(&[]), Command::new(executable()));
        command.args(["run", "--nope", "--", "--json"]);
        command
    });
    assert_eq!(ran.code(2).stdout(), "");
}

/// Runs crossrun on a terminal of `columns`, with `variables`, and returns what the terminal got; nothing without `script`.
fn on_a_terminal(
    place: &Place,
    columns: u16,
    variables: &[(&str, &str)],
    arguments: &[&str],
) -> Option<String> {
    let inner = place.command(arguments);
    let words = std::iter::once(inner.get_program()).chain(inner.get_args());
    let words: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let line = format!("stty cols {columns} rows {columns}; {}", words.join(" "));
    let mut outer = Command::new("script");
    outer.args(["-qec", &line, "/dev/null"]).current_dir(place.path()).stdin(Stdio::null());
    let mut outer = with_environment_of(&inner, outer);
    // The user's own shell, which runs the line otherwise, may have another syntax.
    outer.env("SHELL", "/bin/sh").env("TERM", "xterm").envs(variables.iter().copied());
    let Ok(output) = outer.output() else {
        not_run("this machine has no `script`");
        return None;
    };
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_terminal_without_a_width_gets_whole_rows_and_columns_says_another() {
    let place = recorded();
    let path = place.plugins().join("libstandard_workloads.so");
    let listing = ["backends", "--no-probe"];
    let Some(wide) = on_a_terminal(&place, 0, &[], &listing) else { return };
    assert!(wide.contains(path.to_str().unwrap()), "{wide}");
    let narrow = on_a_terminal(&place, 0, &[("COLUMNS", "60")], &listing).unwrap();
    assert!(narrow.lines().all(|line| line.trim_end().chars().count() <= 60), "{narrow}");
    let report = on_a_terminal(&place, 0, &[], &["report", "results/pipeline"]).unwrap();
    assert!(report.contains("pipeline, 10 items, parallelism 2"), "{report}");
}

#[test]
fn colours_are_for_terminals_that_know_them_and_for_those_who_ask() {
    let place = recorded();
    let report = ["report", "results/pipeline"];
    let coloured = |text: &str| text.contains("\u{1b}[");
    let Some(plain) = on_a_terminal(&place, 90, &[], &report) else { return };
    assert!(coloured(&plain), "{plain}");
    for (variable, value) in [("NO_COLOR", "1"), ("TERM", "dumb"), ("CLICOLOR", "0")] {
        let text = on_a_terminal(&place, 90, &[(variable, value)], &report).unwrap();
        assert!(!coloured(&text), "{variable}: {text}");
    }
    let piped = |variables: &[(&str, &str)]| {
        let mut command = place.command(&report);
        command.envs(variables.iter().copied());
        coloured(&Ran::of(command).code(0).stdout())
    };
    assert!(!piped(&[]) && !piped(&[("CLICOLOR_FORCE", "0")]));
    assert!(piped(&[("CLICOLOR_FORCE", "1")]) && !piped(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn no_parquet_file_is_written_to_a_terminal() {
    let place = recorded();
    let report = ["report", "results/pipeline", "--format", "parquet"];
    let Some(text) = on_a_terminal(&place, 90, &[("NO_COLOR", "1")], &report) else { return };
    assert!(text.contains("a Parquet file is no text for a terminal; try: --output with a file"), "{text:?}");
    assert!(!text.contains("PAR1"), "{text:?}");
    // Another program may read it.
    assert!(place.crossrun(&report).code(0).output.stdout.starts_with(b"PAR1"));
}

#[test]
fn a_dumb_terminal_gets_no_moving_cursor() {
    let place = Place::new();
    let run = ["run", "--backend", "native", "--workload", "pipeline", "--items", "50", "--no-lock"];
    let Some(text) = on_a_terminal(&place, 90, &[("TERM", "dumb")], &run) else { return };
    assert!(!text.contains('\u{1b}') && text.contains("verified: "), "{text:?}");
}

#[test]
fn a_run_needs_no_locale() {
    let place = Place::new();
    let mut command = place.command(&["run", "--backend", "native", "--no-lock", "--output-dir", "é ü"]);
    let kept = ["PATH", "TMPDIR"].map(|name| (name, std::env::var_os(name)));
    command.env_clear().env("CROSSRUN_DATA_DIR", place.data());
    command.envs(kept.into_iter().filter_map(|(name, value)| Some((name, value?))));
    Ran::of(command).code(0);
    assert!(place.path().join("é ü/trials.jsonl").is_file());
}
