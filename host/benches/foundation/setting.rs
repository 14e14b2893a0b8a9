//! Plugins in release builds, staged in a folder of their own.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crossrun::internals::worker::LibraryFile;
use crossrun::internals::worker::load;
use peers::in_process::{NoHost, library};
use plugin_api::{WorkloadHandle, WorkloadRunner, WorkloadSpec};
use tempfile::TempDir;

pub(crate) struct Setting {
    folder: TempDir,
}

impl Setting {
    pub(crate) fn new() -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let target = Path::new(env!("CARGO_BIN_EXE_crossrun")).ancestors().nth(2).unwrap().to_owned();
        cargo(repository, &target, &["-p", "native_runner", "-p", "standard_workloads"]);
        let hostile = target.join("hostile");
        cargo(&repository.join("tests/hostile"), &hostile, &["-p", "empty_runner"]);
        let folder = tempfile::tempdir().unwrap();
        for (target, name) in
            [(&target, "native_runner"), (&target, "standard_workloads"), (&hostile, "empty_runner")]
        {
            let file = format!("lib{name}.so");
            std::fs::copy(target.join("release").join(&file), folder.path().join(&file)).unwrap();
        }
        Self { folder }
    }

    fn library(&self, name: &str) -> LibraryFile {
        library(self.folder.path().join(format!("lib{name}.so")))
    }

    /// A runner in this process.
    pub(crate) fn runner(&self, name: &str) -> Box<dyn WorkloadRunner> {
        load::runner(&self.library(name), Arc::new(NoHost), log::LevelFilter::Off).unwrap()
    }

    /// A workload in this process.
    pub(crate) fn workload(&self, spec: &WorkloadSpec) -> WorkloadHandle {
        load::workloads(&self.library("standard_workloads")).unwrap().open(spec).unwrap()
    }

    /// The command line, with these plugins and a data folder of its own.
    pub(crate) fn crossrun(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossrun"));
        command.args(arguments).arg("--plugin-dir").arg(self.folder.path());
        command.env("CROSSRUN_DATA_DIR", self.folder.path().join("data")).current_dir(self.folder.path());
        command
    }
}

fn cargo(folder: &Path, target: &Path, packages: &[&str]) {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--target-dir"])
        .arg(target)
        .args(packages)
        .current_dir(folder)
        .status()
        .unwrap();
    assert!(status.success());
}
