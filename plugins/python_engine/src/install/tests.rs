//! Installations with interpreters that are shell scripts.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use plugin_api::{ErrorKind, HostServices, Progress, RunnerError, SetupContext};

use super::{InstallError, Installation};
use crate::engine::Engine;
use crate::environment::Environments;
use crate::fixture::{BUILT, ENGINE, program};
use crate::interpreter::{Interpreter, PythonRange};

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
    let installation =
        Installation { engine, environments: &environments, interpreter: &interpreter, context: &context };
    let made = installation.make(&folder).map_err(|error| error.into_runner_error(engine, Some(&path)));
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
    let told: Vec<_> = host.progress.lock().unwrap().iter().map(|(done, total, _)| (*done, *total)).collect();
    assert_eq!(told, [(0, 3), (1, 3), (2, 3)]);
    let log = fs::read_to_string(data.path().join("setup.log")).unwrap();
    let steps: Vec<_> = log.lines().filter(|line| line.starts_with("Collecting")).collect();
    assert!(steps[0].contains("build-requirements.txt") && steps[0].contains("--only-binary :all:"), "{log}");
    assert!(steps[1].contains("/requirements.txt") && steps[1].contains("--no-build-isolation"), "{log}");
}

#[test]
fn every_failure_is_one_line_with_a_remedy() {
    let unreachable = "ERROR: No matching distribution found for one==1 (from versions: none)";
    let unreadable = "ERROR: Configuration file could not be loaded.";
    let cases = [
        ("echo '/x/python: No module named venv'; exit 1".into(), "has no module venv", "python"),
        (
            "echo 'OSError: [Errno 28] No space left on device'; exit 1".into(),
            "no space is left in",
            "export CROSSRUN_DATA_DIR=A_FOLDER_WITH_MORE_SPACE && crossrun setup tested --python ",
        ),
        (
            python_of(&format!("[ $4 = config ] && {{ echo {unreadable} >&2; exit 1; }}")),
            "pip cannot read its settings: ERROR: Configuration file could not be loaded.",
            "PIP_CONFIG_FILE=/dev/null crossrun setup tested",
        ),
        (venv(unreachable, 1), "no package index could be reached", "PIP_INDEX_URL="),
        (
            venv("error: Failed to initialize cache at /.cache/uv\\n  Caused by: Read-only file system", 1),
            "the cache of uv cannot be used: error: Failed to initialize cache at",
            "UV_NO_CACHE=1 crossrun setup tested",
        ),
        (
            venv("ERROR: something else\\nhint", 1),
            "exited with code 1: ERROR: something else",
            "tail -n 40 /",
        ),
        (
            venv(&format!("50 %\\rERROR: {}", "x".repeat(5000)), 1),
            "exited with code 1: ERROR: xxx",
            "tail -n 40 /",
        ),
        ("kill -9 $$".into(), "was killed by signal 9 (SIGKILL)", "tail -n 40 /"),
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
        let told = error.remedy.as_ref().unwrap();
        assert!(told.contains(remedy), "{error}");
        // The one that was chosen, or the place for another one.
        assert_eq!(told.matches(" --python ").count(), told.matches("crossrun setup").count(), "{error}");
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
        assert!(error.message.len() < 1000, "{error}");
        assert_ne!(error.remedy.as_deref(), Some("crossrun setup tested"), "{error}");
    }
}

