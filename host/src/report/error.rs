//! The errors of making a report.

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("cannot write the comparison as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("cannot write the comparison as CSV: {0}")]
    Csv(#[from] csv::Error),
    #[error("cannot write the trials as Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// A bug in crossrun.
    #[error("cannot render the page: {0:#}")]
    Page(#[from] minijinja::Error),
}
