//! Makes an environment: a virtual one, with the packages that are required, each checked by its hash.
//!
//! Where packages come from is the user's own affair: nothing here names an index.

mod commands;
mod error;
mod reason;
mod running;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use plugin_api::SetupContext;

use crate::engine::{Engine, packages};
use crate::environment::{self, Environments};
use crate::interpreter::Interpreter;
use crate::pip_settings;
use crate::surroundings::restrict;
use commands::{Sources, UV_VENV, installer, pip, usable_uv};
pub(crate) use error::InstallError;
pub use error::sudo;
use running::{Output, Running};

/// The beginning of the program that imports an engine.
const IMPORT: &str = "import";
/// How often a set-up looks whether it is to stop.
const TICK: Duration = Duration::from_millis(50);

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
        // No virtual environment is made there, and neither Python's nor Java's list of folders could have it.
        if folder.as_os_str().as_encoded_bytes().contains(&b':') {
            return Err(InstallError::Colon(self.context.data_dir().into()));
        }
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
            settings = pip_settings::of_files(folder).map_err(InstallError::Settings)?;
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
            Some(_) => command.args(UV_VENV).arg("--python").arg(python),
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

    fn file(&self, step: &'static str, error: io::Error) -> InstallError {
        match error.kind() {
            io::ErrorKind::StorageFull => InstallError::NoSpace(self.context.data_dir().into()),
            _ => InstallError::File { step, error },
        }
    }
}
