//! Workloads that misbehave inside an engine's worker, or in the judge.

/// One line of the table.
pub(super) struct Harm {
    pub(super) what: &'static str,
    pub(super) workload: &'static str,
    /// The exit code, and a part of the message in the row.
    pub(super) code: i32,
    pub(super) says: &'static [&'static str],
}

pub(super) const HARMS: &[Harm] = &[
    Harm {
        what: "an operator that crashes",
        workload: "crashing",
        code: 4,
        says: &["SIGSEGV", "signal 11", "died", "crash", "lost"],
    },
    Harm { what: "an operator that hangs", workload: "hanging", code: 4, says: &["no answer to run within"] },
    Harm {
        what: "an operator that corrupts a batch",
        workload: "corrupting",
        code: 5,
        says: &["the checksum is"],
    },
    Harm {
        what: "an operator that panics",
        workload: "panicking",
        code: 4,
        // A thread that calls the workload after the one in which it panicked may be the first to tell.
        says: &["this workload panics on request", "the workload panicked in an earlier call"],
    },
    Harm {
        what: "an oracle that crashes",
        workload: "lost_oracle",
        code: 4,
        says: &["the worker was lost in expect: it was killed by signal 11 (SIGSEGV)"],
    },
    Harm {
        what: "an oracle that hangs",
        workload: "endless_oracle",
        code: 4,
        says: &["no answer to expect within"],
    },
];
