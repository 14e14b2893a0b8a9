//! The tests of crossrun from outside, a module for each promise. Everything runs through the command line, with plugins that were
//! copied into a folder of their own.

// The options that allow these in tests reach only functions with `#[test]`, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod abi_evolution;
mod author_graphs;
mod author_pages;
mod backends;
mod bounds;
mod c_backend;
mod c_workload;
mod chromium;
mod ci_scripts;
mod compare;
mod conformance;
mod cores;
mod dask_backend;
mod diff;
mod doctor;
mod documented_commands;
mod evolution;
mod exit_codes;
mod exports;
mod fence;
mod field;
mod foreign_callers;
#[path = "fuzz/src/lib.rs"]
#[allow(unreachable_pub, dead_code)]
mod fuzz;
mod fuzz_corpus;
mod golden;
mod history;
mod honest_gate;
mod inspection;
mod installed_engine;
mod invariants;
mod isolation;
mod machine_history;
mod matrix;
mod metg;
mod mpi_backend;
mod negotiation;
mod network;
mod node;
mod open_loop;
mod pairwise;
mod python_backend;
mod python_setup;
mod ray_backend;
mod ray_cluster;
mod readme;
mod record_chain;
mod records;
mod released;
mod report_page;
mod reproduce;
mod run;
mod sage_backend;
mod scaffold;
mod second_implementation;
mod selftest;
mod serve;
mod session;
mod shipping;
mod spark_backend;
mod spark_cluster;
mod support;
mod task_graph;
mod timely_backend;
mod trust;
mod vary;
mod verification;
mod watermarks;
mod workload_items;
