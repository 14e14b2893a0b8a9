//! What every function but the freeing ones returns.

/// Done.
pub const OK: i32 = 0;
/// A null pointer, or a stage, slice or limit that makes no sense.
pub const ARGUMENT: i32 = 1;
/// A batch or a state is not what it should be.
pub const MALFORMED: i32 = 2;
/// The spec cannot be run: an unknown workload, or a parameter outside its range.
pub const SPEC: i32 = 3;
/// An operator of the workload failed.
pub const OPERATOR: i32 = 4;
/// The workload panicked; the handle is poisoned.
pub const PANIC: i32 = 5;
/// The handle was poisoned by an earlier panic.
pub const POISONED: i32 = 6;
/// A batch outgrew its offsets, or the state of a keyed reduction did.
pub const TOO_LARGE: i32 = 7;
