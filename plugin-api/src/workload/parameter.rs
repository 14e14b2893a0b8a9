//! The parameters of a workload: typed, with a range and a default, read from `extra`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::WorkloadError;

/// One parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its key in `extra`.
    pub name: String,
    /// What it means, with its unit.
    pub description: String,
    /// Its allowed values.
    pub domain: Domain,
    /// Its value if `extra` does not have it.
    pub default: Value,
}

/// What values a parameter may have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Domain {
    /// A whole number, both ends included.
    Integer {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A number, both ends included.
    Number {
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
    },
    /// One of several words.
    Choice {
        /// The words.
        options: Vec<String>,
    },
    /// Any text.
    Text,
}

impl Parameter {
    /// A whole number from `min` to `max`.
    pub fn integer(name: &str, description: &str, default: u64, min: u64, max: u64) -> Self {
        Self::of(name, description, default.into(), Domain::Integer { min, max })
    }

    /// A number from `min` to `max`. As JSON has no infinity, an end that is infinite is the largest or the smallest number.
    pub fn number(name: &str, description: &str, default: f64, min: f64, max: f64) -> Self {
        let [default, min, max] = [default, min, max].map(|number| number.clamp(f64::MIN, f64::MAX));
        Self::of(name, description, default.into(), Domain::Number { min, max })
    }

    /// One of `options`, of which the first is the default.
    pub fn choice(name: &str, description: &str, options: &[&str]) -> Self {
        let default = options.first().copied().unwrap_or_default().into();
        let options = options.iter().map(ToString::to_string).collect();
        Self::of(name, description, default, Domain::Choice { options })
    }

    /// Any text.
    pub fn text(name: &str, description: &str, default: &str) -> Self {
        Self::of(name, description, default.into(), Domain::Text)
    }

    fn of(name: &str, description: &str, default: Value, domain: Domain) -> Self {
        Self { name: name.into(), description: description.into(), domain, default }
    }
}

impl Domain {
    /// The value of this domain that `given` stands for, if there is one. A word of a choice need not be a JSON string: where an option
    /// is read as JSON, `true` and `8` are none.
    pub fn read(&self, given: &Value) -> Option<Value> {
        let is_one = match self {
            Self::Integer { min, max } => given.as_u64().is_some_and(|value| (*min..=*max).contains(&value)),
            Self::Number { min, max } => given.as_f64().is_some_and(|value| (*min..=*max).contains(&value)),
            Self::Text => given.is_string(),
            Self::Choice { options } => {
                let word = word(given)?;
                // `3.1` may be what was left of `3.10`: a number that several words are is none of them.
                let same = options.iter().filter(|option| is_number(option, given));
                return (same.count() < 2 && options.contains(&word)).then(|| word.into());
            }
        };
        is_one.then(|| given.clone())
    }
}

/// The text of a string, and the JSON of any other value but lists and objects.
fn word(given: &Value) -> Option<String> {
    match given {
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
        scalar => Some(scalar.to_string()),
    }
}

/// Whether a word, read as JSON, is this number.
fn is_number(word: &str, given: &Value) -> bool {
    let read = serde_json::from_str::<Value>(word).ok().and_then(|read| read.as_f64());
    read.is_some() && read == given.as_f64()
}

impl std::fmt::Display for Domain {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer { min, max } => write!(formatter, "a whole number from {min} to {max}"),
            // The largest number has 309 digits, and stands for a range without an end.
            Self::Number { min, max } => match (*min > f64::MIN, *max < f64::MAX) {
                (true, true) => write!(formatter, "a number from {min} to {max}"),
                (true, false) => write!(formatter, "a number from {min} on"),
                (false, true) => write!(formatter, "a number up to {max}"),
                (false, false) => formatter.write_str("a number"),
            },
            Self::Choice { options } => write!(formatter, "one of {}", options.join(", ")),
            Self::Text => formatter.write_str("any text"),
        }
    }
}

/// The values of a workload's parameters: within their range, with defaults filled in.
#[derive(Clone, Debug, Default)]
pub struct Parameters(Map<String, Value>);

