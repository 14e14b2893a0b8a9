//! A folder with plugins, and a way to run the command line in it.

mod building;

use std::any::Any;
use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};

use rustix::fs::Mode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use building::{
    build_outside, built_outside, cargo, cargo_outside, hostile, plugin, portable_host,
};

/// The repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The executable under test.
pub(crate) fn executable() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_crossrun"))
}

/// Takes the right of others to write from all that is made from here on, as most systems do by themselves: crossrun loads no plugin
/// that others may write. A test that is about another umask sets that of a shell.
pub(crate) fn own_umask() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rustix::process::umask(Mode::WGRP | Mode::WOTH);
    });
}

/// A folder for temporary files with a short path, however long that of this user's own is: where a folder would leave too little room for
/// the path of a socket, crossrun makes none in it, and takes `/tmp`.
pub(crate) fn short_folder() -> TempDir {
    tempfile::Builder::new().prefix("t").tempdir_in("/tmp").unwrap()
}

/// Does `work` for the first who needs it. If it panics, it panics for everybody who needs it after that, and is not done again: it may
/// take minutes.
pub(crate) fn once<T>(outcome: &OnceLock<Result<T, String>>, work: impl FnOnce() -> T) -> &T {
    let text = |panic: Box<dyn Any + Send>| panic.downcast_ref::<String>().cloned();
    let why = |panic| text(panic).unwrap_or_else(|| "another test says why".to_owned());
    match outcome.get_or_init(|| catch_unwind(AssertUnwindSafe(work)).map_err(why)) {
        Ok(done) => done,
        Err(why) => panic!("{why}"),
    }
}

