//! What tells one plan from another.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::matrix::Matrix;

/// Raised whenever the same matrix would give another order or other data: a run that was begun under the old one must
/// not be resumed under the new one.
const ORDER: u32 = 2;

/// SHA-256, in hex, of the matrix as JSON with sorted keys.
pub(super) fn of(matrix: &Matrix) -> String {
    // Strings, numbers, lists and JSON values always serialise.
    let matrix = serde_json::to_value(matrix).unwrap_or_default();
    hex::encode(Sha256::digest(json!({"order": ORDER, "matrix": matrix}).to_string()))
}
