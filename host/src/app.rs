//! What the commands share: their context, resolution of plugin names, participants, limits, exit codes, and the terminal.

pub(crate) mod availability;
pub(crate) mod command_line;
pub(crate) mod consumers;
pub(crate) mod context;
pub(crate) mod exit;
pub(crate) mod global;
pub(crate) mod graphs;
pub(crate) mod json_events;
pub(crate) mod limits;
mod logs;
pub(crate) mod machine_history;
mod measured_beside;
mod option_value;
pub(crate) mod options;
pub(crate) mod output;
pub(crate) mod output_file;
pub(crate) mod parameters;
pub(crate) mod participants;
mod plan_beside;
pub(crate) mod planned;
pub(crate) mod points;
pub(crate) mod progress;
pub(crate) mod records;
pub(crate) mod reports;
pub(crate) mod reproduce;
pub(crate) mod resolve;
pub(crate) mod stack;
pub(crate) mod ui;

pub(crate) use exit::{Exit, Problem};
pub(crate) use global::GlobalArguments;