/// A folder with plugins, a data directory, and a working directory. All are removed when the test ends.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    /// No plugins.
    pub(crate) fn empty() -> Self {
        own_umask();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        Self { folder }
    }

    /// The native backend and the standard workloads.
    pub(crate) fn new() -> Self {
        let place = Self::empty();
        place.stage(&plugin("native_runner"));
        place.stage(&plugin("standard_workloads"));
        place
    }

    /// The standard workloads, and a backend that misbehaves on demand.
    pub(crate) fn with_misbehaving() -> Self {
        let place = Self::empty();
        place.stage(&plugin("standard_workloads"));
        place.stage(&hostile("misbehaving_runner"));
        place
    }

    /// The standard workloads, and a backend whose driver misbehaves on demand.
    pub(crate) fn with_driven() -> Self {
        let place = Self::empty();
        place.stage(&plugin("standard_workloads"));
        place.stage(&hostile("driven_runner"));
        place
    }

    /// Puts a copy of `file` among the plugins.
    pub(crate) fn stage(&self, file: &Path) -> PathBuf {
        self.stage_as(file, file.file_name().unwrap().to_str().unwrap())
    }

    /// Puts a copy of `file` among the plugins, under another name.
    pub(crate) fn stage_as(&self, file: &Path, name: &str) -> PathBuf {
        let staged = self.plugins().join(name);
        std::fs::copy(file, &staged).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        // Whatever the umask was under which it was built.
        std::fs::set_permissions(&staged, Permissions::from_mode(0o755)).unwrap();
        staged
    }

    pub(crate) fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// crossrun in this place, with `arguments` and nothing of the caller's settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        heed_signals();
        let mut command = Command::new(executable());
        without_settings(&mut command);
        command
            .args(arguments)
            .arg("--plugin-dir")
            .arg(self.plugins())
            .env("CROSSRUN_DATA_DIR", self.data())
            // Tests run side by side; only one that looks for it shares the lock of the machine.
            .env("CROSSRUN_LOCK_FILE", self.data().join("measurement.lock"))
            .current_dir(self.path());
        command
    }

    /// Runs crossrun to its end.
    pub(crate) fn crossrun(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments))
    }

    /// Runs crossrun with the arguments in `line`.
    pub(crate) fn run(&self, line: &str) -> Ran {
        self.crossrun(&arguments_in(line))
    }

    /// `run` on the misbehaving backend, with `behaviour` in `phase`.
    pub(crate) fn misbehave(&self, behaviour: &str, phase: &str, more: &[&str]) -> Ran {
        Ran::of(self.misbehaving_command(behaviour, phase, more))
    }

    /// The command of [`Place::misbehave`].
    pub(crate) fn misbehaving_command(&self, behaviour: &str, phase: &str, more: &[&str]) -> Command {
        let extra = format!("--extra behaviour={behaviour} --extra at={phase}");
        let run = format!("run --json --backend misbehaving --workload null {extra}");
        self.command(&[&arguments_in(&run)[..], more].concat())
    }

    /// How many whole lines the trials of a run have so far.
    pub(crate) fn records_so_far(&self, run: &str) -> usize {
        let path = self.path().join("results").join(run).join("trials.jsonl");
        std::fs::read_to_string(path).unwrap_or_default().matches('\n').count()
    }

    /// Whether other users may enter the folder that the place is in.
    pub(crate) fn others_may_enter(&self) -> bool {
        let place = self.path().canonicalize().unwrap();
        let mode = |folder: &Path| folder.metadata().map_or(0, |status| status.permissions().mode());
        place.ancestors().skip(1).all(|folder| mode(folder) & 0o001 != 0)
    }

    /// Root may read everything, so that root runs the command as `nobody`, who gets all files of the place. False for root without the
    /// right to do so, or where nobody else may enter the place; this has then said that the test is not run.
    #[must_use]
    pub(crate) fn give_to_nobody(&self, command: &mut Command) -> bool {
        if !rustix::process::geteuid().is_root() {
            return true;
        }
        if !is_root() {
            return false;
        }
        if !self.others_may_enter() {
            not_run("other users may not enter the folder for temporary files");
            return false;
        }
        let copy = self.path().join("crossrun");
        if !copy.exists() {
            copy_executable(&copy);
        }
        std::fs::create_dir_all(self.path().join("t")).unwrap();
        give(self.path(), NOBODY);
        *command = continued(Command::new(copy), command);
        command.current_dir(self.path());
        std::os::unix::process::CommandExt::uid(command, NOBODY);
        std::os::unix::process::CommandExt::gid(command, NOBODY);
        true
    }

    /// The lines of a file of records in the default output folder of `workload`.
    pub(crate) fn records(&self, workload: &str, file: &str) -> Vec<Value> {
        let records = self.records_if_any(workload, file);
        records.unwrap_or_else(|| panic!("{workload} has no {file} in {}", self.path().display()))
    }

    /// The same; `None` if there is no such file.
    pub(crate) fn records_if_any(&self, workload: &str, file: &str) -> Option<Vec<Value>> {
        let path = self.path().join("results").join(workload).join(file);
        let text = std::fs::read_to_string(path).ok()?;
        Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }
}

/// `outer` and after its own words the arguments of `command`, with its folder and its variables.
pub(crate) fn continued(mut outer: Command, command: &Command) -> Command {
    outer.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        outer.current_dir(folder);
    }
    with_environment_of(command, outer)
}

/// `outer` with the variables of `command`, such as that of the lock: without it, a measurement of somebody else would be waited for.
pub(crate) fn with_environment_of(command: &Command, mut outer: Command) -> Command {
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// Takes the caller's settings of crossrun from a command, and what tells a program how to print.
pub(crate) fn without_settings(command: &mut Command) {
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.as_encoded_bytes().starts_with(b"CROSSRUN_")) {
        command.env_remove(name);
    }
    for name in OF_TERMINALS {
        command.env_remove(name);
    }
}

/// The variables that tell a program how to print, whatever it prints to. A test that is about one sets it.
const OF_TERMINALS: [&str; 5] = ["CLICOLOR", "CLICOLOR_FORCE", "NO_COLOR", "COLUMNS", "LINES"];

