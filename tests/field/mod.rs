//! In the field: the machines, shells and accidents of the people who run this program, a module for each kind.

mod arguments;
mod clock;
mod environment;
mod files;
mod forged_output;
mod groups;
mod host;
mod json;
mod kills;
mod leftovers;
mod limits;
mod locks;
mod outputs;
mod records;
mod replies;
mod setup;
mod signals;
mod system_calls;
mod terminal;
mod trust;
mod waits;
pub(crate) mod wrappers;
