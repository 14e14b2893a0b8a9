//! Errors of JSON in plain words: an author need not know how this side reads it.

use serde_json::error::Category;

/// How many bytes before the error are quoted.
const QUOTED: usize = 40;

/// The names of types in the reader's messages, and what an author calls them.
const TYPES: [(&str, &str); 8] = [
    ("u8", "a whole number from 0 on"),
    ("u32", "a whole number from 0 on"),
    ("u64", "a whole number from 0 on"),
    ("usize", "a whole number from 0 on"),
    ("f64", "a number"),
    ("a sequence", "an array"),
    ("a map", "an object"),
    ("struct", "an object"),
];

/// What is wrong with `bytes`, by the `error` of reading them, on one line without control characters.
pub(crate) fn explain(error: &serde_json::Error, bytes: &[u8]) -> String {
    // Both the reader's message and the quotation have text of the author.
    explained(error, bytes).replace(char::is_control, "\u{fffd}")
}

fn explained(error: &serde_json::Error, bytes: &[u8]) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    match error.classify() {
        Category::Data => match what.strip_prefix("missing field ") {
            // The place is the end of the object that lacks it.
            Some(name) => format!("it has no {name}"),
            None => format!("{}{}", in_plain_words(what), near(error, bytes)),
        },
        _ => format!("it is not JSON{}", near(error, bytes)),
    }
}

/// A message of the reader about a value.
fn in_plain_words(what: &str) -> String {
    if let Some(name) = what.strip_prefix("duplicate field ") {
        return format!("it has {name} twice");
    }
    let value = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant "]
        .into_iter()
        .find_map(|kind| what.strip_prefix(kind));
    let Some((found, expected)) = value.and_then(|value| value.rsplit_once(", expected ")) else {
        return what.to_owned();
    };
    let known = TYPES.iter().find(|(name, _)| expected == *name || expected.starts_with(&format!("{name} ")));
    format!("it has {found} where {} must be", known.map_or(expected, |(_, words)| words))
}

/// The bytes before the place of the error.
fn near(error: &serde_json::Error, bytes: &[u8]) -> String {
    let before = bytes.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    let end = (before.map(<[u8]>::len).sum::<usize>() + error.column()).min(bytes.len());
    let quoted = String::from_utf8_lossy(&bytes[end.saturating_sub(QUOTED)..end]);
    let words: Vec<_> = quoted.trim_matches('\u{fffd}').split_whitespace().collect();
    let quoted = words.join(" ");
    if quoted.is_empty() { String::new() } else { format!(", near {quoted}") }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Example {
        count: u64,
        #[serde(default)]
        names: Vec<String>,
        #[serde(default)]
        inner: Option<Box<Example>>,
    }

    fn explained<T: DeserializeOwned + std::fmt::Debug>(json: &str) -> String {
        explain(&serde_json::from_str::<T>(json).unwrap_err(), json.as_bytes())
    }

    #[test]
    fn an_error_is_in_the_terms_of_json() {
        for (json, words) in [
            ("{}", "it has no `count`"),
            (
                r#"{"count": "3"}"#,
                r#"it has string "3" where a whole number from 0 on must be, near {"count": "3""#,
            ),
            (r#"{"count": -3}"#, "it has integer `-3` where a whole number from 0 on must be"),
            (r#"{"count": 1, "names": 2}"#, "it has integer `2` where an array must be"),
            (r#"{"count": 1, "inner": "x"}"#, r#"it has string "x" where an object must be"#),
            (r#"{"count": 1, "count": 2}"#, "it has `count` twice"),
            ("{\n\"count\": 1,\n}", r#"it is not JSON, near { "count": 1, }"#),
            (r#"{"count": 1"#, r#"it is not JSON, near {"count": 1"#),
            ("", "it is not JSON"),
            ("[\u{1}", "it is not JSON, near [\u{fffd}"),
        ] {
            let found = explained::<Example>(json);
            assert!(found.starts_with(words), "{json}: {found}");
            assert!(
                !found.contains("u64") && !found.contains("struct") && !found.contains("line"),
                "{found}"
            );
        }
        let hostile = explained::<crate::Parameter>(
            r#"{"name":"a","description":"","default":1,"domain":{"type":"\u001b[2J\n"}}"#,
        );
        assert!(hostile.contains("\u{fffd}[2J\u{fffd}"), "{hostile}");
        let found = explained::<crate::Parameter>(
            r#"{"name":"a","description":"","default":1,"domain":{"type":"int"}}"#,
        );
        assert!(
            found.starts_with("it has `int` where one of `integer`, `number`, `choice`, `text` must be"),
            "{found}"
        );
    }
}