/// The arguments in a line, none of which has a blank in it.
pub(crate) fn arguments_in(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The arguments of `run` in `words`, where `key=value` is an extra. Does not wait for other measurements: nothing is measured.
pub(crate) fn run_arguments(words: &str) -> Vec<&str> {
    let mut arguments = vec!["run", "--json", "--no-lock"];
    for word in words.split_whitespace() {
        arguments.extend(word.contains('=').then_some("--extra"));
        arguments.push(word);
    }
    arguments
}

/// Puts a copy of the executable at `path`, and returns when it can be run: whatever another thread is just starting may have the
/// copy open for writing until it runs.
pub(crate) fn copy_executable(path: &Path) {
    std::fs::copy(executable(), path).unwrap();
    eventually("the copy can be run", || Command::new(path).arg("--version").output().is_ok());
}

/// A line of `unified_results.jsonl` without its hash, as `trials.jsonl` has the record.
pub(crate) fn without_chain(mut record: Value) -> Value {
    let chain = record["metadata"].as_object_mut().unwrap().remove("chain");
    assert!(chain.is_some_and(|chain| chain.is_string()));
    record
}

/// A user who is neither root nor the user of any test.
pub(crate) const SOMEBODY: u32 = 54_321;

/// A user with no rights of its own.
pub(crate) const NOBODY: u32 = 65534;

/// Whether this user can give files to others, for a test that is run in another way where it cannot. Root of a container or of a user
/// namespace may not.
pub(crate) fn can_give() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let owners = [SOMEBODY, NOBODY, 0];
        let give = |file: &Path, user| std::os::unix::fs::lchown(file, Some(user), Some(user)).is_ok();
        rustix::process::geteuid().is_root()
            && tempfile::NamedTempFile::new()
                .is_ok_and(|file| owners.iter().all(|user| give(file.path(), *user)))
    })
}

/// As [`can_give`], for a test that is not run where this user cannot.
pub(crate) fn is_root() -> bool {
    let is_root = can_give();
    if !is_root {
        not_run("only root with the right to do so can give files to another user");
    }
    is_root
}

/// Gives a file to a user; a folder with all that is in it.
pub(crate) fn give(path: &Path, user: u32) {
    std::os::unix::fs::lchown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        std::fs::read_dir(path).unwrap().flatten().for_each(|entry| give(&entry.path(), user));
    }
}

/// Lets programs that are started from here get the usual signals, also if a shell has started these tests in the background and
/// ignores some for them.
fn heed_signals() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
        let mask = u64::from_str_radix(mask.trim(), 16).unwrap_or_default();
        for signal in [1, 2, 15, 20].into_iter().filter(|signal| mask >> (signal - 1) & 1 == 1) {
            // A handler here is the default there.
            let _ = signal_hook::flag::register(signal, std::sync::Arc::default());
        }
    });
}

/// Sends a signal to a process.
pub(crate) fn send_signal(pid: u32, signal: Signal) -> rustix::io::Result<()> {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal)
}

/// The exit code as a shell shows it, also of a process that a signal ended.
pub(crate) fn shell_code(status: std::process::ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or(status.signal().map(|signal| 128 + signal))
}

/// The result of a command.
pub(crate) struct Ran {
    pub(crate) output: Output,
    pub(crate) command: String,
}

impl Ran {
    pub(crate) fn of(mut command: Command) -> Self {
        let output = command.output().unwrap();
        Self { output, command: format!("{command:?}") }
    }

    /// Waits for a process that was started with pipes.
    pub(crate) fn ended(process: Child) -> Self {
        let command = format!("process {}", process.id());
        Self { output: process.wait_with_output().unwrap(), command }
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// A description for the message of a failed test.
    pub(crate) fn explain(&self) -> String {
        let status = self.output.status;
        format!("{}\n{status}\nstdout:\n{}\nstderr:\n{}", self.command, self.stdout(), self.stderr())
    }

    /// Asserts an exit code.
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(shell_code(self.output.status), Some(code), "{}", self.explain());
        self
    }

    /// The one line of JSON on standard output.
    pub(crate) fn json(&self) -> Value {
        let text = self.stdout();
        assert_eq!(text.lines().count(), 1, "{}", self.explain());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {}", self.explain()))
    }

