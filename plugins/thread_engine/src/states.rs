//! The states of several workers, merged into one.

use plugin_api::{State, WorkloadError};

/// Merges all `states`, which must be of one stage; nothing if there are none.
///
/// # Errors
/// When a state cannot be encoded or merged.
pub fn merged(states: impl IntoIterator<Item = State>) -> Result<Option<State>, WorkloadError> {
    let mut states = states.into_iter();
    let Some(mut merged) = states.next() else { return Ok(None) };
    for mut state in states {
        merged.merge(&state.encode()?)?;
    }
    Ok(Some(merged))
}
