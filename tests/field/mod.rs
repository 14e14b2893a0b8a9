//! In the field: the machines, shells and accidents of the people who run this program, a module for each kind.

mod environment;
mod files;
mod host;
mod outputs;
mod records;
mod setup;
mod terminal;
mod trust;
