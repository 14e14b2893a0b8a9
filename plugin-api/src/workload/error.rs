//! What can go wrong in a workload.

use super::capi::status;

/// What most functions of a workload return.
pub(crate) type Done = Result<(), WorkloadError>;

/// What can go wrong in a workload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadError {
    /// The library has no workload of this name.
    #[error("there is no workload {name:?} in this library; it has {known}")]
    Unknown {
        /// The requested name.
        name: String,
        /// The names that exist, comma separated.
        known: String,
    },
    /// The spec cannot be run.
    #[error("{0}")]
    Spec(String),
    /// A parameter is outside its domain.
    #[error("extra.{name} is {value}, but must be {domain}; try: --extra {name}={default}")]
    Parameter {
        /// The parameter.
        name: String,
        /// What was given.
        value: String,
        /// What is allowed.
        domain: String,
        /// What it is when it is not given.
        default: String,
    },
    /// A stage, slice or limit that does not exist was passed, or a null pointer.
    #[error("{0}")]
    Argument(String),
    /// Bytes are not a valid encoding.
    #[error("{0}")]
    Malformed(&'static str),
    /// A batch has more bytes than its offsets can reach.
    #[error("a batch has {bytes} bytes of items, more than an offset reaches; use a smaller batch_size")]
    TooLarge {
        /// The bytes of its items.
        bytes: usize,
    },
    /// The state of a keyed reduction is larger than the batch in which it is encoded can be.
    #[error(
        "the state of a keyed reduction has {bytes} bytes or more, and a batch cannot hold it; more partitions make it \
         smaller, which most backends have with a larger parallelism"
    )]
    StateTooLarge {
        /// The bytes of the entries up to the one that did not fit.
        bytes: usize,
    },
    /// An operator, the source or a fold failed.
    #[error("{0}")]
    Operator(String),
    /// A call into the library failed.
    #[error("{message}")]
    Call {
        /// A status of [`status`].
        status: i32,
        /// The library's message.
        message: String,
    },
}

impl WorkloadError {
    /// A call into a library that returned `status`, with the message of its buffer.
    pub(crate) fn of_call(status: i32, message: &str) -> Self {
        let message = match status {
            status::JUDGE_ONLY => "only the judge may ask a workload for an answer".to_owned(),
            // Whoever refuses it may have no memory of the library's for a message.
            status::ARGUMENT if message.is_empty() => {
                "an argument that the workload does not take, or a start of an open loop other than the start_nanos of the run's spec"
                    .to_owned()
            }
            _ if message.is_empty() => format!("the workload failed with status {status}"),
            _ => message.to_owned(),
        };
        Self::Call { status, message }
    }

    pub(super) fn not_reduced(stage: usize) -> Self {
        Self::Argument(format!("stage {stage} is no keyed reduction of this workload"))
    }

    /// Whether the user's spec, rather than the run, is at fault.
    pub fn is_invalid_spec(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::Spec(_) | Self::Parameter { .. } => true,
            Self::Call { status, .. } => *status == status::SPEC,
            _ => false,
        }
    }
}
