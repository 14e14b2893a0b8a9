//! The errors of making a report.

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The comparison could not be serialized as JSON.
    #[error("cannot write the comparison as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The comparison could not be written as CSV.
    #[error("cannot write the comparison as CSV: {0}")]
    Csv(#[from] csv::Error),
    /// The trials could not be written as Parquet.
    #[error("cannot write the trials as Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The page's template failed, which is a bug in crossrun.
    #[error("cannot render the page: {0:#}")]
    Page(#[from] minijinja::Error),
}
