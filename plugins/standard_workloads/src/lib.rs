//! The standard workloads of crossrun, as a library that every backend calls.
//!
//! | workload | what it shows |
//! |---|---|
//! | `scheduler_comparison` | how well a scheduler uses its workers while operators wait |
//! | `null` | the least time that harness and engine take |
//! | `pipeline` | how throughput depends on the size of a task |
//! | `imbalance` | what a load-aware scheduler gains |
//! | `word_count` | shuffle, state and skewed keys |
//! | `open_loop` | latency under load |
//! | `payload` | what it costs to move bytes |
//! | `group` | a shuffle that nothing can make smaller |
//! | `shuffle_match` | matching, then a shuffle of whole records |
//! | `memory` | work that is bound by memory |
//! | `nexmark_q0` to `nexmark_q11` | streams: windows, joins and sessions over the events of an auction house |
//! | `task_graph` | how small tasks may be that need the outputs of others |
//!
//! All integers are unsigned and wrapping, have 64 bits unless a comment says otherwise, and are little-endian in an item's
//! bytes. Every random value is computed from a counter (`random`), so that any process can make any item in any order,
//! with the same bytes on every machine.

mod chain;
#[cfg(test)]
mod conformance;
mod decimal;
mod group;
mod imbalance;
mod kernel;
mod memory;
mod nexmark;
mod null;
mod object;
mod open_loop;
mod payload;
mod pipeline;
mod random;
mod record;
mod schedule;
mod scheduler_comparison;
mod shuffle_match;
mod task_graph;
mod word_count;
mod zipf;

use group::Group;
use imbalance::Imbalance;
use memory::Memory;
use null::Null;
use open_loop::OpenLoop;
use payload::Payload;
use pipeline::Pipeline;
use scheduler_comparison::SchedulerComparison;
use shuffle_match::ShuffleMatch;
use task_graph::TaskGraph;
use word_count::WordCount;

plugin_api::export_workloads!(
    name = "standard_workloads",
    workloads = [
        SchedulerComparison,
        Null,
        Pipeline,
        Imbalance,
        WordCount,
        OpenLoop,
        Payload,
        Group,
        ShuffleMatch,
        Memory,
        TaskGraph,
        nexmark::Q0,
        nexmark::Q1,
        nexmark::Q2,
        nexmark::Q3,
        nexmark::Q4,
        nexmark::Q5,
        nexmark::Q7,
        nexmark::Q8,
        nexmark::Q9,
        nexmark::Q11,
    ],
);
