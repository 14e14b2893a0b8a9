//! Makes an environment: a virtual one, with the packages that are required, each checked by its hash.
//!
//! Where packages come from is the user's own affair: nothing here names an index.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use plugin_api::{ErrorKind, RunnerError, SetupContext};

use crate::engine::{Engine, packages};
use crate::environment::{self, Environments};
use crate::group::Group;
use crate::interpreter::{Interpreter, on_path};
use crate::output::{ending, last_lines};
use crate::pip_settings;
use crate::surroundings::restrict;

/// How often a set-up looks whether it is to stop.
const TICK: Duration = Duration::from_millis(50);
/// How long output is waited for after the installer has ended: a process that it left may hold the pipe.
const DRAIN: Duration = Duration::from_millis(500);

/// Why an environment could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    #[error("the set-up was cancelled")]
    Cancelled,
    #[error("{} has no module {module}", python.display())]
    NoModule { python: PathBuf, version: String, module: String },
    #[error("no package index could be reached, or it does not have what is needed: {0}")]
    NoNetwork(String),
    #[error("the certificate of a package index is not trusted: {0}")]
    Certificate(String),
    #[error("the proxy{} cannot be used: {last}", named(variables))]
    Proxy { variables: Vec<String>, last: String },
    #[error("a package index has other files than those that are expected: {0}")]
    OtherFiles(String),
    #[error("no space is left in {}", .0.display())]
    NoSpace(PathBuf),
    #[error("{} is mounted noexec, so that nothing in it can be started", .0.display())]
    NoExec(PathBuf),
    #[error("what was installed cannot be imported by {}: {last}", python.display())]
    Import { python: PathBuf, last: String },
    #[error("the installer {ending}: {last} (all of it is in {})", log.display())]
    Installer { ending: String, last: String, log: PathBuf },
    #[error("{step}: {error}")]
    File { step: &'static str, error: io::Error },
}

impl InstallError {
    /// The error for the host, with a command that mends it. That is never the command which has just failed.
    pub(crate) fn into_runner_error(self, engine: &Engine) -> RunnerError {
        let setup = engine.setup_command();
        let remedy = match &self {
            Self::Cancelled => return RunnerError::new(ErrorKind::Cancelled, self.to_string()),
            // Only the system's own Python comes from the system's packages.
            Self::NoModule { python, version, module }
                if module == VENV
                    && python.starts_with("/usr/bin")
                    && Path::new("/etc/debian_version").exists() =>
            {
                format!("{}apt install python{version}-venv", sudo())
            }
            Self::NoModule { .. } | Self::Import { .. } => format!("{setup} --python PATH_OF_ANOTHER_PYTHON"),
            Self::NoNetwork(_) => format!("PIP_INDEX_URL=AN_INDEX_THAT_CAN_BE_REACHED {setup}"),
            Self::Certificate(_) => format!("PIP_CERT=FILE_WITH_THE_CERTIFICATE {setup}"),
            Self::Proxy { variables, .. } if variables.is_empty() => {
                format!("PIP_PROXY=http://HOST:PORT {setup}")
            }
            Self::Proxy { variables, .. } => {
                let unset: String = variables.iter().map(|name| format!("-u {name} ")).collect();
                format!("env {unset}{setup}")
            }
            Self::OtherFiles(_) => format!("PIP_INDEX_URL=ANOTHER_INDEX {setup}"),
            Self::NoSpace(_) => format!("CROSSRUN_DATA_DIR=A_FOLDER_WITH_MORE_SPACE {setup}"),
            Self::NoExec(_) | Self::File { .. } => format!("CROSSRUN_DATA_DIR=ANOTHER_FOLDER {setup}"),
            Self::Installer { log, .. } => format!("tail -n 40 '{}'", log.display()),
        };
        let message = format!("{} cannot be set up: {self}", engine.name);
        RunnerError::new(ErrorKind::Setup, message).with_remedy(remedy)
    }
}

fn named(variables: &[String]) -> String {
    if variables.is_empty() { String::new() } else { format!(" in {}", variables.join(" and ")) }
}

/// What a command that needs the rights of root begins with. Root need not have `sudo`.
pub fn sudo() -> &'static str {
    if rustix::process::geteuid().is_root() { "" } else { "sudo " }
}

/// One set-up.
pub(crate) struct Installation<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) environments: &'a Environments<'a>,
    pub(crate) interpreter: &'a Interpreter,
    pub(crate) context: &'a SetupContext,
}

