//! What the README, the pages of `docs` and those of the backends show after `$ ` is what the command prints, figures apart.
//!
//! The commands of a page run in one shell, in a folder of their own, so that `cd` and `export` act on those after them. A block is
//! part of the quick test unless the line before it says otherwise: `<!-- run slowly -->`, `<!-- run with sage -->`, both, or
//! `<!-- not run: REASON -->`. On the page of an engine, a block needs that engine. A line `…` stands for any lines.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::installed_engine::Installed;
use crate::readme::pages;
use crate::session::was_spoilt_by_the_machine;
use crate::support::{Ran, eventually, executable, own_umask, plugin, repository, without_settings};

const ENGINES: [&str; 4] = ["sage", "ray", "dask", "spark"];

/// What a page says of when a block is run.
const MARKERS: [&str; 7] =
    ["", "slowly", "with sage", "slowly, with sage", "with ray", "with dask", "with spark"];

/// A command, and the lines that a page shows below it.
#[derive(Debug)]
struct Documented {
    line: usize,
    marker: String,
    command: String,
    shown: Vec<String>,
}

/// The pages that users read.
fn documents() -> impl Iterator<Item = PathBuf> {
    pages().into_iter().filter(|page| {
        let place = page.strip_prefix(repository()).unwrap();
        place == Path::new("README.md") || ["docs", "plugins"].iter().any(|folder| place.starts_with(folder))
    })
}

/// The engine that a page is about, if it is one that is installed.
fn engine_of(page: &Path) -> Option<&'static str> {
    let folder = page.parent()?.file_name()?.to_str()?;
    ENGINES.into_iter().find(|engine| folder.strip_suffix("_runner") == Some(engine))
}

/// What the line before a block says; none if the block is not run.
fn marker(page: &Path, before: &str) -> Option<String> {
    let comment = before.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
    match comment.map(|comment| comment.strip_prefix("run ").ok_or(comment)) {
        Some(Ok(marker)) => Some(marker.to_owned()),
        Some(Err(comment)) if comment.starts_with("not run: ") => None,
        _ => Some(engine_of(page).map_or_else(String::new, |engine| format!("with {engine}"))),
    }
}

/// The commands of a page that are run, whenever that is.
fn commands(page: &Path) -> Vec<Documented> {
    let text = fs::read_to_string(page).unwrap();
    // Of the block that is open: what its marker says, and how many commands stood before it.
    let (mut commands, mut before, mut block) = (Vec::new(), "", None);
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            block = if block.is_some() { None } else { Some((marker(page, before), commands.len())) };
        } else if let Some((Some(marker), first)) = &block {
            if let Some(command) = line.strip_prefix("$ ") {
                let (marker, command) = (marker.clone(), command.to_owned());
                commands.push(Documented { line: index + 1, marker, command, shown: Vec::new() });
            } else if commands.len() > *first {
                commands.last_mut().unwrap().shown.push(line.to_owned());
            }
        }
        before = line;
    }
    commands
}

/// A folder with the executable and all plugins, as a release has them. There is one for all runs of the tests: each would leave some
/// fifty megabytes.
fn installation() -> &'static Path {
    static INSTALLATION: OnceLock<PathBuf> = OnceLock::new();
    INSTALLATION.get_or_init(|| {
        own_umask();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("installation");
        let plugins = folder.join("plugins");
        fs::create_dir_all(&plugins).unwrap();
        let named =
            ["native", "python", "timely"].iter().chain(&ENGINES).map(|name| format!("{name}_runner"));
        let libraries = named.chain(["standard_workloads".to_owned()]).map(|name| plugin(&name));
        let libraries: Vec<_> = libraries.collect();
        for entry in fs::read_dir(&plugins).unwrap().flatten() {
            // That of a backend which has another name by now would be listed.
            if !libraries.iter().any(|library| library.ends_with(entry.file_name())) {
                let _ = fs::remove_file(entry.path());
            }
        }
        libraries.iter().for_each(|library| install(library, &plugins));
        install(executable(), &folder);
        // A copy may be open for writing in what another thread is just starting.
        let version = || Command::new(folder.join("crossrun")).arg("--version").output();
        eventually("the installed executable can be run", || version().is_ok());
        folder
    })
}

