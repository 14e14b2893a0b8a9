//! From records to a comparison. Pure: no clock, no files, no printing.

pub mod model;
