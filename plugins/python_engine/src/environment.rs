//! An engine's own environment: where it is, and whether it is whole.
//!
//! `<data folder>/environments/<engine>/<hash>/` is a virtual environment. The hash is of the requirements and the
//! interpreter. A marker is written last: a folder without one is what an interrupted set-up left, and is never used.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::Engine;
use crate::interpreter::{Interpreter, Version};

const MARKER: &str = "crossrun-environment.json";
const SCHEMA: u32 = 1;

/// How often a set-up that waits for another one looks again.
const LOCK_TICK: Duration = Duration::from_millis(50);

/// What the marker says.
#[derive(Serialize, Deserialize)]
struct Marker {
    schema: u32,
    /// SHA-256 of the requirements that were installed.
    requirements: String,
    python: Version,
    /// The interpreter that the environment was made with.
    base: PathBuf,
    /// Where modules are, from the environment's folder.
    modules: PathBuf,
}

/// An environment that is whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    folder: PathBuf,
}

impl Environment {
    pub(crate) fn python(&self) -> PathBuf {
        python(&self.folder)
    }
}

/// Why there is no environment to use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unready {
    #[error("{0} is not set up")]
    Missing(&'static str),
    #[error("the environment of {name} is damaged: {} is gone", path.display())]
    Damaged { name: &'static str, path: PathBuf },
}

/// All environments of one engine.
pub(crate) struct Environments<'a> {
    engine: &'a Engine,
    root: PathBuf,
}

impl<'a> Environments<'a> {
    pub(crate) fn new(engine: &'a Engine, data_dir: &Path) -> Self {
        Self { engine, root: data_dir.join("environments") }
    }

    fn folder(&self) -> PathBuf {
        self.root.join(self.engine.name)
    }

    /// Where the environment on `interpreter` belongs.
    pub(crate) fn place(&self, interpreter: &Interpreter) -> PathBuf {
        let mut digest = Sha256::new();
        digest.update(self.engine.requirements_hash());
        digest.update(interpreter.version.to_string());
        digest.update(interpreter.executable.as_os_str().as_encoded_bytes());
        self.folder().join(&hex::encode(digest.finalize())[..16])
    }

    /// The environment with what this engine requires. Reads a few files and starts nothing.
    pub(crate) fn find(&self) -> Result<Environment, Unready> {
        let mut found = Err(Unready::Missing(self.engine.name));
        for entry in fs::read_dir(self.folder()).into_iter().flatten().flatten() {
            match self.check(&entry.path()) {
                Err(Unready::Missing(_)) => {}
                Ok(environment) => return Ok(environment),
                damaged => found = damaged,
            }
        }
        found
    }

    /// Whether the environment in `folder` is whole and has what this engine requires.
    pub(crate) fn check(&self, folder: &Path) -> Result<Environment, Unready> {
        let name = self.engine.name;
        let marker = fs::read(folder.join(MARKER)).ok();
        let marker = marker.and_then(|text| serde_json::from_slice::<Marker>(&text).ok());
        let fits = |marker: &Marker| {
            marker.schema == SCHEMA && marker.requirements == self.engine.requirements_hash()
        };
        let marker = marker.filter(fits).ok_or(Unready::Missing(name))?;
        let module = folder.join(&marker.modules).join(self.engine.import_check.replace('.', "/"));
        // The interpreter is a link to the one that the environment was made with, which may be gone.
        let gone = [python(folder), module].into_iter().find(|path| !exists(path));
        match gone {
            Some(path) => Err(Unready::Damaged { name, path }),
            None => Ok(Environment { folder: folder.into() }),
        }
    }

    /// Declares the environment in `folder` whole.
    pub(crate) fn mark(&self, folder: &Path, interpreter: &Interpreter) -> io::Result<()> {
        let marker = Marker {
            schema: SCHEMA,
            requirements: self.engine.requirements_hash(),
            python: interpreter.version,
            base: interpreter.executable.clone(),
            modules: modules(folder)?,
        };
        let partial = folder.join(format!("{MARKER}.partial-{}", std::process::id()));
        fs::write(&partial, serde_json::to_vec_pretty(&marker)?)?;
        File::open(&partial)?.sync_all()?;
        fs::rename(partial, folder.join(MARKER))
    }

    /// Waits until no other set-up of this engine runs. Nothing if `cancelled` said yes before.
    pub(crate) fn lock(&self, cancelled: impl Fn() -> bool) -> io::Result<Option<File>> {
        fs::create_dir_all(&self.root)?;
        let file = File::create(self.root.join(format!("{}.lock", self.engine.name)))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if cancelled() => return Ok(None),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_TICK),
            }
        }
    }

    /// Deletes every environment of this engine but `kept`: those of other requirements or interpreters, and what
    /// interrupted set-ups left.
    pub(crate) fn sweep(&self, kept: Option<&Path>) -> io::Result<()> {
        for entry in fs::read_dir(self.folder()).into_iter().flatten() {
            let path = entry?.path();
            if Some(path.as_path()) != kept {
                self.discard(&path)?;
            }
        }
        self.delete_discarded()
    }

    /// Deletes all that was installed for this engine.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.discard(&self.folder())?;
        self.delete_discarded()
    }

    /// Takes a folder out of sight in one step, so that nobody finds half of it.
    fn discard(&self, folder: &Path) -> io::Result<()> {
        let mut number = 0;
        loop {
            let discarded = self.root.join(format!("{}{number}", self.discarded_prefix()));
            match fs::rename(folder, &discarded) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) if is_taken(&error) => number += 1,
                renamed => return renamed,
            }
        }
    }

    fn delete_discarded(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.root).into_iter().flatten() {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&self.discarded_prefix()) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    fn discarded_prefix(&self) -> String {
        format!(".removed-{}-", self.engine.name)
    }
}

/// The interpreter of the environment in `folder`.
pub(crate) fn python(folder: &Path) -> PathBuf {
    folder.join("bin/python")
}

/// A module is a file or a folder; both are looked for, as the path of either.
fn exists(path: &Path) -> bool {
    path.exists() || path.with_extension("py").exists()
}

/// The folder of modules, from the environment's own.
fn modules(folder: &Path) -> io::Result<PathBuf> {
    for entry in fs::read_dir(folder.join("lib"))? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with("python") {
            return Ok(Path::new("lib").join(name).join("site-packages"));
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "the new environment has no folder of modules"))
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}
