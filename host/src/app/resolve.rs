//! Plugins that are to be loaded: identified by their hash, and listed by the lock file if one is gone by.

use std::path::{Path, PathBuf};

use super::{Exit, GlobalArguments, Problem};
use crate::plugin::PluginRef;
use crate::plugin::inspect::{Inspected, Rejection, inspect};
use crate::plugin::lock_file::{self, LockError, LockFile};
use crate::plugin::trust::Trust;
use crate::record::Library;
use crate::shell;

/// Where the lock file is if nothing else is said: in the user's data folder. Not in the current one, as a lock that came
/// with somebody's files is not the user's.
pub(crate) fn usual_lock_file(data_dir: &Path) -> PathBuf {
    data_dir.join(lock_file::FILE)
}

/// The command that writes the lock anew.
pub(crate) fn renew_command(global: &GlobalArguments, path: &Path, data_dir: &Path) -> String {
    let mut words = vec!["backends".to_owned(), "lock".to_owned()];
    if path != usual_lock_file(data_dir) {
        words.extend(["--output".to_owned(), path.display().to_string()]);
    }
    for folder in &global.plugin_dir {
        words.extend(["--plugin-dir".to_owned(), folder.display().to_string()]);
    }
    shell::command("crossrun", words)
}

/// The lock file that is gone by.
pub(crate) struct Lock {
    pub(crate) path: PathBuf,
    file: LockFile,
    renew: String,
}

impl Lock {
    /// The one that `--locked` names, if it was given.
    pub(crate) fn of(
        global: &GlobalArguments,
        data_dir: &Path,
        trust: &Trust,
    ) -> Result<Option<Self>, Problem> {
        let Some(named) = &global.locked else { return Ok(None) };
        let path = named.clone().unwrap_or_else(|| usual_lock_file(data_dir));
        let path = std::path::absolute(&path).unwrap_or(path);
        let renew = renew_command(global, &path, data_dir);
        trust.check_file(&path).map_err(|distrust| {
            let message = format!("the lock file {}: {distrust}", path.display());
            Problem::new(Exit::Unavailable, message).with_remedy(distrust.remedy)
        })?;
        let file = LockFile::read(&path).map_err(|error| unlocked(&error).with_remedy(&renew))?;
        Ok(Some(Self { path, file, renew }))
    }

    /// Whether `plugin` is what is listed by its kind and name.
    fn check(&self, plugin: &PluginRef) -> Result<(), Problem> {
        let (kind, name) = (plugin.metadata.kind.as_str(), &plugin.metadata.name);
        match self.file.find(kind, name) {
            Some(listed) if listed.sha256 == plugin.sha256 => Ok(()),
            Some(_) => Err(self.refused(&plugin.path, "changed since it was locked:")),
            None => Err(self.refused(&plugin.path, "is not listed in")),
        }
    }

    /// Whether a library that a run was begun with is still listed.
    pub(crate) fn check_recorded(&self, library: &Library) -> Result<(), Problem> {
        if library.locked_by.is_none() {
            let message = format!("the run was begun without --locked, so {} may be any file", library.path);
            return Err(Problem::usage(message).with_remedy("crossrun compare --locked, as a new run"));
        }
        if self.file.lists(&library.sha256) {
            return Ok(());
        }
        Err(self.refused(&library.file(), "is not listed in"))
    }

    fn refused(&self, plugin: &Path, how: &str) -> Problem {
        let message = format!("{} {how} {}", plugin.display(), self.path.display());
        Problem::new(Exit::Unavailable, message).with_remedy(&self.renew)
    }

    /// What to say of a name that leads nowhere, if the lock lists it.
    pub(crate) fn missing(&self, kind: &str, name: &str) -> Option<Problem> {
        let listed = self.file.find(kind, &name.to_lowercase())?;
        let message = format!(
            "{name} is listed in {}, but was not found (it was {})",
            self.path.display(),
            listed.source
        );
        Some(Problem::new(Exit::Unavailable, message).with_remedy(&self.renew))
    }

    /// The libraries of workloads that are listed but not among `names`.
    pub(crate) fn missing_libraries(&self, names: &[String]) -> Option<Problem> {
        let libraries = self.file.plugins.iter().filter(|listed| listed.kind == "workloads");
        libraries
            .into_iter()
            .find(|listed| !names.contains(&listed.name))
            .and_then(|listed| self.missing(&listed.kind, &listed.name))
    }

    pub(crate) fn listed(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.file
            .plugins
            .iter()
            .map(|listed| (listed.kind.as_str(), listed.name.as_str(), listed.source.as_str()))
    }
}

/// Identifies `plugin`, which must be listed if a lock is gone by.
pub(crate) fn resolve(plugin: &Inspected, lock: Option<&Lock>) -> Result<PluginRef, Problem> {
    let mut plugin = plugin.identify().map_err(|rejection| rejected(&plugin.path, rejection))?;
    if let Some(lock) = lock {
        lock.check(&plugin)?;
        plugin.locked_by = Some(lock.path.clone());
    }
    Ok(plugin)
}

/// A backend or a library of workloads in a file that need not be in a plugin folder.
pub(crate) fn inspected(file: &Path, trust: &Trust) -> Result<Inspected, Problem> {
    let trusted = trust.check_file(file).map_err(Rejection::from);
    trusted.and_then(|()| inspect(file)).map_err(|rejection| rejected(file, rejection))
}

pub(crate) fn rejected(path: &Path, rejection: Rejection) -> Problem {
    let message = format!("{}: {}", path.display(), rejection.reason);
    Problem::new(Exit::Unavailable, message).with_remedy(rejection.remedy.unwrap_or_default())
}

pub(crate) fn unlocked(error: &LockError) -> Problem {
    let exit = match error {
        LockError::Missing(_) | LockError::Unreadable { .. } => Exit::Unavailable,
        LockError::Unwritable { .. } => Exit::Unexpected,
    };
    Problem::new(exit, error.to_string())
}