/// Puts a file into a folder of the installation, in the place of that of an earlier run, which another run may be using right now.
fn install(file: &Path, folder: &Path) {
    let name = file.file_name().unwrap().to_str().unwrap();
    // Beside the installation: no command may find it.
    let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.{}", std::process::id()));
    let _ = fs::remove_file(&new);
    // A file system may have no links, and refuse one to a file of another user.
    fs::hard_link(file, &new).or_else(|_| fs::copy(file, &new).map(drop)).unwrap();
    fs::rename(&new, folder.join(name)).unwrap();
    // If both are links to one file, the rename leaves both.
    let _ = fs::remove_file(&new);
}

/// A shell in a new folder, in which `crossrun` is found, with nothing of the caller's settings.
fn shell(folder: &Path, engine: Option<&Installed>) -> Command {
    let mut shell = Command::new("bash");
    without_settings(&mut shell);
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.as_encoded_bytes().starts_with(b"XDG_")) {
        shell.env_remove(name);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = [installation().to_owned()].into_iter().chain(std::env::split_paths(&path));
    shell.env("PATH", std::env::join_paths(path).unwrap()).env("HOME", folder).current_dir(folder);
    // Pages are tested side by side.
    shell.env("CROSSRUN_LOCK_FILE", folder.join(".measurement.lock"));
    if let Some(engine) = engine {
        shell.env("CROSSRUN_DATA_DIR", engine.data());
    }
    shell.stdin(Stdio::null());
    shell
}

/// What came of a command.
#[derive(Debug)]
struct Printed {
    stdout: String,
    stderr: String,
    code: i32,
}

/// Runs these commands one after the other.
fn run(commands: &[Documented], engine: Option<&Installed>) -> Vec<Printed> {
    own_umask();
    let folder = tempfile::tempdir().unwrap();
    let (here, errors) = (folder.path().join("here"), folder.path().join("errors"));
    fs::create_dir(&here).unwrap();
    let mut script = String::new();
    for Documented { command, .. } in commands {
        script += &format!(
            "{{ {command}\n}} 2>\"$ERRORS\"\nprintf '\\036%s\\036' \"$?\"\ncat \"$ERRORS\"\nprintf '\\036'\n"
        );
    }
    let mut shell = shell(&here, engine);
    shell.args(["-c", &script]).env("ERRORS", &errors);
    let said = Ran::of(shell).stdout();
    let parts: Vec<_> = said.split('\u{1e}').collect();
    let printed = parts.chunks_exact(3).map(|part| Printed {
        stdout: part[0].to_owned(),
        stderr: part[2].to_owned(),
        code: part[1].parse().unwrap(),
    });
    printed.collect()
}

/// A word without what differs from run to run and from machine to machine: numbers, hashes but checksums, and folders.
fn word_without_figures(word: &str) -> String {
    // It marks the time of a row whose warm-ups had not settled.
    let word = word.strip_prefix('~').unwrap_or(word);
    // What an item costs beyond the work may be less than nothing, as the work is measured too.
    let is_figure = |rest: &&str| rest.starts_with(|c: char| c.is_ascii_digit());
    let word = word.strip_prefix('-').filter(is_figure).unwrap_or(word);
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    if bare.len() >= 8 && bare.chars().all(|c| c.is_ascii_hexdigit()) {
        let is_checksum = bare.len() == 32;
        return if is_checksum { word.to_owned() } else { "#".to_owned() };
    }
    let word = match word.rsplit_once('/') {
        Some((folder, file)) if folder.is_empty() || folder.starts_with(['/', '…']) => file,
        _ => word,
    };
    let mut kept = String::new();
    for c in word.chars() {
        if c.is_ascii_digit() {
            kept.truncate(kept.trim_end_matches(['.', ',', '#']).len());
        }
        kept.push(if c.is_ascii_digit() { '#' } else { c });
    }
    kept
}

