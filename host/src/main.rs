//! The `crossrun` binary.

fn main() {}
