//! What other programs get of the user's environment: the variables that are listed, and no others. What is installed and
//! measured must not depend on settings that nobody decided on.

use std::process::Command;

/// Names of variables, each with the reason why a program gets it. A name that ends in `*` stands for all that begin like it.
pub type Variables = &'static [(&'static str, &'static str)];

/// What every program gets.
const EVERYWHERE: Variables = &[
    ("PATH", "where programs are"),
    ("HOME", "where the user's files are"),
    ("USER", "the user's name, which need not be in the system's list of users"),
    ("LOGNAME", "the same"),
    ("TMPDIR", "the session's own temporary folder"),
    ("LANG", "the encoding of names of files"),
    ("LC_*", "the same"),
    ("TZ", "the time in logs"),
    ("LD_LIBRARY_PATH", "where shared libraries are: Python's own, and those of a workload"),
    ("LD_PRELOAD", "a library that this process has too, as one of a sanitizer must be in every process"),
    ("NIX_LD*", "the same on NixOS, for programs that were built for other systems, as most packages are"),
    ("DYLD_*", "the same on macOS"),
    ("GLIBC_TUNABLES", "limits of the dynamic linker, which a library may need"),
    ("MALLOC_*", "settings of the allocator, which the judge and backends in Rust and C have too"),
    ("_RJEM_MALLOC_CONF", "the same, of jemalloc in a workload in Rust"),
    ("TCMALLOC_*", "the same, of an allocator that LD_PRELOAD names, or that a workload brings"),
    ("MIMALLOC_*", "the same"),
    ("ASAN_OPTIONS", "settings of a sanitizer that LD_PRELOAD names"),
    ("LSAN_OPTIONS", "the same"),
    ("TSAN_OPTIONS", "the same"),
    ("UBSAN_OPTIONS", "the same"),
    ("OMP_*", "settings of libraries with threads of their own, which backends in Rust and C have too"),
    ("GOMP_*", "the same"),
    ("KMP_*", "the same"),
    ("BLIS_*", "the same, and which code such a library chooses for the processor"),
    ("MKL_*", "the same"),
    ("OPENBLAS_*", "the same"),
    ("VECLIB_*", "the same on macOS"),
    ("RAYON_NUM_THREADS", "the same"),
    ("CROSSRUN_*", "the marker by which processes of a session are found when it ends"),
];

/// Leaves `command` no variable of this process but those that every program gets, and those of `more`. What was set for
/// `command` before is removed too.
pub fn restrict(command: &mut Command, more: Variables) {
    let passed = |name: &str| EVERYWHERE.iter().chain(more).any(|(pattern, _)| matches(pattern, name));
    command.env_clear();
    command.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(passed)));
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_what_is_listed_and_nothing_else() {
        let mut command = Command::new("env");
        // Cargo sets many variables, of which none is listed but this one.
        restrict(command.env("SET_BEFORE", "1"), &[("CARGO_PKG_*", "for this test")]);
        let printed = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let names: Vec<_> = printed.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        assert!(names.contains(&"PATH") && names.contains(&"CARGO_PKG_NAME"), "{printed}");
        for absent in ["SET_BEFORE", "CARGO_MANIFEST_DIR", "CARGO"] {
            assert!(!names.contains(&absent), "{absent}");
        }
    }

    #[test]
    fn what_the_dynamic_linker_the_allocator_and_libraries_with_threads_read_is_passed_on() {
        let linker = ["LD_LIBRARY_PATH", "LD_PRELOAD", "NIX_LD", "NIX_LD_LIBRARY_PATH_x86_64_linux"];
        let allocator = ["MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX", "MALLOC_CONF", "_RJEM_MALLOC_CONF"];
        let allocators = ["TCMALLOC_RELEASE_RATE", "MIMALLOC_ALLOW_LARGE_OS_PAGES"];
        let sanitizers = ["ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"];
        let threads = ["OMP_NUM_THREADS", "OMP_PROC_BIND", "GOMP_CPU_AFFINITY", "KMP_BLOCKTIME"];
        let numbers = ["BLIS_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"];
        let others = ["BLIS_ARCH_TYPE", "MKL_DYNAMIC", "OPENBLAS_CORETYPE", "VECLIB_MAXIMUM_THREADS"];
        let memory = allocator.into_iter().chain(allocators).chain(sanitizers);
        for name in linker.into_iter().chain(memory).chain(threads).chain(numbers).chain(others) {
            assert!(EVERYWHERE.iter().any(|(pattern, _)| matches(pattern, name)), "{name}");
        }
    }

    #[test]
    fn only_a_star_stands_for_more_than_one_name() {
        assert!(matches("LC_*", "LC_ALL") && matches("PATH", "PATH"));
        assert!(!matches("PATH", "PATH_X") && !matches("LC_*", "LANG") && !matches("LC_ALL", "LC_*"));
    }
}
