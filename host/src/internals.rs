//! What the tests, benchmarks, fuzz targets and the archive of this repository call beside the command line. It is no interface: nothing
//! else may use it, and it changes without notice. All other items of this crate are private, so that the compiler finds
//! those that nobody uses.

pub mod check {
    pub use crate::check::table::CHECKS;
}

pub mod cli {
    pub use crate::app::options::{count, duration, extra, max_wait, parallelism, run_id};
    pub use crate::cli::compare::plan_file::PlanFile;
}

pub mod compare {
    pub use crate::compare::model::{Comparison, Rigor, Source};
    pub use crate::compare::{Input, Options, compare};
    pub use crate::stats::signed_rank::Interval as RatioInterval;
}

pub mod plan {
    pub use crate::plan::Plan;
    pub use crate::plan::matrix::{BackendChoice, Matrix, WorkloadChoice};
}

pub mod plugin {
    pub mod glibc {
        pub use crate::plugin::inspect::glibc::required_by;
    }
    pub use crate::plugin::inspect::description::Description;
    pub use crate::plugin::inspect::metadata::{Kind, Metadata};
    pub use crate::plugin::inspect::{Inspected, Rejection, inspect, sha256_of};
    pub use crate::plugin::lock_file::LockFile;
}

pub mod record {
    pub use crate::record::RecordError;
    pub use crate::record::environment::SystemProfile;
    pub use crate::record::format::{Kind, Library, TrialRecord, UnifiedRecord};
    pub use crate::record::reader::{Entry, Records};
    pub use crate::record::trial::Conditions;
}

pub mod report {
    pub use crate::report::csv::csv;
    pub use crate::report::html::html;
    pub use crate::report::json::json;
    pub use crate::report::markdown::markdown;
    pub use crate::report::text::{Palette, text};
}

pub mod run {
    pub mod judge {
        pub use crate::run::judge::verdict;
    }
    pub use crate::run::outcome::Outcome;
    pub use crate::run::participants::Participants;
    pub use crate::run::session::{Deadlines, Isolation, Launch, WorkerSession};
    pub use crate::run::trial::{TrialResult, TrialSpec};
}

pub mod sandbox {
    pub mod frame {
        pub use crate::sandbox::frame::{Frame, Incoming, read, write};
    }
    pub use crate::sandbox::events::{Event, Events};
    pub use crate::sandbox::interrupt::Interrupt;
    pub use crate::sandbox::limits::Limits;
}

pub mod stats {
    pub use crate::stats::means::median;
    pub use crate::stats::paired::PairedDifference;
    pub use crate::stats::warm_up::WarmUp;
}

pub mod worker {
    pub mod load {
        pub use crate::worker::load::{runner, sealed_copy, workloads};
    }
    pub use crate::worker::protocol::{
        Finished, Folders, LibraryFile, Reply, Request, RunOrder, VERSION, Work,
    };

    /// What a worker's frame says; nothing if that is no reply.
    pub fn reply(frame: crate::sandbox::frame::Frame) -> Option<Reply> {
        crate::worker::protocol::Message::from_frame(frame)
    }
}
