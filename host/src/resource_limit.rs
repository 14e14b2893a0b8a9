//! The limits of this process, as its file in `/proc` has them: the system call may be filtered away, and `rustix` panics then. And what
//! to do about a limit that is too low.

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{self, Rlimit, setrlimit};

use crate::shell;

/// What a process may have so much of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Resource {
    /// Seconds of a process.
    ProcessorTime,
    OpenFiles,
    Processes,
    /// Bytes of a process.
    Stack,
    /// Bytes of a process.
    AddressSpace,
    /// Bytes of a process.
    Data,
    /// Bytes of a file. What writes more is killed.
    FileSize,
}

/// What other programs call a resource.
struct Names {
    /// The start of its line in `/proc/self/limits`.
    line: &'static str,
    /// The option of `ulimit`.
    option: &'static str,
    /// In `/etc/security/limits.conf`. A container engine calls it so too, and systemd does in capitals.
    name: &'static str,
    number: process::Resource,
}

/// How many files may be open, where that is known to be enough.
const ENOUGH_FILES: u64 = 1024;

impl Resource {
    fn names(self) -> Names {
        use process::Resource as Number;
        let (line, option, name, number) = match self {
            Self::ProcessorTime => ("Max cpu time", "-t", "cpu", Number::Cpu),
            Self::OpenFiles => ("Max open files", "-n", "nofile", Number::Nofile),
            Self::Processes => ("Max processes", "-u", "nproc", Number::Nproc),
            Self::Stack => ("Max stack size", "-s", "stack", Number::Stack),
            Self::AddressSpace => ("Max address space", "-v", "as", Number::As),
            Self::Data => ("Max data size", "-d", "data", Number::Data),
            Self::FileSize => ("Max file size", "-f", "fsize", Number::Fsize),
        };
        Names { line, option, name, number }
    }

    /// A number of it in the unit of `ulimit`, which shells other than bash do not have for the size of files.
    fn in_units(self, number: u64) -> String {
        match self {
            Self::OpenFiles | Self::Processes => number.to_string(),
            Self::ProcessorTime => format!("{number} s"),
            _ => format!("{} KiB", number / 1024),
        }
    }
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
    let name = resource.names().line;
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let mut numbers = line.split_ascii_whitespace().map(|word| word.parse().ok());
    Limit { soft: numbers.next().flatten(), hard: numbers.next().flatten() }
}

/// What to do so that a process may have `wanted` of a resource, or any number if that is `None`: a command of the shell that starts
/// crossrun, and what must come before it.
pub(crate) fn raise(resource: Resource, wanted: Option<u64>) -> String {
    let number = wanted.map_or_else(
        || "unlimited".to_owned(),
        |number| resource.in_units(number).split(' ').next().unwrap_or_default().to_owned(),
    );
    format!("ulimit {} {number}{}", resource.names().option, by_root(resource, wanted))
}

/// A shell in which the soft limit is above `now`, and what must come before it.
pub(crate) fn shell_with_more(resource: Resource, now: u64) -> String {
    let (option, limit) = (resource.names().option, resource.in_units(now));
    let more = Some(now.saturating_add(1));
    format!("a shell in which `ulimit {option}` is more than {limit}{}", by_root(resource, more))
}

/// Who raises the hard limit, for the end of a remedy; nothing if `wanted` is allowed.
pub(crate) fn by_root(resource: Resource, wanted: Option<u64>) -> String {
    let Some(hard) = of(resource).hard.filter(|hard| wanted.is_none_or(|wanted| wanted > *hard)) else {
        return String::new();
    };
    if can_raise(resource, wanted) {
        return String::new();
    }
    let (hard, name) = (resource.in_units(hard), resource.names().name);
    let unit = name.to_uppercase();
    format!(
        ", once root has raised the hard limit, which is {hard} ({name} in /etc/security/limits.conf, Limit{unit}= of a systemd \
         unit, --ulimit {name}=… of a container)"
    )
}

/// Whether this process may raise the hard limit, as root can who has that right: it is raised, and set back at once.
fn can_raise(resource: Resource, wanted: Option<u64>) -> bool {
    let (Limit { soft, hard }, number) = (of(resource), resource.names().number);
    let set = |maximum| setrlimit(number, Rlimit { current: soft, maximum }).is_ok();
    set(wanted) && set(hard)
}

/// What to do about an error that says that such a limit was reached: of this process, or of the whole machine.
pub(crate) fn remedy(error: &io::Error) -> Option<String> {
    if error.kind() == io::ErrorKind::FileTooLarge {
        return Some(raise(Resource::FileSize, None));
    }
    match Errno::from_io_error(error)? {
        Errno::MFILE => {
            let now = of(Resource::OpenFiles).soft.unwrap_or_default();
            Some(raise(Resource::OpenFiles, Some(ENOUGH_FILES.max(now.saturating_mul(2)))))
        }
        Errno::NFILE => Some(shell::as_root(
            "end other programs, or sudo sysctl fs.file-max=NUMBER: the machine has no more open files",
        )),
        _ => None,
    }
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

    #[test]
    fn a_command_is_in_the_unit_of_the_shell_and_no_lower_than_the_limit() {
        assert_eq!(raise(Resource::Stack, Some(1 << 20)).split(',').next(), Some("ulimit -s 1024"));
        assert_eq!(raise(Resource::OpenFiles, Some(0)), "ulimit -n 0");
        let full = io::Error::from_raw_os_error(Errno::MFILE.raw_os_error());
        let told = remedy(&full).unwrap();
        let number = told.strip_prefix("ulimit -n ").unwrap().split(',').next().unwrap();
        assert!(number.parse::<u64>().unwrap() > of(Resource::OpenFiles).soft.unwrap(), "{told}");
        assert_eq!(remedy(&io::ErrorKind::NotFound.into()), None);
        let limit = of(Resource::OpenFiles);
        can_raise(Resource::OpenFiles, None);
        assert_eq!(of(Resource::OpenFiles), limit, "it is as it was");
    }
}
