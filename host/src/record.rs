//! The records of trials: every trial is a line in `trials.jsonl`, every measured one also a line in `unified_results.jsonl`, in
//! the record that the original project reads and writes. `docs/record-format.md` describes every file and key.
//!
//! A [`Recorder`] takes the events of the executor, and appends a [`TrialRecord`] for each trial that is over.

use std::io;
use std::path::{Path, PathBuf};

mod chain;
pub(crate) mod claims;
pub(crate) mod clock;
pub(crate) mod config;
mod efficiency;
pub(crate) mod environment;
pub(crate) mod file_lock;
mod folder;
mod foreign;
pub(crate) mod format;
mod journal;
pub(crate) mod latency;
mod machine;
pub(crate) mod machine_history;
pub(crate) mod measurement_lock;
pub(crate) mod names;
mod nodes;
pub(crate) mod outcome;
pub(crate) mod reader;
pub(crate) mod record_files;
pub(crate) mod recorder;
pub(crate) mod skipped;
mod table;
pub(crate) mod trial;
pub(crate) mod writer;
mod written;

pub(crate) use config::Config;
pub(crate) use efficiency::Bounds;
pub(crate) use environment::SystemProfile;
pub(crate) use format::{Kind, Library, Metadata, Resources, TrialRecord, UnifiedRecord};
pub(crate) use journal::Access;
pub(crate) use latency::{OpenLoop, Percentiles};
pub(crate) use machine::{Machines, distinguishing_keys, machine_differences, machine_keys, under_one_name};
pub(crate) use measurement_lock::MeasurementLock;
pub(crate) use reader::Records;
pub(crate) use recorder::Recorder;
pub(crate) use trial::Conditions;

use crate::text::with_remedy;
use crate::{resource_limit, shell};

/// Why a record could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("cannot {action} {path}: {error}")]
    File {
        /// The action that failed, as a verb.
        action: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    /// As [`RecordError::File`], of what is only read, and may be somebody else's.
    #[error("cannot {action} {path}: {error}")]
    Input { action: &'static str, path: PathBuf, error: io::Error },
    /// As [`RecordError::Input`], of what has no path.
    #[error("cannot {action} standard input: {error}")]
    StandardInput { action: &'static str, error: io::Error },
    #[error("{path}:{line}: not a record: {why}")]
    Line {
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        why: String,
    },
    /// What may have no end is read no further than a line.
    #[error("{path}:{line}: {why}")]
    Endless { path: PathBuf, line: u64, why: String },
    #[error(
        "{path}:{line}: format {version} is of a later crossrun; this one reads up to {}",
        format::VERSION
    )]
    Later { path: PathBuf, line: u64, version: u64 },
    #[error("another process measures into {}", .0.display())]
    Busy(PathBuf),
    /// A table without records, which one of the run's would replace.
    #[error("{} is a table of records that are not there, and would be replaced", .0.display())]
    Foreign(PathBuf),
    /// A record that JSON cannot express.
    #[error("cannot write the record for {path} as JSON: {error}")]
    Encode { path: PathBuf, error: serde_json::Error },
}

impl RecordError {
    /// Makes the error of an action on a path, for `map_err`.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::File { action, path: path.into(), error }
    }

    /// As [`file`](Self::file), of a file or a folder that is only read.
    pub(crate) fn input(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Input { action, path: path.into(), error }
    }

    /// What to do about it, if that is known.
    pub(crate) fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::Input { error, path, .. } => {
                return advice_on_reading(error, path).or_else(|| advice_on_missing(error, path));
            }
            Self::File { error, path, .. } => {
                return advice(error).or_else(|| advice_on_missing(error, path));
            }
            Self::StandardInput { error, .. } => return advice_on_input(error),
            Self::Line { .. } => "correct or remove this line",
            Self::Endless { .. } => "name a file of records",
            Self::Later { .. } => "update crossrun",
            Self::Busy(_) => "wait until it has ended, or choose another folder",
            Self::Foreign(_) => "move the file away, or choose another folder",
            Self::Encode { .. } => return None,
        };
        Some(remedy.to_owned())
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        with_remedy(&self.to_string(), self.remedy().as_deref())
    }
}

/// What to do about standard input that the system cannot read, such as a folder.
fn advice_on_input(error: &io::Error) -> Option<String> {
    let of_system = error.raw_os_error().map(|_| "redirect a file of records to it".to_owned());
    resource_limit::remedy(error).or(of_system)
}

/// What to do about a file or a folder that cannot be read, which may be somebody else's: nothing of it is to be moved.
fn advice_on_reading(error: &io::Error, path: &Path) -> Option<String> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Some(shell::permit(path)),
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory | io::ErrorKind::InvalidFilename => None,
        _ => advice(error),
    }
}

/// What to do about a path at which there is nothing, or nothing of that kind.
fn advice_on_missing(error: &io::Error, path: &Path) -> Option<String> {
    let is_missing = matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::InvalidFilename
    );
    is_missing.then(|| shell::look_beside(path))
}

/// What to do about an error of the file system, where that is known.
fn advice(error: &io::Error) -> Option<String> {
    let of_limit = resource_limit::remedy(error);
    if of_limit.is_some() {
        return of_limit;
    }
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space (or remove files, if df -i shows none left), or choose a folder on another disk"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a folder that you may write to"
        }
        io::ErrorKind::IsADirectory => "move the folder of that name away",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "move the file away that is in the place of a folder"
        }
        io::ErrorKind::NotFound if std::env::current_dir().is_err() => {
            "cd \"$HOME\", as the current folder was removed"
        }
        io::ErrorKind::InvalidFilename => "a shorter name",
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            "move the file away, or choose another folder"
        }
        io::ErrorKind::Unsupported => "choose a folder on a local disk",
        _ => return None,
    };
    Some(remedy.to_owned())
}
