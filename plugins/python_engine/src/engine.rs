//! The description of an engine, which its author writes.

use std::path::Path;

use plugin_api::Parameter;
use sha2::{Digest, Sha256};

use crate::interpreter::PythonRange;
use crate::shell::quoted;
use crate::surroundings::Variables;

/// A Python engine, and how it is driven.
pub struct Engine {
    /// The backend's name.
    pub name: &'static str,
    /// What to install, as pip's `requirements.txt` with a hash for each package; empty if nothing is needed.
    pub requirements: &'static str,
    /// What builds the packages that are published as source only, in the same form. It is installed before them, as what
    /// an installer fetches for a build by itself has no hash. Empty if all are published built: then no source is taken.
    pub build_requirements: &'static str,
    /// The versions of Python that it runs on.
    pub python: PythonRange,
    /// The text of `driver.py`, which implements `crossrun_engine.Driver` and ends with `serve`.
    pub driver: &'static str,
    /// More files to put beside `driver.py`: name and text.
    pub files: &'static [(&'static str, &'static str)],
    /// What the backend reads from `extra`.
    pub options: fn() -> Vec<Parameter>,
    /// A module that must be among the installed ones. A set-up imports it once; after that it is only looked up as a path.
    /// Empty if nothing is installed.
    pub import_check: &'static str,
    /// The variables of the user's environment that the engine gets beside the usual ones, such as `PATH` and `HOME`, each
    /// with the reason. It gets no others.
    pub variables: Variables,
}

impl Engine {
    /// Whether there is anything to install.
    pub(crate) fn needs_environment(&self) -> bool {
        !self.requirements.trim().is_empty()
    }

    /// Whether some packages are built here.
    pub(crate) fn builds(&self) -> bool {
        !self.build_requirements.trim().is_empty()
    }

    /// How many packages are to be installed.
    pub(crate) fn packages(&self) -> u64 {
        packages(self.build_requirements) + packages(self.requirements)
    }

    /// SHA-256 of all requirements, in hex.
    pub(crate) fn requirements_hash(&self) -> String {
        let mut digest = Sha256::new_with_prefix(self.requirements);
        if self.builds() {
            digest.update([0]);
            digest.update(self.build_requirements);
        }
        hex::encode(digest.finalize())
    }

    /// The command that sets it up, with the Python that was `chosen`, if one was.
    pub(crate) fn setup_command(&self, chosen: Option<&Path>) -> String {
        let python = chosen.map(|python| format!(" --python {}", quoted(python))).unwrap_or_default();
        format!("crossrun setup {}{python}", self.name)
    }
}

/// How many packages `requirements` names.
pub(crate) fn packages(requirements: &str) -> u64 {
    let is_package = |line: &&str| !line.is_empty() && !line.starts_with(['#', '-', ' ', '\t', '\\']);
    requirements.lines().filter(is_package).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{BUILT, ENGINE};

    #[test]
    fn packages_are_counted_and_their_hashes_are_not() {
        assert_eq!(ENGINE.packages(), 2);
        assert_eq!(BUILT.packages(), 3);
    }

    #[test]
    fn another_build_tool_makes_another_environment() {
        const NEWER: Engine = Engine { build_requirements: "builder==2 --hash=sha256:33", ..BUILT };
        assert_eq!(ENGINE.requirements_hash(), hex::encode(Sha256::digest(ENGINE.requirements)));
        assert_ne!(ENGINE.requirements_hash(), BUILT.requirements_hash());
        assert_ne!(BUILT.requirements_hash(), NEWER.requirements_hash());
    }
}