/// Numbers have one of these behind them, or none.
const UNITS: [&str; 12] = ["ns", "µs", "ms", "s", "min", "k", "M", "G", "B", "KiB", "MiB", "GiB"];
/// What is found depends on figures, and so does whether it is one regression or several.
const VERDICTS: &str = "faster slower equivalent inconclusive regression regressions improvement unchanged";

fn without_figures(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    // How many cores a machine has is a figure.
    for word in line.split_whitespace().map(|word| if word == "core" { "cores" } else { word }) {
        let bare = word.trim_end_matches([',', ')', ':']);
        let is_unit = UNITS.contains(&bare) && words.last().is_some_and(|last| last.ends_with('#'));
        if !is_unit {
            let is_verdict = VERDICTS.split(' ').any(|verdict| verdict == bare);
            words.push(if is_verdict { "VERDICT".into() } else { word_without_figures(word) });
        }
    }
    words.join(" ")
}

/// Whether a line is a row of a comparison: it ends with how many answers were verified.
fn is_row(line: &str) -> bool {
    let verified = line.rsplit(' ').next().and_then(|word| word.split_once('/'));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    line.starts_with(' ') && verified.is_some_and(|(some, all)| is_number(some) && is_number(all))
}

/// The lines that count: without notes, which tell how quiet the machine was, and without empty lines around them.
fn lines<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let kept = lines.filter(|line| !line.starts_with("! "));
    let mut kept: Vec<_> = kept.map(|line| (is_row(line), without_figures(line))).collect();
    // Which row of a comparison comes first depends on figures.
    kept.chunk_by_mut(|one, next| one.0 && next.0).for_each(<[_]>::sort);
    let kept: Vec<_> = kept.into_iter().map(|(_, line)| line).collect();
    kept.join("\n").trim().lines().map(str::to_owned).collect()
}

/// Whether this is what is shown: all of standard output, and of standard error what the author of the page chose.
fn fits(shown: &[String], stdout: &[String], stderr: &[String]) -> bool {
    match shown {
        [] => stdout.is_empty(),
        [any, rest @ ..] if any == "…" => {
            (0..=stdout.len()).any(|skipped| fits(rest, &stdout[skipped..], stderr))
        }
        [line, rest @ ..] => {
            (stdout.first() == Some(line) && fits(rest, &stdout[1..], stderr))
                || (stderr.contains(line) && fits(rest, stdout, stderr))
        }
    }
}

/// What is wrong with a command, if anything is.
fn fault(documented: &Documented, printed: &Printed) -> Option<String> {
    let Documented { line, command, shown, .. } = documented;
    let Printed { stdout, stderr, code } = printed;
    // What a page shows of a failure.
    let failures = ["error: ", "NOT CONFORMANT", "regressions: slower by"];
    let may_fail = shown.iter().any(|line| failures.iter().any(|failure| line.contains(failure)));
    let fits =
        || fits(&lines(shown.iter().map(String::as_str)), &lines(stdout.lines()), &lines(stderr.lines()));
    // On a busy machine a sweep may have no value, and a run may be invalid: then there is no time to print.
    let has_no_value = *code == 6 && command.starts_with("crossrun metg ");
    let is_expected = (*code == 0 || may_fail || has_no_value) && (shown.is_empty() || fits());
    let is_fine = is_expected || was_spoilt_by_the_machine(Some(*code), stderr);
    (!is_fine).then(|| {
        let shown = shown.join("\n");
        format!(
            "line {line}: $ {command}\nshown:\n{shown}\nprinted, with exit code {code}:\n{stdout}{stderr}"
        )
    })
}

