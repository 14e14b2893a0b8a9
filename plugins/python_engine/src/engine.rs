//! What an author says of an engine.

use plugin_api::Parameter;
use sha2::{Digest, Sha256};

use crate::interpreter::PythonRange;

/// A Python engine, and how it is driven.
pub struct Engine {
    /// The backend's name.
    pub name: &'static str,
    /// What to install, as pip's `requirements.txt` with a hash for each package; empty if nothing is needed.
    pub requirements: &'static str,
    /// The versions of Python that it runs on.
    pub python: PythonRange,
    /// The text of `driver.py`, which implements `crossrun_engine.Driver` and ends with `serve`.
    pub driver: &'static str,
    /// More files to put beside `driver.py`: name and text.
    pub files: &'static [(&'static str, &'static str)],
    /// What the backend reads from `extra`.
    pub options: fn() -> Vec<Parameter>,
    /// A module that must be among the installed ones: it is looked up as a path, never imported. Empty if nothing is
    /// installed.
    pub import_check: &'static str,
}

impl Engine {
    /// Whether there is anything to install.
    pub(crate) fn needs_environment(&self) -> bool {
        !self.requirements.trim().is_empty()
    }

    /// How many packages are to be installed.
    pub(crate) fn packages(&self) -> u64 {
        let is_package = |line: &&str| !line.is_empty() && !line.starts_with(['#', '-', ' ', '\t', '\\']);
        self.requirements.lines().filter(is_package).count() as u64
    }

    /// SHA-256 of the requirements, in hex.
    pub(crate) fn requirements_hash(&self) -> String {
        hex::encode(Sha256::digest(self.requirements))
    }

    /// The command that sets it up.
    pub(crate) fn setup_command(&self) -> String {
        format!("crossrun setup {}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::ENGINE;

    #[test]
    fn packages_are_counted_and_their_hashes_are_not() {
        assert_eq!(ENGINE.packages(), 2);
    }
}
