//! Statistics of paired measurements. Pure; the source of each formula is named.

use serde::{Deserialize, Serialize};

/// What may be said of a ratio, from its interval beside the margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The interval lies wholly above the margin.
    Faster,
    /// The interval lies wholly below the margin.
    Slower,
    /// The interval lies wholly within the margin.
    Equivalent,
    /// The interval allows several of these.
    Inconclusive {
        /// About how many more blocks would tell; null if that cannot be said.
        more_blocks: Option<u32>,
    },
}
