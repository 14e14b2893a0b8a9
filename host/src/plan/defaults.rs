//! What runs when nothing else is named. The backends and workloads that the host knows by name stand here alone, with the
//! sizes that are usual for them.

use serde_json::{Map, Value, json};

/// The backend that runs when none is named: the one that the original layer defaults to. The only engine that the
/// host knows by name.
pub(crate) const DEFAULT_BACKEND: &str = "sage";

/// The backend that others are compared with when none is named and it takes part.
pub(crate) const BASELINE: &str = "native";

/// The workload without work: a run of it costs what the harness and the backend add.
pub(crate) const NULL: &str = "null";

/// The workload whose items only sleep, and fail if they are told to.
pub(crate) const SLEEPING: &str = "scheduler_comparison";

/// The workload whose items compute for as long as they are told to.
pub(crate) const COMPUTING: &str = "pipeline";

/// The workload that runs when none is named.
pub(crate) const DEFAULT_WORKLOAD: &str = SLEEPING;

const IMBALANCE: &str = "imbalance";
const WORD_COUNT: &str = "word_count";
const OPEN_LOOP: &str = "open_loop";

/// The workloads that are compared when none is named.
pub(crate) const SUITE: [&str; 4] = [SLEEPING, COMPUTING, IMBALANCE, WORD_COUNT];

/// The items and the options of a workload when nothing is said of them: a size that takes about a second on two native
/// threads. An item that is scheduled alone measures the scheduler, so all but the first travel in batches.
pub(crate) fn default_size(workload: &str) -> (u64, Map<String, Value>) {
    let (items, extra) = match workload {
        SLEEPING => (100, json!({})),
        COMPUTING => (200_000, json!({"batch_size": 1000})),
        // Few items a batch: a batch of many evens out what this workload is for.
        IMBALANCE => (6_000, json!({"batch_size": 10, "distribution": "bimodal", "iters": 100_000})),
        WORD_COUNT => (2_000_000, json!({"batch_size": 10_000})),
        // Enough items for a 99th percentile of those that pass the filter.
        // The rate is said, so that every report of it says what was offered.
        OPEN_LOOP => (2_000, json!({"iters": 50_000, "rate": 1000})),
        NULL => (2_000_000, json!({"batch_size": 1000})),
        _ => (10_000, json!({"batch_size": 100})),
    };
    (items, extra.as_object().cloned().unwrap_or_default())
}
