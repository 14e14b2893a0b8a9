//! The backend of an [`Engine`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use plugin_api::{
    Availability, ErrorKind, Parameter, RunContext, RunResult, RunnerError, Session, SetupContext,
    SetupRequest, WorkloadRunner, WorkloadSpec, data_dir,
};

use crate::answer::{PATIENCE, within};
use crate::engine::Engine;
use crate::environment::{Environment, Environments, Unready};
use crate::install::{InstallError, Installation, sudo};
use crate::interpreter::{Interpreter, InterpreterError};
use crate::message::{Message, Request, RunOrder};
use crate::package;
use crate::process::{Driver, NoListener};
use crate::shell::quoted;
use crate::sources::Sources;

/// The backend of an engine: its environment, and its driver while a session is open.
pub struct PythonRunner {
    engine: &'static Engine,
    supports: &'static [&'static str],
    needs: fn() -> Result<(), RunnerError>,
    driver: Option<Driver>,
    /// A warning for each run of the session.
    warning: Option<String>,
    /// How long a Python has to say what it is, outside of probes.
    patience: Duration,
}

impl PythonRunner {
    /// The backend of `engine`.
    pub const fn new(engine: &'static Engine) -> Self {
        Self { engine, supports: &[], needs: || Ok(()), driver: None, warning: None, patience: PATIENCE }
    }

    /// The same for an engine that needs what is not installed with it. `check` returns an error if the machine lacks it: why, and what to
    /// do.
    #[must_use]
    pub const fn needing(mut self, check: fn() -> Result<(), RunnerError>) -> Self {
        self.needs = check;
        self
    }

