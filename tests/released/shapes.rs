//! The JSON that programs read: the path of every key, and its type.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Keys whose text is one of a few values.
const OF_WORDS: &str = "abi call change event format how id is isolation kind level lie no_interval no_ratio of \
                        outcome percentile phase rigor setup status type verdict what withheld workload";

/// Parts of paths of what differs between machines, and between one that is busy and one that is not.
const OF_THE_MACHINE: [&str; 9] = [
    "canary event.canary.",
    "glibc.",
    "machine.",
    "machine[].",
    "machine_checks[].",
    "machines[].",
    "programs.",
    "resources.",
    "system_profile.",
];

/// What only some systems say of themselves.
const OF_SOME_SYSTEMS: [&str; 3] = [".smt", ".cpu_quota", ".mitigations"];

/// The keys of some documents: for each path, its types and the documents that have it.
#[derive(Default)]
pub(super) struct Shapes {
    /// Whether the documents are the same on every machine.
    planted: bool,
    documents: Vec<String>,
    /// By path, then by document.
    paths: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

impl Shapes {
    /// Of documents that are the same on every machine.
    pub(super) fn of_planted() -> Self {
        Self { planted: true, ..Self::default() }
    }

    /// Adds what `value` has to what is known of `document`.
    pub(super) fn add(&mut self, document: &str, value: &Value) {
        if !self.documents.iter().any(|known| known == document) {
            self.documents.push(document.to_owned());
        }
        self.walk(document, "", value);
    }

    fn walk(&mut self, document: &str, path: &str, value: &Value) {
        match value {
            _ if !self.planted && OF_SOME_SYSTEMS.iter().any(|key| path.ends_with(key)) => {}
            // What was seen of a backend's processes, and what there was to warn of, depends on the machine.
            _ if !self.planted && path.ends_with("rows[].resources") => {
                self.found(document, path, "fact".into())
            }
            Value::Array(_) if !self.planted && path.ends_with("warnings") => {
                self.found(document, path, "list".into());
            }
            Value::Object(fields) if !fields.is_empty() => {
                for (key, value) in fields {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.walk(document, &path, value);
                }
            }
            Value::Array(values) if !values.is_empty() => {
                values.iter().for_each(|value| self.walk(document, &format!("{path}[]"), value));
            }
            _ => self.found(document, path, self.kind(path, value)),
        }
    }

    fn found(&mut self, document: &str, path: &str, kind: String) {
        let at = self.paths.entry(path.to_owned()).or_default();
        at.entry(document.to_owned()).or_default().insert(kind);
    }

    fn kind(&self, path: &str, value: &Value) -> String {
        let key = path.rsplit('.').next().unwrap_or_default();
        match value {
            _ if !self.planted && depends_on_the_machine(path) => "fact".into(),
            Value::Null => "null".into(),
            Value::Bool(_) => "boolean".into(),
            Value::Number(_) => "number".into(),
            Value::String(word) if OF_WORDS.split(' ').any(|known| known == key) => format!("{word:?}"),
            Value::String(_) => "string".into(),
            Value::Array(_) => "[]".into(),
            Value::Object(_) => "{}".into(),
        }
    }

    /// A line for each path: its types, and the documents that have it, if not all do.
    pub(super) fn render(&self) -> String {
        self.paths.iter().map(|(path, documents)| format!("{path}: {}\n", self.line(documents))).collect()
    }

    fn line(&self, documents: &BTreeMap<String, BTreeSet<String>>) -> String {
        let mut by_kinds: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for document in &self.documents {
            let Some(kinds) = documents.get(document) else { continue };
            let kinds = kinds.iter().cloned().collect::<Vec<_>>().join("|");
            by_kinds.entry(kinds).or_default().push(document);
        }
        let of_all = by_kinds.len() == 1 && documents.len() == self.documents.len();
        let one = |(kinds, documents): (String, Vec<&str>)| match of_all {
            true => kinds,
            false => format!("{kinds} ({})", documents.join(" ")),
        };
        by_kinds.into_iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

fn depends_on_the_machine(path: &str) -> bool {
    OF_THE_MACHINE.iter().any(|part| path.starts_with(part) || path.contains(&format!(".{part}")))
        && !path.ends_with(".id")
}
