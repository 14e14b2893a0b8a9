//! What people read, with a word in the place of whatever differs from run to run.

use crate::support::{Place, Ran, shell_code};

/// How much of a text is replaced.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wording {
    /// Only the folders of the test: of what is made of planted records.
    Exact,
    /// Hashes, run ids, versions, what a build is, and the width of columns; what a busy machine adds is left out.
    Named,
    /// Numbers with a decimal point, too, as those are measured.
    Rounded,
    /// Every number with its unit.
    Bare,
}

/// Lines that begin like that depend on how busy the machine is, or on how the test was built.
const OF_THE_MACHINE: [&str; 14] = [
    // How many more notes there are.
    "! and ",
    "! debug builds were measured",
    "! did not settle in ",
    "! measured although the machine was ",
    "! preparing a run is not part of its time",
    "! ratios are paired by block:",
    "! other work ran while the reference was timed",
    "! the backend claims",
    "! the run used less CPU time or time than its work takes",
    "! the session was postponed",
    "! was run again: crossrun was stopped",
    "! ~ marks rows with runs that were measured before",
    "warning: the backend claims",
    "warning: the run used less CPU time or time than its work takes",
];

/// The values after these labels depend on the system and on how the test was built.
const FACTS: [&str; 5] = ["  build ", "  exports ", "  glibc ", "  needs ", "  size "];

/// A command with what it printed, behind `!` what it said on standard error, and its exit code.
pub(super) fn transcript(place: &Place, command: &str, ran: &Ran, wording: Wording) -> String {
    let code = shell_code(ran.output.status).map_or("none".to_owned(), |code| code.to_string());
    let (out, err) = (worded(place, &ran.stdout(), wording), worded(place, &ran.stderr(), wording));
    let err: String = err.lines().map(|line| format!("! {line}").trim_end().to_owned() + "\n").collect();
    format!("$ {command}\n{out}{err}= {code}\n\n")
}

/// `text` with the replacements of `wording`.
pub(super) fn worded(place: &Place, text: &str, wording: Wording) -> String {
    let text = text.replace(place.path().to_str().unwrap(), "PLACE");
    if wording == Wording::Exact {
        return text.lines().map(|line| line.to_owned() + "\n").collect();
    }
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let mut lines: Vec<_> = of_any_machine(&text).map(|line| line_worded(line, wording)).collect();
    if wording == Wording::Bare {
        // Which row of a comparison comes first depends on figures.
        let is_row = |line: &str| line.starts_with(' ') && line.ends_with("  0/0\n");
        lines.chunk_by_mut(|one, next| is_row(one) && is_row(next)).for_each(<[String]>::sort);
    }
    // How often a thing is done depends on figures.
    lines.dedup();
    lines.concat()
}

/// The lines but those of the machine. What is indented goes on with the line above.
fn of_any_machine(text: &str) -> impl Iterator<Item = &str> {
    let mut goes = false;
    text.lines().filter(move |line| {
        goes = OF_THE_MACHINE.iter().any(|start| line.starts_with(start))
            || line.contains(" is postponed: ")
            || (goes && line.starts_with("  "));
        !goes
    })
}

fn line_worded(line: &str, wording: Wording) -> String {
    if let Some(fact) = FACTS.iter().find(|fact| line.starts_with(*fact)) {
        return format!("{fact} FACT\n");
    }
    let line = replaced(line, |word| match word {
        _ if is_run_id(word) => "RUN".into(),
        _ if is_hash(word) => "HASH".into(),
        _ if wording >= Wording::Rounded => without_decimals(word),
        _ => word.into(),
    });
    let line = if wording == Wording::Bare { bare(&line) } else { line };
    narrowed(&line).trim_end().to_owned() + "\n"
}

/// How wide a column is depends on figures, and on how long the path of a folder is.
fn narrowed(line: &str) -> String {
    let mut text = String::new();
    for c in line.chars() {
        if c != ' ' || !text.ends_with("  ") {
            text.push(c);
        }
    }
    text
}

/// Every word of letters, digits, hyphens and points through `change`.
fn replaced(line: &str, change: impl Fn(&str) -> String) -> String {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let mut text = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(is_of_word) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|c| !is_of_word(c)).unwrap_or(from.len()));
        text = text + before + &change(word);
        rest = after;
    }
    text + rest
}

/// `20261126T140947.175991Z-20310`.
fn is_run_id(word: &str) -> bool {
    let digits = |part: &str| part.chars().filter(char::is_ascii_digit).count();
    word.split_once('T').is_some_and(|(date, time)| digits(date) == 8 && time.contains("Z-"))
}

fn is_hash(word: &str) -> bool {
    word.len() >= 16
        && word.chars().all(|c| c.is_ascii_hexdigit())
        && word.contains(|c: char| c.is_ascii_digit())
}

/// `12.34s` becomes `0.0s`.
fn without_decimals(word: &str) -> String {
    let end = word.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(word.len());
    let (number, unit) = word.split_at(end);
    if number.parse::<f64>().is_ok() && number.contains('.') { format!("0.0{unit}") } else { word.into() }
}

/// A line without its figures and their units.
fn bare(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.split(' ') {
        let word = without_digits(word);
        match word.as_str() {
            // Thousands and millions.
            "k" | "M" | "G" if words.last().is_some_and(|last| last == "0") => {}
            "ns" | "µs" | "ms" | "min" if words.last().is_some_and(|last| last == "0") => {
                words.push("s".into())
            }
            // On a busy machine a tree has a GiB before somebody looks.
            "GiB" if words.last().is_some_and(|last| last == "0") => words.push("MiB".into()),
            _ => words.push(word),
        }
    }
    words.join(" ")
}

/// `12.5×` and `3×` become `0×`, and so does `~3×`: it marks what was measured before the warm-ups had settled.
fn without_digits(word: &str) -> String {
    let word = word.strip_prefix('~').unwrap_or(word);
    let mut text = String::new();
    for c in word.chars() {
        match c {
            '.' | '0'..='9' if text.ends_with('0') => {}
            '0'..='9' => text.push('0'),
            _ => text.push(c),
        }
    }
    text
}
