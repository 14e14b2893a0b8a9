//! Resolves plugins before they are loaded: each is identified by its hash, and checked against the lock file if one is used.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use rustix::io::Errno;

use super::command_line::CommandLine;
use super::{Exit, GlobalArguments, Problem};
use crate::plugin::PluginRef;
use crate::plugin::inspect::{Inspected, Rejection, inspect};
use crate::plugin::lock_file::{self, LockFile, LockedPlugin};
use crate::plugin::trust::{Refusal, Trust};
use crate::record::Library;
use crate::shell;

/// The default lock file. It is in the user's data folder and not in the current one, because a lock file in the current
/// folder may have come with files of somebody else.
pub(crate) fn default_lock_file(data_dir: &Path) -> PathBuf {
    data_dir.join(lock_file::FILE)
}

/// The command that writes the lock file again. A file that is no lock file is somebody else's: the new one stands beside it.
pub(crate) fn renew_command(global: &GlobalArguments, path: &Path, data_dir: &Path) -> String {
    let mut command = CommandLine::new(&["backends", "lock"]);
    let default = default_lock_file(data_dir);
    let output = match () {
        () if path.is_dir() => Some(shell::free_path(&path.join(lock_file::FILE))),
        // Into a pipe or a device a lock file would vanish.
        () if path == default || (path.exists() && !path.is_file()) => None,
        () if lock_file::is_foreign(path) => Some(shell::free_path(&path.with_file_name(lock_file::FILE))),
        () => Some(path.to_owned()),
    };
    let into_default = output.is_none();
    let command = command.paths("output", output).paths("plugin-dir", &global.plugin_dir).to_string();
    if into_default && lock_file::is_foreign(&default) {
        let damaged = shell::free_path(&default.with_extension("damaged"));
        return format!("{} && {command}", shell::command("mv", [&default, &damaged]));
    }
    command
}

/// The problem with the lock file at `path`, which cannot be read.
pub(crate) fn unreadable_lock(error: &str, path: &Path, data_dir: &Path, renew: &str) -> Problem {
    if is_closed(path) {
        return Problem::new(Exit::Unavailable, error).with_remedy(shell::permit(path));
    }
    let is_others = path != default_lock_file(data_dir) && lock_file::is_foreign(path);
    let stays = if is_others { ", and stays as it is: name another one" } else { "" };
    Problem::new(Exit::Unavailable, format!("{error}{stays}")).with_remedy(renew)
}

/// Refuses to write a lock file in the place of another file, and of one that this user may not read, which may be any. `renew` gives the
/// command that writes it beside that.
pub(crate) fn refuse_other_file(path: &Path, renew: impl FnOnce() -> String) -> Result<(), Problem> {
    if !lock_file::is_foreign(path) {
        return Ok(());
    }
    let file = path.display();
    if is_closed(path) {
        let message = format!("{file} cannot be read, so that it may be no lock file, and stays as it is");
        return Err(Problem::usage(message).with_remedy(shell::permit_own(path).unwrap_or_else(renew)));
    }
    Err(Problem::usage(format!("{file} is no lock file, and stays as it is")).with_remedy(renew()))
}

fn is_closed(path: &Path) -> bool {
    rustix::fs::access(path, Access::READ_OK) == Err(Errno::ACCESS)
}

/// A lock file that `--locked` names.
pub(crate) struct Lock {
    pub(crate) path: PathBuf,
    file: LockFile,
    renew: String,
}

impl Lock {
    pub(crate) fn of(
        global: &GlobalArguments,
        data_dir: &Path,
        trust: &Trust,
    ) -> Result<Option<Self>, Problem> {
        let Some(named) = &global.locked else { return Ok(None) };
        let path = named.clone().unwrap_or_else(|| default_lock_file(data_dir));
        let path = std::path::absolute(&path).unwrap_or(path);
        let renew = renew_command(global, &path, data_dir);
        let file = match trust.other_file(&path) {
            Ok(real) => LockFile::read(&real),
            Err(Refusal::Unreadable(error)) => Err(lock_file::unreadable(&path, &error)),
            Err(Refusal::Distrust(why)) => {
                return Err(rejected(format_args!("the lock file {}", path.display()), why));
            }
        };
        let file = file.map_err(|error| unreadable_lock(&error, &path, data_dir, &renew))?;
        Ok(Some(Self { path, file, renew }))
    }