#[test]
fn a_certificate_that_is_not_valid_is_told_from_one_that_is_not_trusted() {
    let not_valid_now = "is not valid at the time that this machine has";
    let clock = "set the clock if `date` shows a wrong time, or else ";
    let failed = "CERTIFICATE_VERIFY_FAILED] certificate verify failed";
    for (said, message, remedy) in [
        (format!("{failed}: certificate has expired"), not_valid_now, clock),
        (format!("{failed}: certificate is not yet valid"), not_valid_now, clock),
        ("invalid peer certificate: Expired".into(), not_valid_now, clock),
        ("invalid peer certificate: NotValidYet".into(), not_valid_now, clock),
        ("invalid peer certificate: certificate expired: verification time 9".into(), not_valid_now, clock),
        (format!("{failed}: Hostname mismatch, certificate is not valid for a"), "is for another host", ""),
        ("invalid peer certificate: NotValidForName".into(), "is for another host", ""),
        (format!("{failed}: unable to get local issuer certificate"), "is not trusted", "PIP_CERT="),
        ("invalid peer certificate: UnknownIssuer".into(), "is not trusted", "PIP_CERT="),
    ] {
        let (_data, made) = install(&venv(&said, 1), &Arc::new(Host::default()));
        let error = made.unwrap_err();
        assert!(error.message.contains(message), "{said}: {error}");
        let told = error.remedy.as_ref().unwrap();
        assert!(told.contains(remedy), "{said}: {error}");
        assert_eq!(
            told.contains("PIP_INDEX_URL=ANOTHER_INDEX"),
            message != "is not trusted",
            "{said}: {error}"
        );
    }
}

#[test]
fn a_python_for_which_there_are_no_packages_is_named_and_no_index() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("base");
    let answer = format!("[[3, 11, 1], \"{}\", \"pypy\", \"\"]", path.display());
    let answer = format!("[ \"$3\" = -c ] && echo '{answer}' && exit");
    let nothing = "ERROR: No matching distribution found for one==1";
    for (said, message) in [
        (nothing.to_owned(), "base is PyPy, for which there is no package that is needed: ERROR: No"),
        (format!("Failed to establish a new connection\\n{nothing}"), "no package index could be reached"),
    ] {
        program(data.path(), "base", &format!("{answer}\nfolder=\"$5\"\n{}", venv(&said, 1)));
        let interpreter = Interpreter::find(Some(&path), ENGINE.python, None).unwrap();
        let environments = Environments::new(&ENGINE, data.path());
        let host = Arc::new(Host::default());
        let context = SetupContext::new(host, data.path().into(), data.path().into());
        let folder = environments.place(&interpreter);
        let installation = Installation {
            engine: &ENGINE,
            environments: &environments,
            interpreter: &interpreter,
            context: &context,
        };
        let error = installation.make(&folder).unwrap_err().into_runner_error(&ENGINE, None);
        assert!(error.message.contains(message), "{error}");
    }
}

#[test]
fn without_processes_left_another_folder_is_no_remedy() {
    let error = InstallError::File { step: "start the installer", error: io::ErrorKind::WouldBlock.into() };
    let remedy = error.into_runner_error(&ENGINE, None).remedy.unwrap();
    assert!(remedy.contains("`ulimit -u`") && !remedy.contains("CROSSRUN_DATA_DIR"), "{remedy}");
}

#[test]
fn a_package_of_debian_is_installed_after_the_lists_of_packages_are_fetched() {
    let [python, version, module] = ["/usr/bin/python3", "3.11", "venv"];
    let error =
        InstallError::NoModule { python: python.into(), version: version.into(), module: module.into() };
    let remedy = error.into_runner_error(&ENGINE, None).remedy.unwrap();
    if !std::path::Path::new("/etc/debian_version").exists() {
        assert_eq!(remedy, "crossrun setup tested --python PATH_OF_ANOTHER_PYTHON");
        return;
    }
    let (update, install) = remedy.split_once(" && ").unwrap();
    assert!(update.ends_with("apt update") && install.ends_with("apt install python3.11-venv"), "{remedy}");
}

#[test]
fn what_the_question_for_settings_leaves_running_is_not_waited_for() {
    let since = Instant::now();
    let script = python_of("[ $4 = config ] && { sleep 600 & exit 0; }");
    let (_data, made) = install(&script, &Arc::new(Host::default()));
    made.unwrap();
    assert!(since.elapsed() < Duration::from_secs(300));
}

#[test]
fn a_set_up_that_is_cancelled_leaves_nothing_running() {
    let host = Arc::new(Host::default());
    host.cancels.store(true, Ordering::Relaxed);
    let since = Instant::now();
    let (_data, made) = install("mkdir -p \"$folder\"; sleep 600", &host);
    assert_eq!(made.unwrap_err().kind, ErrorKind::Cancelled);
    assert!(since.elapsed() < Duration::from_secs(300));
}
