//! Why the self-test itself failed.

use crate::record::RecordError;
use crate::run::session::CallError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum SelfTestError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Record(#[from] RecordError),
}
