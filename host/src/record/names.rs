//! The names of the folder of a run, and of the files that it writes there.

/// Where the folders of runs are, unless they were given others.
pub(crate) const RESULTS: &str = "results";

/// All trials, one line each.
pub(crate) const TRIALS: &str = "trials.jsonl";
/// The measured trials, in the original project's record.
pub(crate) const UNIFIED: &str = "unified_results.jsonl";
/// The measured trials as a table, without the metadata.
pub(crate) const TABLE: &str = "unified_results.csv";
/// The settings of a comparison.
pub(crate) const PLAN: &str = "plan.json";
/// The page, Markdown, and JSON.
pub(crate) const REPORTS: [&str; 3] = ["report.html", "report.md", "report.json"];
