//! `plan.json`: what a run was begun with, so that it can be resumed by its name alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cli::host::Host;
use crate::cli::lineup::Part;
use crate::cli::{Exit, Problem};
use crate::compare::model::Rigor;
use crate::inspect;
use crate::plan::{Matrix, Plan};
use crate::record::{Library, SystemProfile};

/// The version of the file.
pub(super) const VERSION: u32 = 1;
const FILE: &str = "plan.json";

/// What a run was begun with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PlanFile {
    pub(super) version: u32,
    /// The plan that the matrix gave when the run was begun.
    pub(super) plan_hash: String,
    pub(super) rigor: Rigor,
    pub(super) baseline: String,
    pub(super) insist: bool,
    /// Whether plugins could be anybody's.
    #[serde(default)]
    pub(super) allow_untrusted: bool,
    pub(super) timeout_seconds: f64,
    /// Who plays each part, by the name under which it takes part.
    pub(super) backends: BTreeMap<String, Part>,
    /// The library of each workload.
    pub(super) libraries: BTreeMap<String, Library>,
    pub(super) machine: SystemProfile,
    pub(super) matrix: Matrix,
}

impl PlanFile {
    /// Writes the file into a folder that holds no run yet.
    pub(super) fn create(&self, folder: &Path) -> Result<(), Problem> {
        let path = folder.join(FILE);
        let cannot = |error: std::io::Error| {
            Problem::new(Exit::Unexpected, format!("cannot write {}: {error}", path.display()))
                .with_remedy("--output-dir with a folder that you may write to")
        };
        fs::create_dir_all(folder).map_err(cannot)?;
        let file = match fs::File::create_new(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let message = format!("{} already holds a run", folder.display());
                return Err(Problem::usage(message)
                    .with_remedy(format!("--resume {}, or another --run-id", self.matrix.run)));
            }
            Err(error) => return Err(cannot(error)),
        };
        serde_json::to_writer_pretty(&file, self).map_err(|error| cannot(error.into()))?;
        file.sync_all().map_err(cannot)
    }

    /// Reads the file of the run in `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self, Problem> {
        let path = folder.join(FILE);
        let text = fs::read(&path).map_err(|error| {
            Problem::usage(format!("there is no run in {}: {error}", folder.display()))
                .with_remedy("--output-dir DIR, if it is elsewhere")
        })?;
        let unreadable = |why: String| Problem::usage(format!("{} cannot be read: {why}", path.display()));
        let file: Self = serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
        if file.version != VERSION {
            return Err(unreadable(format!(
                "it has version {}, this crossrun knows {VERSION}",
                file.version
            )));
        }
        Ok(file)
    }

    /// Only what is the same, and may still be loaded, may be gone on with: otherwise the rows of one run would not belong
    /// together.
    pub(super) fn check_unchanged(&self, plan: &Plan, host: &Host) -> Result<(), Problem> {
        let changed = |what: String| {
            Problem::new(Exit::Invalid, format!("run {} cannot be resumed: {what}", self.matrix.run))
                .with_remedy("crossrun compare, as a new run")
        };
        if plan.hash() != self.plan_hash {
            return Err(changed("this crossrun would run it in another order".into()));
        }
        let machine = SystemProfile::collect();
        if machine != self.machine {
            return Err(changed("it was begun on another machine, or this one was changed".into()));
        }
        let libraries = self.backends.values().map(|part| &part.library).chain(self.libraries.values());
        for library @ Library { path, sha256, .. } in libraries {
            host.check_recorded(library)?;
            match inspect::sha256_of(Path::new(path)) {
                Ok(now) if now == *sha256 => {}
                Ok(_) => return Err(changed(format!("{path} is another file now"))),
                Err(error) => return Err(changed(format!("{path}: {error}"))),
            }
        }
        Ok(())
    }
}
