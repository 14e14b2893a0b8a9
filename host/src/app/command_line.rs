//! Commands of crossrun that a user can paste into a shell.

use std::collections::BTreeMap;
use std::fmt;
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
    CONDITIONS.into_iter().filter_map(|name| Some((name.to_owned(), value(name)?))).collect()
}

fn value(name: &str) -> Option<String> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
    Some(value.to_string_lossy().into_owned())
}

/// A command of crossrun, to which options are added in order.
pub(crate) struct CommandLine {
    /// What `env` sets, as `NAME=VALUE`, and before that what it unsets.
    variables: Vec<String>,
    words: Vec<String>,
}

impl CommandLine {
    pub(crate) fn new(verbs: &[&str]) -> Self {
        Self { variables: Vec::new(), words: verbs.iter().map(|verb| (*verb).to_owned()).collect() }
    }

    /// A command that measures as this process does: it sets the variables that were set for this one, and that change what is measured.
    pub(crate) fn measuring(verbs: &[&str]) -> Self {
        Self::under(verbs, &set_variables())
    }

    /// A command that measures as a process for which these variables were `set`, and no others.
    pub(crate) fn under(verbs: &[&str], set: &Variables) -> Self {
        let other = set_variables().into_keys().filter(|name| !set.contains_key(name));
        let unset = other.flat_map(|name| ["-u".to_owned(), name]);
        let folders = value(FOLDERS.0).map(|value| (FOLDERS.0.to_owned(), value));
        let set = set.clone().into_iter().chain(folders).map(|(name, value)| format!("{name}={value}"));
        Self { variables: unset.chain(set).collect(), ..Self::new(verbs) }
    }

    /// Adds an option. The value is in the same word if it begins with a hyphen, which would make it another option.
    pub(crate) fn option(&mut self, name: &str, value: impl ToString) -> &mut Self {
        let value = value.to_string();
        if value.starts_with('-') {
            self.words.push(format!("--{name}={value}"));
        } else {
            self.words.extend([format!("--{name}"), value]);
        }
        self
    }

    /// Adds an option once for each value.
    pub(crate) fn options<V: ToString>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = V>,
    ) -> &mut Self {
        values.into_iter().fold(self, |command, value| command.option(name, value))
    }

    /// Adds an option whose value is a list.
    pub(crate) fn list<V: ToString>(&mut self, name: &str, values: impl IntoIterator<Item = V>) -> &mut Self {
        let values: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
        self.option(name, values.join(","))
    }

    /// Adds an option without a value if it is `given`.
    pub(crate) fn flag(&mut self, name: &str, given: bool) -> &mut Self {
        self.words.extend(given.then(|| format!("--{name}")));
        self
    }

    /// Adds an option whose value may be left out, and therefore is in the same word.
    pub(crate) fn joined(&mut self, name: &str, value: impl fmt::Display) -> &mut Self {
        self.words.push(format!("--{name}={value}"));
        self
    }

    pub(crate) fn duration(&mut self, name: &str, duration: Duration) -> &mut Self {
        self.option(name, format!("{}s", duration.as_secs_f64()))
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
        let has_folders = self.words.iter().any(|word| word.starts_with(option));
        let without_effect = |variable: &&String| has_folders && variable.starts_with(folders);
        let variables: Vec<_> = self.variables.iter().filter(|it| !without_effect(it)).collect();
        if variables.is_empty() {
            return f.write_str(&shell::command("crossrun", &self.words));
        }
        let program = "crossrun".to_owned();
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
        command.variables = ["CROSSRUN_DRIVERS=a=/b c", "CROSSRUN_PLUGIN_PATH=/p"].map(str::to_owned).into();
        let start = "env 'CROSSRUN_DRIVERS=a=/b c'";
        assert_eq!(command.to_string(), format!("{start} CROSSRUN_PLUGIN_PATH=/p crossrun run"));
        command.option("plugin-dir", "/q");
        assert_eq!(command.to_string(), format!("{start} crossrun run --plugin-dir /q"));
    }
}