impl Installation<'_> {
    /// Makes the environment in `folder`, which is not there.
    pub(crate) fn make(&self, folder: &Path) -> Result<(), InstallError> {
        let made = self.steps(folder);
        if made.is_err() {
            // What is left is never used; the next set-up deletes it if this does not.
            let _ = fs::remove_dir_all(folder);
        }
        made
    }

    fn steps(&self, folder: &Path) -> Result<(), InstallError> {
        let parent = folder.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|error| self.file("make the folder", error))?;
        let uv = usable_uv();
        self.context.progress(0, self.engine.packages(), "making the environment");
        self.execute(self.venv(uv.as_deref(), folder), 0)?;
        let mut settings = Vec::new();
        if uv.is_none() {
            self.execute(pip(folder), 0)?;
            settings = pip_settings::of_files(folder);
        }
        let installer = |listed: &Path, sources| {
            let mut command = installer(uv.as_deref(), folder, listed, sources);
            command.envs(settings.iter().cloned());
            command
        };
        let Engine { requirements, build_requirements, .. } = *self.engine;
        if self.engine.builds() {
            let listed = self.write(folder, "build-requirements.txt", build_requirements)?;
            self.execute(installer(&listed, Sources::Refused), 0)?;
        }
        let listed = self.write(folder, "requirements.txt", requirements)?;
        let sources = if self.engine.builds() { Sources::Built } else { Sources::Refused };
        self.execute(installer(&listed, sources), packages(build_requirements))?;
        self.execute(self.import(folder), self.engine.packages())?;
        self.environments.mark(folder, self.interpreter).map_err(|error| self.file("write the marker", error))
    }

    /// A list of requirements, where the installer can read it.
    fn write(&self, folder: &Path, name: &str, requirements: &str) -> Result<PathBuf, InstallError> {
        let path = folder.join(name);
        fs::write(&path, requirements).map_err(|error| self.file("write the requirements", error))?;
        Ok(path)
    }

    /// Imports the engine once, as its driver does, so that what cannot be used is not declared whole.
    fn import(&self, folder: &Path) -> Command {
        let mut command = Command::new(environment::python(folder));
        restrict(&mut command, self.engine.variables);
        // No file of the user's own is read: `HOME` has none.
        command.env("HOME", folder).args([
            "-I",
            "-B",
            "-c",
            &format!("{IMPORT} {}", self.engine.import_check),
        ]);
        command
    }

    fn venv(&self, uv: Option<&Path>, folder: &Path) -> Command {
        let python = &self.interpreter.executable;
        let mut command = Command::new(uv.unwrap_or(python));
        pip_settings::apply(&mut command);
        match uv {
            Some(_) => command.args(["venv", "--no-config", "--no-project", "--python"]).arg(python),
            None => command.args(["-I", "-m", "venv", "--without-pip"]),
        };
        command.arg(folder);
        command
    }

    /// Runs one step to its end, with its output as progress and in the log. So many packages are `done` before.
    fn execute(&self, mut command: Command, done: u64) -> Result<(), InstallError> {
        let mut running =
            Running::start(&mut command).map_err(|error| self.file("start the installer", error))?;
        let mut output = Output::new(self.context, done, self.engine.packages());
        while !running.group.has_ended() {
            match running.lines.recv_timeout(TICK) {
                Ok(line) => output.line(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(TICK),
            }
            if self.context.cancelled() {
                return Err(InstallError::Cancelled);
            }
        }
        running.drain(&mut output);
        let status = running.group.end().map_err(|error| self.file("wait for the installer", error))?;
        if status.success() { Ok(()) } else { Err(self.reason(&command, status, &output)) }
    }

    /// Why a step failed, as far as its output shows.
    fn reason(&self, command: &Command, status: ExitStatus, output: &Output<'_>) -> InstallError {
        let text = output.text.as_str();
        let mentions = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let (last, data_dir) = (output.last_error(), self.context.data_dir().to_owned());
        let Interpreter { executable: python, version } = self.interpreter.clone();
        let no_module = |module: &str| InstallError::NoModule {
            python: python.clone(),
            version: version.minor(),
            module: module.to_owned(),
        };
        if mentions(NO_SPACE) {
            InstallError::NoSpace(data_dir)
        } else if mentions(&["failed to map segment from shared object"]) {
            InstallError::NoExec(data_dir)
        } else if mentions(&[
            "No module named venv",
            "ensurepip is not available",
            "No module named ensurepip",
        ]) {
            no_module(VENV)
        } else if mentions(&["ssl module in Python is not available", "SSL module is not available"]) {
            no_module("ssl")
        } else if mentions(&["zlib not available"]) {
            no_module("zlib")
        } else if let Some(module) =
            BUILT_IN.iter().find(|name| mentions(&[&format!("No module named '{name}'")]))
        {
            no_module(module.trim_start_matches('_'))
        } else if command.get_args().any(|word| word.as_encoded_bytes().starts_with(IMPORT.as_bytes())) {
            InstallError::Import { python, last: last_lines(text, 1) }
        } else if mentions(UNTRUSTED) {
            InstallError::Certificate(last)
        } else if mentions(PROXY) {
            InstallError::Proxy { variables: pip_settings::proxies(), last }
        } else if mentions(&["DO NOT MATCH THE HASHES", "Hash mismatch"]) {
            InstallError::OtherFiles(last)
        } else if mentions(UNREACHABLE) {
            InstallError::NoNetwork(last)
        } else {
            InstallError::Installer { ending: ending(status), last, log: output.log.clone() }
        }
    }

    fn file(&self, step: &'static str, error: io::Error) -> InstallError {
        match error.kind() {
            io::ErrorKind::StorageFull => InstallError::NoSpace(self.context.data_dir().into()),
            _ => InstallError::File { step, error },
        }
    }
}

