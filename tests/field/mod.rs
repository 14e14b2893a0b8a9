//! In the field: the machines, shells and accidents of the people who run this program, a module for each kind.

mod environment;
mod setup;
mod trust;
mod terminal;
