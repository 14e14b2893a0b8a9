//! The standard workloads of crossrun, as a library that every backend calls.
//!
//! | workload | what it shows |
//! |---|---|
//! | `scheduler_comparison` | how a scheduler fills its workers while operators wait |
//! | `null` | the floor of harness and engine |
//! | `pipeline` | how the size of a task bears on throughput |
//! | `imbalance` | what a load-aware scheduler is for |
//! | `word_count` | shuffle, state and skewed keys |
//! | `open_loop` | latency under load |
//!
//! All integers are unsigned, of 64 bits unless told otherwise, wrapping, and little-endian in an item's bytes. Every
//! random value is drawn by a counter (`random`), so that any process makes any item, in any order, with the same
//! bytes on every machine.

mod chain;
#[cfg(test)]
mod conformance;
mod decimal;
mod imbalance;
mod kernel;
mod null;
mod open_loop;
mod pipeline;
mod random;
mod schedule;
mod scheduler_comparison;
mod word_count;
mod zipf;

use imbalance::Imbalance;
use null::Null;
use open_loop::OpenLoop;
use pipeline::Pipeline;
use scheduler_comparison::SchedulerComparison;
use word_count::WordCount;

plugin_api::export_workloads!(
    name = "standard_workloads",
    workloads = [SchedulerComparison, Null, Pipeline, Imbalance, WordCount, OpenLoop],
);