    /// The same for an engine whose driver can do more than the stages of API 1.0: the words of what it supports.
    #[must_use]
    pub const fn supporting(mut self, words: &'static [&'static str]) -> Self {
        self.supports = words;
        self
    }

    fn environment(&self, data_dir: &Path) -> Result<Environment, RunnerError> {
        Environments::new(self.engine, data_dir).find().map_err(|unready| self.unready(&unready))
    }

    /// The interpreter that runs the driver.
    fn python(&self, data_dir: Option<&Path>) -> Result<PathBuf, RunnerError> {
        if !self.engine.needs_environment() {
            return Ok(self.interpreter(None, ErrorKind::Unavailable)?.executable);
        }
        let missing = || self.unready(&Unready::Missing(self.engine.name));
        Ok(self.environment(data_dir.ok_or_else(missing)?)?.python())
    }

    fn interpreter(&self, chosen: Option<&Path>, kind: ErrorKind) -> Result<Interpreter, RunnerError> {
        let search = std::env::var_os("PATH");
        let (range, search) = (self.engine.python, search.as_deref());
        let found = match self.engine.needs_environment() {
            true => Interpreter::find_for_packages(chosen, range, search),
            false => Interpreter::find(chosen, range, search),
        };
        found.map_err(|error| self.no_interpreter(&error, kind))
    }

    fn unready(&self, unready: &Unready) -> RunnerError {
        let remedy = match unready {
            Unready::Unreadable { data_dir, .. } => format!("{}chmod -R a+rX {}", sudo(), quoted(data_dir)),
            // In the same folder it would take the place of the other machine's.
            Unready::Foreign { of_another_machine: true, .. } => {
                format!("export CROSSRUN_DATA_DIR=ANOTHER_FOLDER && {}", self.engine.setup_command(None))
            }
            _ => self.engine.setup_command(None),
        };
        RunnerError::new(ErrorKind::Unavailable, unready.to_string()).with_remedy(remedy)
    }

    fn no_interpreter(&self, error: &InterpreterError, kind: ErrorKind) -> RunnerError {
        let remedy = if self.engine.needs_environment() {
            format!("{} --python PATH_OF_A_PYTHON", self.engine.setup_command(None))
        } else {
            format!("PATH=FOLDER_OF_A_PYTHON:$PATH crossrun run --backend {}", self.engine.name)
        };
        RunnerError::new(kind, error.to_string()).with_remedy(remedy)
    }

    fn install(&self, chosen: Option<&Path>, context: &SetupContext) -> Result<(), RunnerError> {
        if !self.engine.needs_environment() {
            return self.nothing_to_install(chosen);
        }
        let environments = Environments::new(self.engine, context.data_dir());
        let _lock = self.lock(&environments, chosen, context)?;
        if chosen.is_none() && self.is_whole(environments.find(), None)? {
            return Ok(());
        }
        let interpreter = self.interpreter(chosen, ErrorKind::Setup)?;
        let folder = environments.place(&interpreter);
        if !self.is_whole(environments.check(&folder), chosen)? {
            let cannot_delete =
                |error| self.error(InstallError::File { step: "delete what is incomplete", error }, chosen);
            environments.sweep_incomplete(&folder).map_err(cannot_delete)?;
            let installation = Installation {
                engine: self.engine,
                environments: &environments,
                interpreter: &interpreter,
                context,
            };
            installation.make(&folder).map_err(|error| self.error(error, chosen))?;
        }
        // Only now: until the new one is whole, an older version of this backend may use its own.
        let cannot_delete =
            |error| self.error(InstallError::File { step: "delete what is not used", error }, chosen);
        environments.sweep_others(&folder).map_err(cannot_delete)
    }

    /// Whether an environment is whole, as it was `found`.
    ///
    /// # Errors
    /// If its Python did not answer: it may be whole, and is not deleted for that.
    fn is_whole(
        &self,
        found: Result<Environment, Unready>,
        chosen: Option<&Path>,
    ) -> Result<bool, RunnerError> {
        match found {
            Ok(_) => Ok(true),
            Err(silent @ Unready::Silent { .. }) => {
                let (any, setup) = (self.engine.setup_command(None), self.engine.setup_command(chosen));
                Err(RunnerError::new(ErrorKind::Setup, silent.to_string())
                    .with_remedy(format!("{any} --remove && {setup}")))
            }
            Err(_) => Ok(false),
        }
    }

    /// An engine without an environment has nowhere to keep a choice of interpreter.
    fn nothing_to_install(&self, chosen: Option<&Path>) -> Result<(), RunnerError> {
        let Some(python) = chosen else {
            return self.interpreter(None, ErrorKind::Setup).map(|_| ());
        };
        let (name, range) = (self.engine.name, self.engine.python);
        let message = format!("{name} is not set up with a Python: it runs on the first {range} on the PATH");
        // A name alone is looked for on the PATH, too.
        let real = Interpreter::ask(python).map(|found| found.executable);
        let real =
            real.ok().or_else(|| std::path::absolute(python).ok()).unwrap_or_else(|| python.to_owned());
        let folder = quoted(real.parent().unwrap_or(&real));
        Err(RunnerError::new(ErrorKind::Setup, message)
            .with_remedy(format!("PATH={folder}:$PATH crossrun run --backend {name}")))
    }

    fn error(&self, error: InstallError, chosen: Option<&Path>) -> RunnerError {
        error.into_runner_error(self.engine, chosen)
    }

    fn remove(&self, context: &SetupContext) -> Result<(), RunnerError> {
        let environments = Environments::new(self.engine, context.data_dir());
        let _lock = self.lock(&environments, None, context)?;
        environments
            .remove()
            .map_err(|error| self.error(InstallError::File { step: "delete the environment", error }, None))
    }

    fn lock(
        &self,
        environments: &Environments<'_>,
        chosen: Option<&Path>,
        context: &SetupContext,
    ) -> Result<std::fs::File, RunnerError> {
        let cannot = |error| self.error(InstallError::File { step: "lock the environments", error }, chosen);
        let lock = environments.lock(|| context.cancelled()).map_err(cannot)?;
        lock.ok_or_else(|| self.error(InstallError::Cancelled, chosen))
    }

    fn driver(&mut self) -> Result<&mut Driver, RunnerError> {
        let closed = || RunnerError::new(ErrorKind::Internal, "the session is not open");
        self.driver.as_mut().ok_or_else(closed)
    }
}

impl WorkloadRunner for PythonRunner {
    fn backend_name(&self) -> &str {
        self.engine.name
    }

    fn is_available(&self) -> Availability {
        let unavailable = |error: RunnerError| Availability::Unavailable {
            reason: error.message,
            remedy: error.remedy.unwrap_or_default(),
        };
        let found = self.python(data_dir().as_deref()).and_then(|_| (self.needs)());
        found.map_or_else(unavailable, |()| Availability::Available)
    }

    fn options(&self) -> Vec<Parameter> {
        (self.engine.options)()
    }

    fn supports(&self) -> Vec<String> {
        self.supports.iter().map(|word| (*word).to_owned()).collect()
    }

