//! The name of a new backend or workload, and that of its crate.

use plugin_api::metadata::{MAX_NAME, is_name};

/// A name that a plugin may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

/// Why a name cannot be a plugin's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name for a plugin: it may have 1 to {MAX_NAME} of a-z, 0-9, _ and -")]
pub(crate) struct NameError(String);

impl Name {
    /// Takes a name as it was typed.
    pub(crate) fn parse(text: &str) -> Result<Self, NameError> {
        if is_name(text) { Ok(Self(text.to_owned())) } else { Err(NameError(text.to_owned())) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the crate: with a suffix it is no keyword, and it never begins with a digit.
    pub(super) fn as_crate(&self, suffix: &str) -> String {
        let digit = self.0.starts_with(|c: char| c.is_ascii_digit());
        format!("{}{}{suffix}", if digit { "_" } else { "" }, self.0.replace('-', "_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_has_a_name_that_cargo_takes() {
        let crate_of = |name: &str| Name::parse(name).unwrap().as_crate("_runner");
        assert_eq!(crate_of("my-own"), "my_own_runner");
        assert_eq!(crate_of("match"), "match_runner");
        assert_eq!(crate_of("2fast"), "_2fast_runner");
    }

    #[test]
    fn what_the_metadata_cannot_have_is_refused() {
        let error = Name::parse("../mine").unwrap_err().to_string();
        assert!(error.contains("no name for a plugin"), "{error}");
    }
}
