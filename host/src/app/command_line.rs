//! Commands of crossrun that a user can paste into a shell.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::shell;

/// The variables that change what is measured, and for which there is no option.
const CONDITIONS: [&str; 3] = ["CROSSRUN_DEADLINES", "CROSSRUN_DRIVERS", "CROSSRUN_NAMESPACES"];

/// Where plugins are looked for, unless the option says so.
const FOLDERS: (&str, &str) = ("CROSSRUN_PLUGIN_PATH", "--plugin-dir");

/// Variables that change what is measured, with their values.
pub(crate) type Variables = BTreeMap<String, String>;

/// Those that are set for this process.
pub(crate) fn set_variables() -> Variables {
    let text = |name| Some(value(name)?.to_string_lossy().into_owned());
    CONDITIONS.into_iter().filter_map(|name| Some((name.to_owned(), text(name)?))).collect()
}

fn value(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// One word of a name and its value.
fn assignment(name: &str, value: &OsStr) -> OsString {
    let mut word = OsString::from(format!("{name}="));
    word.push(value);
    word
}

fn begins(word: &OsStr, start: &str) -> bool {
    word.as_bytes().starts_with(start.as_bytes())
}

/// A command of crossrun, to which options are added in order.
pub(crate) struct CommandLine {
    /// What `env` sets, as `NAME=VALUE`, and before that what it unsets.
    variables: Vec<OsString>,
    words: Vec<OsString>,
}

impl CommandLine {
    pub(crate) fn new(verbs: &[&str]) -> Self {
        Self { variables: Vec::new(), words: verbs.iter().map(|verb| OsString::from(*verb)).collect() }
    }

    /// A command that measures as this process does: it sets the variables that were set for this one, and that change what is measured.
    pub(crate) fn measuring(verbs: &[&str]) -> Self {
        Self::under(verbs, &set_variables())
    }

    /// A command that measures as a process for which these variables were `set`, and no others.
    pub(crate) fn under(verbs: &[&str], set: &Variables) -> Self {
        let other = set_variables().into_keys().filter(|name| !set.contains_key(name));
        let unset = other.flat_map(|name| ["-u".to_owned(), name]).map(OsString::from);
        let set = set.iter().map(|(name, value)| assignment(name, OsStr::new(value)));
        let folders = value(FOLDERS.0).map(|value| assignment(FOLDERS.0, &value));
        Self { variables: unset.chain(set).chain(folders).collect(), ..Self::new(verbs) }
    }

    /// Adds an option. The value is in the same word if it begins with a hyphen, which would make it another option.
    pub(crate) fn option(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.path(name, Path::new(&value.to_string()))
    }

    /// As [`CommandLine::option`], of a path, which need not be UTF-8.
    pub(crate) fn path(&mut self, name: &str, value: &Path) -> &mut Self {
        let (option, value) = (format!("--{name}"), value.as_os_str());
        if begins(value, "-") {
            self.words.push(assignment(&option, value));
        } else {
            self.words.push(option.into());
            self.words.push(value.to_owned());
        }
        self
    }

    /// Adds an option once for each path.
    pub(crate) fn paths<P: AsRef<Path>>(
        &mut self,
        name: &str,
        paths: impl IntoIterator<Item = P>,
    ) -> &mut Self {
        paths.into_iter().fold(self, |command, path| command.path(name, path.as_ref()))
    }

    /// Adds an option once for each value.
    pub(crate) fn options<V: ToString>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = V>,
    ) -> &mut Self {
        values.into_iter().fold(self, |command, value| command.option(name, value))
    }

    /// Adds an option whose value is a list, unless that is empty.
    pub(crate) fn list<V: ToString>(&mut self, name: &str, values: impl IntoIterator<Item = V>) -> &mut Self {
        let values: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
        self.options(name, (!values.is_empty()).then(|| values.join(",")))
    }

    /// Adds an option without a value if it is `given`.
    pub(crate) fn flag(&mut self, name: &str, given: bool) -> &mut Self {
        self.words.extend(given.then(|| OsString::from(format!("--{name}"))));
        self
    }

    /// Adds an option whose path may be left out, and therefore is in the same word.
    pub(crate) fn joined(&mut self, name: &str, value: &Path) -> &mut Self {
        self.words.push(assignment(&format!("--{name}"), value.as_os_str()));
        self
    }

    /// Adds an option whose value is a duration, unless there is none.
    pub(crate) fn duration(&mut self, name: &str, duration: impl Into<Option<Duration>>) -> &mut Self {
        let duration: Option<Duration> = duration.into();
        self.options(name, duration.map(|it| format!("{}s", it.as_secs_f64())))
    }

    pub(crate) fn extra<'a>(
        &mut self,
        extra: impl IntoIterator<Item = (&'a String, &'a Value)>,
    ) -> &mut Self {
        self.options("extra", extra.into_iter().map(|(key, value)| format!("{key}={value}")))
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (folders, option) = FOLDERS;
        let has_folders = self.words.iter().any(|word| begins(word, option));
        let without_effect = |variable: &&OsString| has_folders && begins(variable, folders);
        let variables: Vec<_> = self.variables.iter().filter(|it| !without_effect(it)).collect();
        if variables.is_empty() {
            return f.write_str(&shell::command("crossrun", &self.words));
        }
        let program = OsString::from("crossrun");
        let words = variables.into_iter().chain([&program]).chain(&self.words);
        f.write_str(&shell::command("env", words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_come_first_and_those_without_effect_are_left_out() {
        let mut command = CommandLine::new(&["run"]);
        command.variables = ["CROSSRUN_DRIVERS=a=/b c", "CROSSRUN_PLUGIN_PATH=/p"].map(OsString::from).into();
        let start = "env 'CROSSRUN_DRIVERS=a=/b c'";
        assert_eq!(command.to_string(), format!("{start} CROSSRUN_PLUGIN_PATH=/p crossrun run"));
        command.option("plugin-dir", "/q");
        assert_eq!(command.to_string(), format!("{start} crossrun run --plugin-dir /q"));
    }

    #[test]
    fn paths_keep_bytes_that_are_no_utf_8() {
        let path = Path::new(OsStr::from_bytes(b"/a\xe9"));
        let mut command = CommandLine::new(&["run"]);
        command.path("output-dir", path).paths("plugin-dir", [path, Path::new("-b")]).joined("locked", path);
        let quoted = shell::quote(path);
        let locked = shell::quote(OsStr::from_bytes(b"--locked=/a\xe9"));
        let options = format!("--output-dir {quoted} --plugin-dir {quoted} --plugin-dir=-b {locked}");
        assert_eq!(command.to_string(), format!("crossrun run {options}"));
        assert!(!command.to_string().contains('\u{fffd}'));
    }
}