impl Parameters {
    /// Reads the declared parameters from `extra` and ignores the rest, which is for the backend.
    ///
    /// # Errors
    /// [`WorkloadError::Parameter`] for a value outside its domain.
    pub fn resolve(declared: &[Parameter], extra: &Map<String, Value>) -> Result<Self, WorkloadError> {
        let value_of = |parameter: &Parameter| {
            let given = extra.get(&parameter.name).unwrap_or(&parameter.default);
            if let Some(value) = parameter.domain.read(given) {
                return Ok((parameter.name.clone(), value));
            }
            Err(WorkloadError::Parameter {
                name: parameter.name.clone(),
                value: given.to_string(),
                domain: parameter.domain.to_string(),
                default: parameter.default.to_string(),
            })
        };
        declared.iter().map(value_of).collect::<Result<_, _>>().map(Self)
    }

    /// A whole number; 0 for a name that was not declared as one.
    pub fn integer(&self, name: &str) -> u64 {
        self.0.get(name).and_then(Value::as_u64).unwrap_or_default()
    }

    /// A number; 0 for a name that was not declared as one.
    pub fn number(&self, name: &str) -> f64 {
        self.0.get(name).and_then(Value::as_f64).unwrap_or_default()
    }

    /// A word; empty for a name that was not declared as one.
    pub fn choice(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Vec<Parameter> {
        vec![
            Parameter::integer("iters", "iterations", 10, 0, 100),
            Parameter::number("skew", "exponent", 1.2, 0.0, 4.0),
            Parameter::choice("shape", "distribution", &["uniform", "pareto"]),
            Parameter::text("note", "whatever", ""),
        ]
    }

    fn resolve(extra: &str) -> Result<Parameters, WorkloadError> {
        Parameters::resolve(&declared(), &serde_json::from_str(extra).unwrap())
    }

    #[test]
    fn a_number_that_several_words_of_a_choice_are_is_none_of_them() {
        let Parameter { domain, .. } = Parameter::choice("version", "which", &["3.1", "3.10", "2.5"]);
        assert_eq!(domain.read(&2.5.into()), Some("2.5".into()));
        // What is left of `3.10` where it is read as JSON.
        assert_eq!(domain.read(&3.1.into()), None);
        assert_eq!(domain.read(&"3.10".into()), Some("3.10".into()));
    }

    #[test]
    fn absent_ones_take_their_defaults_and_foreign_ones_are_left_alone() {
        let parameters = resolve(r#"{"skew":2,"cluster":"x"}"#).unwrap();
        assert_eq!(parameters.integer("iters"), 10);
        assert_eq!(parameters.number("skew"), 2.0);
        assert_eq!(parameters.choice("shape"), "uniform");
    }

    #[test]
    fn a_range_without_ends_is_read_back_and_has_every_number() {
        let limit = Parameter::number("limit", "the most", f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY);
        let written = serde_json::to_string(&limit).unwrap();
        assert_eq!(serde_json::from_str::<Parameter>(&written).unwrap(), limit, "{written}");
        assert_eq!(limit.domain.to_string(), "a number");
        let resolve =
            |given| Parameters::resolve(std::slice::from_ref(&limit), &serde_json::from_str(given).unwrap());
        assert!(resolve("{}").is_ok() && resolve(r#"{"limit":-1e308}"#).is_ok());
    }

    #[test]
    fn a_word_of_a_choice_may_be_json_that_is_no_string() {
        let sync = [Parameter::choice("sync", "whether to wait", &["true", "2", "null"])];
        let resolve = |given: &str| {
            let extra = serde_json::from_str(&format!("{{\"sync\":{given}}}")).unwrap();
            Parameters::resolve(&sync, &extra).map(|parameters| parameters.choice("sync").to_owned())
        };
        for (given, word) in
            [("true", "true"), ("\"true\"", "true"), ("2", "2"), ("\"2\"", "2"), ("null", "null")]
        {
            assert_eq!(resolve(given).unwrap(), word, "{given}");
        }
        for given in ["false", "2.0", "3", "[\"2\"]", "{}"] {
            assert!(resolve(given).unwrap_err().to_string().contains("one of true, 2, null"), "{given}");
        }
    }

    #[test]
    fn a_value_outside_its_domain_is_named_with_its_range() {
        for (extra, word) in [
            (r#"{"iters":101}"#, "0 to 100"),
            (r#"{"iters":-1}"#, "iters"),
            (r#"{"iters":1.5}"#, "1.5"),
            (r#"{"skew":"x"}"#, "a number"),
            (r#"{"shape":"round"}"#, "one of uniform, pareto"),
            (r#"{"note":5}"#, "any text"),
        ] {
            let error = resolve(extra).unwrap_err().to_string();
            assert!(error.contains(word), "{extra}: {error}");
        }
    }
}
