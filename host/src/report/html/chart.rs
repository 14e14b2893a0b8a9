//! What the charts of the page have in common, as its templates read it.

use serde::Serialize;

/// A number beside an axis.
#[derive(Serialize)]
pub(super) struct Label {
    pub(super) place: String,
    pub(super) text: String,
}

/// A point of a curve that can be pointed at.
#[derive(Serialize)]
pub(super) struct Mark {
    pub(super) x: String,
    pub(super) y: String,
    pub(super) title: String,
}
