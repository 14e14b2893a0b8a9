//! What must hold for any bytes: one module a target, each with a `check` that panics where it does not.
//!
//! The fuzzer calls the checks with what it makes up. The project's own tests include this file and call them with
//! the corpus, without the fuzzer.

pub mod inspect;
pub mod protocol;
pub mod records;
pub mod seeds;
pub mod specs;
pub mod workloads;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What is read, written and read again is what was read. Nothing for what cannot be read.
fn survives<T: Serialize + DeserializeOwned>(json: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(json).ok()?;
    let written = serde_json::to_vec(&read).unwrap();
    let again: T = serde_json::from_slice(&written).unwrap();
    assert_eq!(serde_json::to_vec(&again).unwrap(), written);
    Some(read)
}

/// One line that a terminal can show.
fn assert_printable(text: &str) {
    assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
}
