//! Why there is no report.

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A comparison cannot be put into JSON.
    #[error("cannot put the comparison into JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A comparison cannot be put into CSV.
    #[error("cannot put the comparison into CSV: {0}")]
    Csv(#[from] csv::Error),
    /// The page's template failed, which is a fault of this program.
    #[error("cannot fill in the page: {0:#}")]
    Page(#[from] minijinja::Error),
}