    /// Checks that `plugin`, which was found in a folder of plugins or is a file that was named, is listed under its kind and name.
    fn check(&self, plugin: &PluginRef, named: bool) -> Result<(), Problem> {
        let (kind, name) = (plugin.metadata.kind.as_str(), &plugin.metadata.name);
        match self.file.find(kind, name) {
            Some(listed) if listed.sha256 == plugin.sha256 => Ok(()),
            // A lock file lists what is in the folders of plugins, which need not have this file.
            _ if named => Err(self.refused(&plugin.path, "is not listed in").with_remedy(
                "leave out --locked, or install the file into a folder of plugins, and run crossrun backends lock",
            )),
            Some(_) => Err(self.refused(&plugin.path, "changed since it was locked:")),
            None => Err(self.refused(&plugin.path, "is not listed in")),
        }
    }

    /// Checks that the library of a recorded run is still listed.
    pub(crate) fn check_recorded(&self, library: &Library) -> Result<(), Problem> {
        if library.locked_by.is_none() {
            let message =
                format!("the run was started without --locked, so {} could be any file", library.path);
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

    /// The problem with a plugin that is not found, if the lock file lists it.
    pub(crate) fn missing(&self, kind: &str, name: &str) -> Option<Problem> {
        self.file.find(kind, &name.to_lowercase()).map(|listed| self.not_found(listed))
    }

    /// The plugins that are listed, but for which `is_found` says that they are not found.
    pub(crate) fn missing_plugins(
        &self,
        is_found: impl Fn(&str, &String) -> bool,
    ) -> Vec<(LockedPlugin, Problem)> {
        let missing = self.file.plugins.iter().filter(|listed| !is_found(&listed.kind, &listed.name));
        missing.map(|listed| (listed.clone(), self.not_found(listed))).collect()
    }

    fn not_found(&self, listed: &LockedPlugin) -> Problem {
        let LockedPlugin { name, source, .. } = listed;
        let message =
            format!("{name} is listed in {}, but was not found (it was {source})", self.path.display());
        Problem::new(Exit::Unavailable, message).with_remedy(&self.renew)
    }
}

/// Identifies `plugin`, which was found or `named`, by its hash. If there is a lock file, it must list the plugin.
pub(crate) fn resolve(plugin: &Inspected, lock: Option<&Lock>, named: bool) -> Result<PluginRef, Problem> {
    let mut plugin = plugin.identify().map_err(|rejection| rejected(plugin.path.display(), rejection))?;
    if let Some(lock) = lock {
        lock.check(&plugin, named)?;
        plugin.locked_by = Some(lock.path.clone());
    }
    Ok(plugin)
}

/// Inspects the plugin in `file`, which need not be in a plugin folder.
pub(crate) fn inspected(file: &Path, trust: &Trust) -> Result<Inspected, Problem> {
    let inspected = trust.file(file).map_err(Rejection::from).and_then(|real| inspect(&real));
    inspected.map_err(|rejection| rejected_file(file, rejection))
}

/// The problem of a file that the command line names.
pub(crate) fn rejected_file(file: &Path, rejection: Rejection) -> Problem {
    let remedy = if file.is_dir() {
        Some(plugins_in(file))
    } else {
        rejection.remedy.or_else(|| (!file.exists()).then(|| shell::look_beside(file)))
    };
    rejected(file.display(), Rejection { remedy, ..rejection })
}

/// The command that lists the plugins in a folder that is named in place of a file.
pub(crate) fn plugins_in(folder: &Path) -> String {
    CommandLine::new(&["backends", "--no-probe"]).path("plugin-dir", folder).to_string()
}

pub(crate) fn rejected(what: impl Display, rejection: Rejection) -> Problem {
    let message = format!("{what}: {}", rejection.reason);
    Problem::new(Exit::Unavailable, message).with_remedy(rejection.remedy.unwrap_or_default())
}