/// The module that makes environments, which distributions have in a package of its own.
const VENV: &str = "venv";
/// The beginning of the program that imports an engine.
const IMPORT: &str = "import";
/// Modules that a Python lacks if it was built on a machine without the libraries for them.
const BUILT_IN: &[&str] = &[
    "_ctypes", "ctypes", "_ssl", "ssl", "_sqlite3", "sqlite3", "_bz2", "bz2", "_lzma", "lzma", "zlib",
    "_hashlib",
];

const NO_SPACE: &[&str] = &["No space left on device", "[Errno 28]", "os error 28", "Disk quota exceeded"];

/// How pip and uv say that they do not trust a certificate, or that there is no file with those that they trust.
const UNTRUSTED: &[&str] = &[
    "CERTIFICATE_VERIFY_FAILED",
    "certificate verify failed",
    "invalid peer certificate",
    "UnknownIssuer",
    "suitable TLS CA certificate bundle",
];

/// How they say that a proxy does not work.
const PROXY: &[&str] = &[
    "Missing dependencies for SOCKS support",
    "ProxyError",
    "Cannot connect to proxy",
    "Proxy Authentication Required",
    "Unable to determine SOCKS version",
    "proxy URL",
    "proxy connect",
    "socks connect",
    "SOCKSHTTP",
];

/// How pip and uv say that they did not get to a package.
const UNREACHABLE: &[&str] = &[
    "Failed to establish a new connection",
    "name resolution",
    "Connection refused",
    "ConnectTimeout",
    "Read timed out",
    "Max retries exceeded",
    "(from versions: none)",
    "Failed to fetch",
    "error sending request",
    "dns error",
    "not found in the package registry",
    "No solution found",
];

/// A step of its own: `venv` would do it too, but keeps to itself why it failed.
fn pip(folder: &Path) -> Command {
    let mut command = Command::new(environment::python(folder));
    pip_settings::apply(&mut command);
    command.args(["-I", "-m", "ensurepip", "--upgrade", "--default-pip"]);
    command
}

/// What is done with a package that is published as source only.
#[derive(Clone, Copy, Debug)]
enum Sources {
    /// It is no package that can be installed: the installer would fetch a build tool for it, without a hash.
    Refused,
    /// It is built with the tools that are in the environment, and nothing is fetched for that.
    Built,
}

fn installer(uv: Option<&Path>, folder: &Path, requirements: &Path, sources: Sources) -> Command {
    let python = environment::python(folder);
    let mut command = Command::new(uv.unwrap_or(&python));
    pip_settings::apply(&mut command);
    match uv {
        // Not `sync`, which would take the build tools away again.
        Some(_) => {
            command.args([
                "pip",
                "install",
                "--require-hashes",
                "--no-deps",
                "--compile-bytecode",
                // Whatever project the current folder belongs to is no concern of this.
                "--no-config",
                "--python",
            ]);
            command.arg(&python);
        }
        None => {
            command.args(["-I", "-m", "pip", "install", "--require-hashes", "--no-deps", "--no-input"]);
            command.args(["--disable-pip-version-check", "--progress-bar=off"]);
        }
    }
    match sources {
        Sources::Refused => command.args(["--only-binary", ":all:"]),
        Sources::Built => command.arg("--no-build-isolation"),
    };
    command.arg("-r").arg(requirements);
    command
}

