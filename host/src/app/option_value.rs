//! Values of options that are JSON or text.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::record::config::MAX_DEPTH;
use crate::worker::is_deeper;

/// The value of `key` in `text`: JSON where it parses as JSON, else the text.
pub(super) fn of(key: &str, text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value) => checked(key, text, value),
        Err(_) => Ok(Value::from(text)),
    }
}

/// The `value` that was parsed from `text`, if a record can have it and nothing of the text was lost.
pub(super) fn checked(key: &str, text: &str, value: Value) -> Result<Value, String> {
    if is_deeper(&value, MAX_DEPTH) {
        return Err(format!("the value of {key} is nested deeper than {MAX_DEPTH} levels"));
    }
    match EachKeyOnce.deserialize(&mut serde_json::Deserializer::from_str(text)) {
        Ok(()) => Ok(value),
        Err(error) => {
            let why = error.to_string();
            let why = why.split(" at line ").next().unwrap_or_default();
            Err(format!("the value of {key} {why}"))
        }
    }
}

/// Accepts JSON in which no object has a key twice: a parser keeps one of the two values, without a word about the other.
#[derive(Clone, Copy)]
struct EachKeyOnce;

impl<'de> DeserializeSeed<'de> for EachKeyOnce {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for EachKeyOnce {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while values.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            members.next_value_seed(self)?;
            if let Some(twice) = keys.replace(key) {
                return Err(A::Error::custom(format!("has the key {twice:?} twice")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_that_stands_twice_in_an_object_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":2}"#, r#"[0,{"b":{"a":null,"c":[],"a":"x"}}]"#, r#"{"a":1,"\u0061":1}"#] {
            let why = of("x", text).unwrap_err();
            assert_eq!(why, r#"the value of x has the key "a" twice"#, "{text}");
        }
        assert_eq!(of("x", r#"{"a":{"a":[true,-1,0.5]}}"#), Ok(json!({"a": {"a": [true, -1, 0.5]}})));
        // What is no JSON is text.
        assert_eq!(of("x", r#"{"a":1,"a":"#), Ok(r#"{"a":1,"a":"#.into()));
    }
}
