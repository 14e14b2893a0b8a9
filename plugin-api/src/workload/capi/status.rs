//! The statuses, which every function returns but those that free.

/// Done.
pub const OK: i32 = 0;
/// A null pointer, or a stage, slice or limit that does not exist, or a start that is not that of the run.
pub const ARGUMENT: i32 = 1;
/// A batch or a state has an invalid encoding.
pub const MALFORMED: i32 = 2;
/// The spec cannot be run: an unknown workload, or a parameter outside its range.
pub const SPEC: i32 = 3;
/// An operator of the workload failed.
pub const OPERATOR: i32 = 4;
/// The workload panicked; the handle is poisoned.
pub const PANIC: i32 = 5;
/// The handle was poisoned by an earlier panic.
pub const POISONED: i32 = 6;
/// A batch, or the state of a keyed reduction, is larger than a batch can be.
pub const TOO_LARGE: i32 = 7;
/// Only the judge may ask for an answer: the answer of a table from which a backend calls `expected`. The buffer is
/// empty, as the host answers in place of the library, which alone can write into its buffers.
pub const JUDGE_ONLY: i32 = 8;
