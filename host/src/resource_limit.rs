//! The limits of this process, as its file in `/proc` has them: the system call may be filtered away, and `rustix` panics then.

use std::fs;

/// A limit, by its name in `/proc/self/limits`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Resource {
    /// Seconds of a process.
    ProcessorTime,
    OpenFiles,
    Processes,
    Stack,
    /// Bytes of a process.
    AddressSpace,
    /// Bytes of a process.
    Data,
    /// Bytes of a file. What writes more is killed.
    #[cfg(all(target_os = "linux", not(crossrun_portable)))]
    FileSize,
}

/// The soft limit and the hard one; `None` for any number, and where the system does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Limit {
    pub(crate) soft: Option<u64>,
    pub(crate) hard: Option<u64>,
}

pub(crate) fn of(resource: Resource) -> Limit {
    parse(&fs::read_to_string("/proc/self/limits").unwrap_or_default(), resource)
}

fn parse(limits: &str, resource: Resource) -> Limit {
    let name = match resource {
        Resource::ProcessorTime => "Max cpu time",
        Resource::OpenFiles => "Max open files",
        Resource::Processes => "Max processes",
        Resource::Stack => "Max stack size",
        Resource::AddressSpace => "Max address space",
        Resource::Data => "Max data size",
        #[cfg(all(target_os = "linux", not(crossrun_portable)))]
        Resource::FileSize => "Max file size",
    };
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let mut numbers = line.split_ascii_whitespace().map(|word| word.parse().ok());
    Limit { soft: numbers.next().flatten(), hard: numbers.next().flatten() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_by_their_names() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max stack size            65536                unlimited            bytes     \n\
                    Max open files            1024                 4096                 files     \n";
        assert_eq!(parse(text, Resource::Stack), Limit { soft: Some(65_536), hard: None });
        assert_eq!(parse(text, Resource::OpenFiles), Limit { soft: Some(1024), hard: Some(4096) });
        assert_eq!(parse(text, Resource::Processes), Limit::default());
        #[cfg(target_os = "linux")]
        assert!(of(Resource::OpenFiles).soft.is_some());
    }
}
