//! A context without a host, for the tests of this crate.

// By path and not as a crate: what exports workloads can stand in a crate of its own tests only.
#[path = "../../../tests/threaded/support.rs"]
#[allow(dead_code, reason = "this crate has no runner, so it needs only a part")]
pub(crate) mod support;
#[path = "../../../tests/threaded/workloads.rs"]
#[allow(dead_code, reason = "the same")]
mod workloads;