/// uv, which is faster, where it knows where packages come from. It reads none of pip's settings: a user who has some,
/// and none for uv, means pip.
fn usable_uv() -> Option<PathBuf> {
    let set = |prefixes: &[&str]| {
        std::env::vars_os().any(|(name, _)| {
            let name = name.to_string_lossy().into_owned();
            prefixes.iter().any(|prefix| name.starts_with(prefix))
        })
    };
    let for_uv = set(&["UV_INDEX", "UV_DEFAULT_INDEX", "UV_FIND_LINKS", "UV_OFFLINE"]);
    let for_pip = set(PIP_SOURCES) || pip_settings().any(|path| path.exists());
    on_path("uv", std::env::var_os("PATH").as_deref()).filter(|_| for_uv || !for_pip)
}

/// Variables that tell pip where packages come from, or how to get there.
const PIP_SOURCES: &[&str] = &[
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_NO_INDEX",
    "PIP_FIND_LINKS",
    "PIP_PROXY",
    "PIP_CERT",
    "PIP_CONFIG_FILE",
];

/// Where pip looks for settings of the machine and the user.
fn pip_settings() -> impl Iterator<Item = PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let home = variable("HOME");
    let config = variable("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
    let of_user = config.map(|folder| folder.join("pip/pip.conf"));
    let legacy = home.map(|folder| folder.join(".pip/pip.conf"));
    [of_user, legacy, Some("/etc/pip.conf".into()), Some("/etc/xdg/pip/pip.conf".into())]
        .into_iter()
        .flatten()
}

/// An installer that was started.
struct Running {
    group: Group,
    lines: Receiver<String>,
}

impl Running {
    fn start(command: &mut Command) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let group = Group::spawn(command)?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        });
        Ok(Self { group, lines })
    }

    fn drain(&self, output: &mut Output<'_>) {
        let deadline = Instant::now() + DRAIN;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            output.line(line);
        }
    }
}

/// What the installer has printed so far.
struct Output<'a> {
    context: &'a SetupContext,
    packages: u64,
    /// How many packages it has come to.
    seen: u64,
    text: String,
    log: PathBuf,
}

impl<'a> Output<'a> {
    fn new(context: &'a SetupContext, seen: u64, packages: u64) -> Self {
        let log = context.log_dir().join("setup.log");
        Self { context, packages, seen, text: String::new(), log }
    }

    fn line(&mut self, line: String) {
        if let Some(message) = message(&line) {
            self.seen += u64::from(line.starts_with("Collecting "));
            self.context.progress(self.seen.min(self.packages), self.packages, message);
        }
        // The log is for people; without it the set-up goes on.
        if let Ok(mut log) = fs::OpenOptions::new().create(true).append(true).open(&self.log) {
            let _ = writeln!(log, "{line}");
        }
        self.text.push_str(&line);
        self.text.push('\n');
    }

    /// The last line that begins with "error", or else the last line.
    fn last_error(&self) -> String {
        let is_error = |line: &&str| line.to_ascii_lowercase().starts_with("error");
        let error = self.text.lines().rev().find(is_error);
        error.map_or_else(|| last_lines(&self.text, 1), |line| line.trim().to_owned())
    }
}