    /// Asserts that the answer of a run is verified, and returns the record.
    pub(crate) fn verified(&self) -> Value {
        assert_eq!(shell_code(self.output.status), Some(0), "{}", self.explain());
        let record = self.json();
        assert_eq!(record["metadata"]["verified"], true, "{}", self.explain());
        record
    }

    /// Asserts that standard error contains `words`.
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(self.stderr().contains(words), "no {words:?} in:\n{}", self.explain());
        self
    }
}

/// After the processes of an engine have opened the library: that is a part of preparing a run, which then begins within this time also
/// on a busy machine. Nothing that can be seen from outside says that it has.
pub(crate) fn until_prepared() {
    std::thread::sleep(Duration::from_secs(3));
}

/// The warnings of a record, but for two that only say how busy the machine was: the worker measured more than the backend, and an engine
/// gave a task to a process that had none when the run was prepared.
pub(crate) fn warnings(record: &Value) -> Vec<&str> {
    let all = record["metadata"]["warnings"].as_array().unwrap().iter();
    let texts = all.map(|warning| warning.as_str().unwrap());
    let may_be_late = record["backend"].as_str().is_some_and(|name| ["dask", "ray", "spark"].contains(&name));
    let is_late = |text: &str| may_be_late && text.starts_with("the workload was opened ");
    texts.filter(|text| !(text.ends_with("the worker's time counts") || is_late(text))).collect()
}

/// Says that a test does not run here, and why. The line passes by the capture of the test harness, so that it is visible although
/// the test counts as passed, and it carries how many tests of this process have said so.
pub(crate) fn not_run(why: &str) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "{test}: not run: {why} ({count} not run so far)").unwrap();
    if let Some(list) = std::env::var_os(NOT_RUN_LIST) {
        // A line is written at once: other processes append to the same file.
        let mut list = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
        list.write_all(format!("{test}: {why}\n").as_bytes()).unwrap();
    }
}

/// The variable with the file to which each test that was not run is appended. `.ci/run` sets it, and counts them at its end.
const NOT_RUN_LIST: &str = "CROSSRUN_TEST_NOT_RUN";

/// How long a test waits for an event. It only ends a wait for an event that never comes: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Waits until `condition` holds, for at most [`PATIENCE`].
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "this never happened: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Demands that one of a few measurements is at most `bound`: a busy machine spoils some of them, and a fault all.
#[track_caller]
pub(crate) fn assert_once_at_most(bound: f64, what: &str, mut measure: impl FnMut() -> f64) {
    let mut measured = Vec::new();
    while measured.len() < 5 {
        let now = measure();
        if now <= bound {
            return;
        }
        measured.push(now);
    }
    panic!("{what}: each of {measured:?} is more than {bound}");
}

/// The processes of this machine whose command line has `word` as one of its words.
pub(crate) fn processes_with_word(word: &str) -> Vec<u32> {
    processes_with("cmdline", |found| found == word.as_bytes())
}

/// The processes that carry the marker of a session which `parent` started.
pub(crate) fn processes_of_sessions_of(parent: u32) -> Vec<u32> {
    processes_with_variable(&format!("CROSSRUN_SESSION={parent}-"))
}

/// The processes of this machine in whose environment a variable begins like that: `NAME=...`.
pub(crate) fn processes_with_variable(start: &str) -> Vec<u32> {
    processes_with("environ", |variable| variable.starts_with(start.as_bytes()))
}

/// The processes of this machine with such a word in a file of theirs in `/proc`, where zeros end the words.
fn processes_with(file: &str, is_it: impl Fn(&[u8]) -> bool) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let words = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(&is_it)
    })
    .collect()
}

/// The standard workloads that are run in every way.
pub(crate) const WORKLOADS: [&str; 5] =
    ["null", "pipeline", "imbalance", "word_count", "scheduler_comparison"];

/// The option that shortens the sleep of a workload that sleeps.
pub(crate) fn shortened(workload: &str) -> &'static [&'static str] {
    if workload == "scheduler_comparison" { &["--extra", "sleep_us=100"] } else { &[] }
}
