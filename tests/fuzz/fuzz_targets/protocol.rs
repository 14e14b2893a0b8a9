#![no_main]

#[path = "memory.rs"]
mod memory;

#[global_allocator]
static MEMORY: memory::Bounded = memory::Bounded;

libfuzzer_sys::fuzz_target!(|data: &[u8]| memory::bounded(64, || crossrun_fuzz::protocol::check(data)));