/// Runs the commands with this marker, page by page.
fn documented_commands_print_what_is_shown(marker: &str) {
    let engine =
        marker.rsplit_once("with ").map(|(_, name)| ENGINES.into_iter().find(|it| *it == name).unwrap());
    let engine = engine.map(Installed::new);
    let (mut count, mut spoilt, mut faults) = (0, 0, Vec::new());
    for page in documents() {
        let commands: Vec<_> =
            commands(&page).into_iter().filter(|command| command.marker == marker).collect();
        let ran = run(&commands, engine.as_ref());
        assert_eq!(ran.len(), commands.len(), "{}: the shell ended early, after {ran:?}", page.display());
        let found = commands.iter().zip(&ran).filter_map(|(documented, printed)| fault(documented, printed));
        faults.extend(found.map(|fault| format!("{}, {fault}", page.display())));
        spoilt += ran.iter().filter(|it| was_spoilt_by_the_machine(Some(it.code), &it.stderr)).count();
        count += commands.len();
    }
    assert!(2 * spoilt <= count.max(4), "{spoilt} of {count} commands were spoilt by the machine");
    assert!(faults.is_empty(), "{} of {count}:\n\n{}", faults.len(), faults.join("\n\n"));
    assert!(count > 0, "no command is marked {marker:?}");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn quick_ones() {
    documented_commands_print_what_is_shown("");
}

#[test]
fn with_sage() {
    documented_commands_print_what_is_shown("with sage");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "installs Ray: CROSSRUN_TEST_ENGINES=all")]
fn with_ray() {
    documented_commands_print_what_is_shown("with ray");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "installs Dask: CROSSRUN_TEST_ENGINES=all")]
fn with_dask() {
    documented_commands_print_what_is_shown("with dask");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "installs Spark: CROSSRUN_TEST_ENGINES=all")]
fn with_spark() {
    documented_commands_print_what_is_shown("with spark");
}

#[test]
#[ignore = "takes minutes"]
fn slow_ones() {
    documented_commands_print_what_is_shown("slowly");
}

#[test]
#[ignore = "takes minutes"]
fn slow_ones_with_sage() {
    documented_commands_print_what_is_shown("slowly, with sage");
}

#[test]
fn every_command_is_run_or_says_why_not() {
    for page in documents() {
        for Documented { line, marker, .. } in commands(&page) {
            assert!(MARKERS.contains(&marker.as_str()), "{}, line {line}: {marker:?}", page.display());
        }
        let text = fs::read_to_string(&page).unwrap();
        let bare = text.lines().find(|line| line.starts_with("    crossrun "));
        assert_eq!(bare, None, "{}: a command stands in a fenced block, after `$ `", page.display());
    }
}

#[test]
fn figures_do_not_count_and_words_do() {
    let same = [
        ("results=5 elapsed=0.051s (98.4 results/s)", "results=5 elapsed=12s (1,000.25 results/s)"),
        (" native  1.01 s   5.92 k      1  –", " native 979 ms 12 1 –"),
        ("at …/target/libx.so now", "at /tmp/1/libx.so now"),
        ("0.96–0.99  slower", "1.00–1.20  faster"),
        ("0 regressions: slower by more than 5.0 %", "1 regression: slower by more than 5.0 %"),
        (" native  ~1.01 s", " native  979 ms"),
        ("99.5 %  48.3 ns", "101 %  -2.1 ns"),
        ("on 2 cores  METG(50 %)", "on 1 core  METG(50 %)"),
        ("as 20261124T214105.518305Z-13858", "as 20251124T214105.5Z-1"),
    ];
    for (one, other) in same {
        assert_eq!(without_figures(one), without_figures(other));
    }
    let checksums = ["10bafe6974c803a2375b557b9cfa391c", "3e89f5b6a6be5b97ea3841f746f36565"];
    for (one, other) in [("verified 3/3", "failed 3/3"), checksums.into()] {
        assert_ne!(without_figures(one), without_figures(other));
    }
    let of = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let are = |shown: &str, stdout: &str, stderr: &str| fits(&of(shown), &of(stdout), &of(stderr));
    assert!(are("a\n…\nb", "a\nx\ny\nb", "") && are("…", "", "") && are("a\nb", "a", "x\nb"));
    assert!(!are("a\n…\nb", "a\nx\ny", "") && !are("a", "a\nb", "") && !are("a\nb", "a", "x"));
}
