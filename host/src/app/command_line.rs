//! Commands of crossrun that a user can paste into a shell.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::shell;

/// A command of crossrun, to which options are added in order.
pub(crate) struct CommandLine(Vec<String>);

impl CommandLine {
    pub(crate) fn new(verbs: &[&str]) -> Self {
        Self(verbs.iter().map(|verb| (*verb).to_owned()).collect())
    }

    /// Adds an option. The value is in the same word if it begins with a hyphen, which would make it another option.
    pub(crate) fn option(&mut self, name: &str, value: impl ToString) -> &mut Self {
        let value = value.to_string();
        if value.starts_with('-') {
            self.0.push(format!("--{name}={value}"));
        } else {
            self.0.extend([format!("--{name}"), value]);
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
        self.0.extend(given.then(|| format!("--{name}")));
        self
    }

    /// Adds an option whose value may be left out, and therefore is in the same word.
    pub(crate) fn joined(&mut self, name: &str, value: impl fmt::Display) -> &mut Self {
        self.0.push(format!("--{name}={value}"));
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
        f.write_str(&shell::command("crossrun", &self.0))
    }
}