    fn open(&mut self, session: &Session) -> Result<(), RunnerError> {
        // Checked here and for each run, so that a driver can rely on them.
        let first = WorkloadSpec { extra: session.options.clone(), ..WorkloadSpec::default() };
        first.batch_size()?;
        first.fusion()?;
        let python = within(self.patience, || self.python(Some(&session.data_dir)))?;
        let unavailable = |what: &str, error: std::io::Error| {
            RunnerError::new(ErrorKind::Unavailable, format!("the driver cannot be {what}: {error}"))
        };
        let sources = Sources::of(self.engine).map_err(|error| unavailable("read", error))?;
        let folder = package::write_in_either(&sources, &session.data_dir, &session.log_dir);
        let folder = folder.map_err(|error| unavailable("written to disk", error))?;
        self.warning = sources.warning();
        let Engine { name, variables, .. } = *self.engine;
        let mut driver = Driver::start(name, &python, &folder, &session.log_dir, variables)?;
        // Asked only of an engine that does not start, as the time to ask would be a part of its start.
        let opened = driver.call(&Request::Open { session }, &NoListener);
        opened.map_err(|error| within(self.patience, self.needs).err().unwrap_or(error))?;
        self.driver = Some(driver);
        Ok(())
    }

    fn prepare(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<(), RunnerError> {
        spec.batch_size()?;
        spec.fusion()?;
        self.driver()?.call(&Request::Prepare(RunOrder::new(spec, context)), context).map(|_| ())
    }

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        spec.batch_size()?;
        spec.fusion()?;
        let name = self.engine.name;
        match self.driver()?.call(&Request::Run(RunOrder::new(spec, context)), context)? {
            Message::Result(finished) => {
                let result = finished.into_result(name)?;
                Ok(match &self.warning {
                    Some(warning) => result.with_warning(warning.as_str()),
                    None => result,
                })
            }
            other => Err(RunnerError::new(
                ErrorKind::Internal,
                format!("the driver answered a run with {other:?}"),
            )),
        }
    }

    fn close(&mut self) -> Result<(), RunnerError> {
        let Some(mut driver) = self.driver.take() else { return Ok(()) };
        driver.call(&Request::Close, &NoListener)?;
        driver.finish()
    }

    fn setup(&mut self, request: &SetupRequest, context: &SetupContext) -> Result<(), RunnerError> {
        if request.remove {
            return self.remove(context);
        }
        within(self.patience, || self.install(request.python.as_deref(), context))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;

    use plugin_api::{HostServices, Progress};

    use super::*;
    use crate::fixture::{ENGINE, program};

    static TESTED: Engine = ENGINE;

    /// A host that hears nothing.
    struct Deaf;

    impl HostServices for Deaf {
        fn log(&self, _: log::Level, _: &str, _: &str) {}

        fn progress(&self, _: Progress) {}

        fn cancelled(&self) -> bool {
            false
        }

        fn clock_nanos(&self) -> u64 {
            0
        }
    }

    #[test]
    fn a_set_up_deletes_no_environment_whose_python_does_not_answer_in_time() {
        let data = tempfile::tempdir().unwrap();
        let base = data.path().join("base");
        program(data.path(), "base", &format!("echo '[[3, 11, 1], \"{}\"]'", base.display()));
        let interpreter = Interpreter::ask(&base).unwrap();
        let environments = Environments::new(&TESTED, data.path());
        let folder = environments.place(&interpreter);
        fs::create_dir_all(folder.join("lib/python3.11/site-packages/one/part")).unwrap();
        fs::create_dir(folder.join("bin")).unwrap();
        symlink(&base, folder.join("bin/python")).unwrap();
        environments.mark(&folder, &interpreter).unwrap();
        fs::remove_file(folder.join("bin/python")).unwrap();
        program(&folder.join("bin"), "python", "exec sleep 600");
        let context = SetupContext::new(Arc::new(Deaf), data.path().into(), data.path().into());
        let patience = Duration::from_secs(1);
        let mut runner = PythonRunner { patience, ..PythonRunner::new(&TESTED) };
        for python in [None, Some(base.clone())] {
            let chosen = python.as_deref().map(|python| format!(" --python {}", quoted(python)));
            let error = runner.setup(&SetupRequest { remove: false, python }, &context).unwrap_err();
            assert!(error.message.contains("no answer within 1 s"), "{error}");
            let remedy = "crossrun setup tested --remove && crossrun setup tested";
            assert_eq!(error.remedy, Some(format!("{remedy}{}", chosen.unwrap_or_default())));
            assert!(folder.join("bin/python").exists());
        }
        // One that answers, and is no Python, is replaced.
        let whole = runner.is_whole(Err(Unready::Broken { name: "tested", why: String::new() }), None);
        assert!(!whole.unwrap());
    }
}