/// A line of pip's or uv's output as a message of progress; `None` for a line that is not shown.
fn message(line: &str) -> Option<String> {
    let words = line.trim();
    let starts = ["Collecting ", "Downloading ", "Installing ", "Resolved ", "Prepared ", "Installed "];
    if !starts.iter().any(|start| words.starts_with(start)) {
        return None;
    }
    let short = words.split(" (").next().unwrap_or(words);
    Some(match short.split_once(": ") {
        Some((what, _)) => what.to_owned(),
        None => short.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use plugin_api::{HostServices, Progress};

    use super::*;
    use crate::fixture::{BUILT, ENGINE, program};
    use crate::interpreter::PythonRange;

    #[derive(Default)]
    struct Host {
        progress: Mutex<Vec<(u64, u64, String)>>,
        cancels: AtomicBool,
    }

    impl HostServices for Host {
        fn log(&self, _: log::Level, _: &str, _: &str) {}

        fn progress(&self, progress: Progress) {
            let Progress { done, total, message } = progress;
            self.progress.lock().unwrap().push((done, total, message));
        }

        fn cancelled(&self) -> bool {
            self.cancels.load(Ordering::Relaxed)
        }

        fn clock_nanos(&self) -> u64 {
            0
        }
    }

    /// What comes of an interpreter whose `-m venv` runs `script`, as an error for the host.
    fn install(script: &str, host: &Arc<Host>) -> (tempfile::TempDir, Result<(), RunnerError>) {
        install_engine(&ENGINE, script, host)
    }

    fn install_engine(
        engine: &Engine,
        script: &str,
        host: &Arc<Host>,
    ) -> (tempfile::TempDir, Result<(), RunnerError>) {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("base");
        let answer = format!("[ \"$3\" = -c ] && echo '[[3, 11, 1], \"{}\"]' && exit", path.display());
        program(data.path(), "base", &format!("{answer}\nfolder=\"$5\"\n{script}"));
        let range = PythonRange::new((3, 9), (3, 11));
        let interpreter = Interpreter::find(Some(&path), range, None).unwrap();
        let environments = Environments::new(engine, data.path());
        let context = SetupContext::new(Arc::<Host>::clone(host), data.path().into(), data.path().into());
        let folder = environments.place(&interpreter);
        let installation = Installation {
            engine,
            environments: &environments,
            interpreter: &interpreter,
            context: &context,
        };
        let made = installation.make(&folder).map_err(|error| error.into_runner_error(engine));
        assert_eq!(folder.exists(), made.is_ok(), "half an environment was left");
        (data, made)
    }

    /// What a venv has, with a pip that prints `output` and ends with `code`.
    fn venv(output: &str, code: u8) -> String {
        let pip =
            format!("[ $3 = pip ] && [ $4 = install ] && {{ printf \"%b\\n\" \"{output}\"; exit {code}; }}");
        python_of(&pip)
    }

    /// What a venv has, with an engine that cannot be imported.
    fn imported(output: &str) -> String {
        python_of(&format!("[ $2 = -B ] && {{ printf \"%b\\n\" \"{output}\"; exit 1; }}"))
    }

    /// What a venv has, with a Python that runs `script` where nothing is asked of it that every Python can do.
    fn python_of(script: &str) -> String {
        let modules = "mkdir -p \"$folder/bin\" \"$folder/lib/python3.11/site-packages/one/part\"";
        let answer = "[ \"$3\" = -c ] && [ \"$2\" = -S ] && echo '[[3, 11, 1], \"/x\"]' && exit";
        let pip = format!(
            "printf '%s\\n' '#!/bin/sh' '{}' '{}' 'exit 0' > \"$folder/bin/python\"",
            answer.replace('\'', "'\\''"),
            script.replace('\'', "'\\''")
        );
        format!("{modules}\n{pip}\nchmod 755 \"$folder/bin/python\"")
    }

    #[test]
    fn an_environment_is_made_and_progress_is_reported() {
        let host = Arc::new(Host::default());
        let script = venv(
            "Collecting one==1 (from -r x)\\nCollecting two==2\\nnoise\\nInstalling collected packages: one",
            0,
        );
        let (data, made) = install(&script, &host);
        made.unwrap();
        assert!(Environments::new(&ENGINE, data.path()).find().is_ok());
        let told = host.progress.lock().unwrap().clone();
        let expected = [
            (0, 2, "making the environment"),
            (1, 2, "Collecting one==1"),
            (2, 2, "Collecting two==2"),
            (2, 2, "Installing collected packages"),
        ];
        assert_eq!(told, expected.map(|(done, total, message)| (done, total, message.to_owned())));
        let log = fs::read_to_string(data.path().join("setup.log")).unwrap();
        assert!(log.contains("noise"), "{log}");
    }

    #[test]
    fn what_builds_a_package_is_installed_before_it_and_nothing_is_fetched_for_the_build() {
        let host = Arc::new(Host::default());
        let (data, made) = install_engine(&BUILT, &venv("Collecting $*", 0), &host);
        made.unwrap();
        let told: Vec<_> =
            host.progress.lock().unwrap().iter().map(|(done, total, _)| (*done, *total)).collect();
        assert_eq!(told, [(0, 3), (1, 3), (2, 3)]);
        let log = fs::read_to_string(data.path().join("setup.log")).unwrap();
        let steps: Vec<_> = log.lines().filter(|line| line.starts_with("Collecting")).collect();
        assert!(
            steps[0].contains("build-requirements.txt") && steps[0].contains("--only-binary :all:"),
            "{log}"
        );
        assert!(steps[1].contains("/requirements.txt") && steps[1].contains("--no-build-isolation"), "{log}");
    }

    #[test]
    fn both_installers_check_hashes_and_take_no_source_unless_it_is_built_with_what_is_there() {
        let words = |uv: Option<&str>, sources| {
            let command = installer(uv.map(Path::new), Path::new("/x"), Path::new("/y"), sources);
            let words: Vec<_> = command.get_args().map(|word| word.to_str().unwrap().to_owned()).collect();
            words.join(" ")
        };
        for uv in [None, Some("uv")] {
            let (refused, built) = (words(uv, Sources::Refused), words(uv, Sources::Built));
            for words in [&refused, &built] {
                assert!(words.contains("pip install --require-hashes --no-deps"), "{words}");
                assert!(words.ends_with("-r /y"), "{words}");
            }
            assert!(refused.contains("--only-binary :all:") && !refused.contains("isolation"), "{refused}");
            assert!(built.contains("--no-build-isolation") && !built.contains("--only-binary"), "{built}");
        }
    }

    #[test]
    fn every_failure_is_one_line_with_a_remedy() {
        let unreachable = "ERROR: No matching distribution found for one==1 (from versions: none)";
        let cases = [
            ("echo '/x/python: No module named venv'; exit 1".into(), "has no module venv", "python"),
            (
                "echo 'OSError: [Errno 28] No space left on device'; exit 1".into(),
                "no space is left in",
                "CROSSRUN_DATA_DIR=",
            ),
            (venv(unreachable, 1), "no package index could be reached", "PIP_INDEX_URL="),
            (
                venv("ERROR: something else\\nhint", 1),
                "exited with code 1: ERROR: something else",
                "tail -n 40 '",
            ),
            ("kill -9 $$".into(), "was killed by signal 9 (SIGKILL)", "tail -n 40 '"),
            (
                venv("SSLError(CERTIFICATE_VERIFY_FAILED) Max retries exceeded with url: /simple", 1),
                "the certificate of a package index is not trusted",
                "PIP_CERT=",
            ),
            (
                venv("ERROR: Missing dependencies for SOCKS support. Max retries exceeded", 1),
                "cannot be used: ERROR: Missing dependencies for SOCKS support",
                "PROXY",
            ),
            (
                venv("WARNING: the ssl module in Python is not available. Max retries exceeded", 1),
                "has no module ssl",
                "--python PATH_OF_ANOTHER_PYTHON",
            ),
            (
                venv("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", 1),
                "has other files than those that are expected",
                "PIP_INDEX_URL=ANOTHER_INDEX",
            ),
            (
                imported("ModuleNotFoundError: No module named \\047_ctypes\\047"),
                "has no module ctypes",
                "--python PATH_OF_ANOTHER_PYTHON",
            ),
            (
                imported("Traceback:\\nImportError: libnone.so.1"),
                "cannot be imported by",
                "--python PATH_OF_ANOTHER_PYTHON",
            ),
        ];
        for (script, message, remedy) in cases {
            let (_data, made) = install(&script, &Arc::new(Host::default()));
            let error = made.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Setup);
            assert!(error.message.contains(message), "{error}");
            assert!(error.remedy.as_ref().unwrap().contains(remedy), "{error}");
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
            assert_ne!(error.remedy.as_deref(), Some("crossrun setup tested"), "{error}");
        }
    }

    #[test]
    fn a_set_up_that_is_cancelled_leaves_nothing_running() {
        let host = Arc::new(Host::default());
        host.cancels.store(true, Ordering::Relaxed);
        let since = Instant::now();
        let (_data, made) = install("mkdir -p \"$folder\"; sleep 60", &host);
        assert_eq!(made.unwrap_err().kind, ErrorKind::Cancelled);
        assert!(since.elapsed() < Duration::from_secs(60));
    }
}
