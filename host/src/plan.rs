//! From options to trials. Pure: no clock, no files, no printing.

mod seed;

pub use seed::mix;
