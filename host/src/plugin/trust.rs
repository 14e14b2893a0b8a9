//! Who could have put a file where it is, or could replace it: the owner and the permissions of the file, of its folder
//! and of every folder above. Opens no file.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::Serialize;

use crate::shell;

/// The user whose files are everybody's to trust: who has this number can do anything anyway.
const ROOT: u32 = 0;

const GROUP_MAY_WRITE: u32 = 0o020;
const OTHERS_MAY_WRITE: u32 = 0o002;
/// In a folder with this bit only the owner of an entry, or of the folder, may rename or delete it.
const STICKY: u32 = 0o1000;

/// Whose files are loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trust {
    anyone: bool,
    user: u32,
    private_group: Option<u32>,
}

/// Why a file or a folder is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{reason}")]
pub struct Distrust {
    pub reason: String,
    pub remedy: String,
}

impl Trust {
    /// What the user of this process trusts; everything if `anyone`.
    pub(crate) fn of_this_process(anyone: bool) -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let private_group = private_group(user, group, &read("/etc/passwd"), &read("/etc/group"));
        Self { anyone, user, private_group }
    }

    /// Whether everything is trusted, whoever could have written it.
    pub(crate) fn is_anyone(&self) -> bool {
        self.anyone
    }

    /// Whether only trusted users could have put something into the folder at `path`. What does not exist hurts nobody.
    pub(crate) fn check_folder(&self, path: &Path) -> Result<(), Distrust> {
        self.check(path, "it")
    }

    /// Whether only trusted users could have written the file at `path`, every link to it resolved, or could replace it.
    /// What does not exist hurts nobody.
    pub(crate) fn check_file(&self, path: &Path) -> Result<(), Distrust> {
        self.check(path, "the file")
    }

    fn check(&self, path: &Path, what: &str) -> Result<(), Distrust> {
        if self.anyone {
            return Ok(());
        }
        let Ok(real) = path.canonicalize() else { return Ok(()) };
        let Ok(status) = real.metadata() else { return Ok(()) };
        // A link may lead elsewhere: then the name that was given says nothing.
        let what = if real == path { what.to_owned() } else { real.display().to_string() };
        self.judge(&Facts::of(&status), false).map_err(|fault| fault.told(&what, &real))?;
        for above in real.ancestors().skip(1) {
            let Ok(status) = above.metadata() else { continue };
            let what = format!("the folder {} above it", above.display());
            self.judge(&Facts::of(&status), true).map_err(|fault| fault.told(&what, above))?;
        }
        Ok(())
    }

    /// `only_passed`: it is a folder on the way. There the sticky bit protects what is below from whoever else may write.
    fn judge(&self, facts: &Facts, only_passed: bool) -> Result<(), Fault> {
        if facts.owner != ROOT && facts.owner != self.user {
            return Err(Fault::Owner(facts.owner));
        }
        if only_passed && facts.mode & STICKY != 0 {
            return Ok(());
        }
        if facts.mode & OTHERS_MAY_WRITE != 0 {
            return Err(Fault::Everyone);
        }
        if facts.mode & GROUP_MAY_WRITE != 0 && self.private_group != Some(facts.group) {
            return Err(Fault::Group(facts.group));
        }
        Ok(())
    }
}

struct Facts {
    owner: u32,
    group: u32,
    mode: u32,
}

impl Facts {
    fn of(status: &Metadata) -> Self {
        Self { owner: status.uid(), group: status.gid(), mode: status.mode() }
    }
}

/// Who it is that could write.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Owner(u32),
    Group(u32),
    Everyone,
}

impl Fault {
    fn told(&self, what: &str, path: &Path) -> Distrust {
        let chmod = |who: &str| format!("chmod {who}-w {}, or --allow-untrusted", shell::word(path));
        let (reason, remedy) = match self {
            Self::Owner(user) => (
                format!("{what} belongs to user {user}, who is neither you nor root"),
                "--allow-untrusted, if you trust that user".to_owned(),
            ),
            Self::Group(group) => {
                (format!("{what} can be written by group {group}, which is not yours alone"), chmod("g"))
            }
            Self::Everyone => (format!("{what} can be written by everyone"), chmod("o")),
        };
        Distrust { reason, remedy }
    }
}

/// The group that is the user's alone, as distributions make one for each user: the user's primary group, if it has the
/// user's number or name, and nobody else is in it. `passwd` and `groups` are the text of the system's files; a user who
/// stands elsewhere has such a group if the numbers are the same.
fn private_group(user: u32, group: u32, passwd: &str, groups: &str) -> Option<u32> {
    let users: Vec<_> = passwd.lines().filter_map(User::parse).collect();
    let me = users.iter().find(|entry| entry.number == user);
    let primary = me.map_or(group, |me| me.group);
    let my_name = me.map_or("", |me| me.name);
    let entry = groups.lines().filter_map(Group::parse).find(|entry| entry.number == primary);
    let is_named_so = entry.as_ref().is_some_and(|entry| !my_name.is_empty() && entry.name == my_name);
    let is_shared = users.iter().any(|other| other.group == primary && other.number != user)
        || entry.is_some_and(|entry| entry.members.iter().any(|member| *member != my_name));
    ((primary == user || is_named_so) && !is_shared).then_some(primary)
}

/// A line of the system's file of users.
struct User<'a> {
    name: &'a str,
    number: u32,
    group: u32,
}

impl<'a> User<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, number, group, ..] = fields.as_slice() else { return None };
        Some(Self { name, number: number.parse().ok()?, group: group.parse().ok()? })
    }
}

/// A line of the system's file of groups.
struct Group<'a> {
    name: &'a str,
    number: u32,
    members: Vec<&'a str>,
}

impl<'a> Group<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, number, members] = fields.as_slice() else { return None };
        let members = members.split(',').filter(|member| !member.is_empty()).collect();
        Some(Self { name, number: number.parse().ok()?, members })
    }
}

/// Whether this process has rights that its caller does not have: then nothing that the caller's environment says may
/// decide what is loaded.
pub(crate) fn has_raised_privileges() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    is_secure() || getuid() != geteuid() || getgid() != getegid()
}

/// What the kernel says of it, file capabilities included.
#[cfg(all(target_os = "linux", not(crossrun_portable)))]
fn is_secure() -> bool {
    /// The entry of the auxiliary vector for it.
    const AT_SECURE: usize = 23;
    let vector = match std::fs::read("/proc/self/auxv") {
        Ok(vector) => vector,
        // What belongs to root although this process is not: the kernel guards a process with more rights than its user.
        Err(error) => return error.kind() == std::io::ErrorKind::PermissionDenied,
    };
    let words = vector.as_chunks::<{ size_of::<usize>() }>().0.iter().map(|word| usize::from_ne_bytes(*word));
    let words: Vec<_> = words.collect();
    words.as_chunks::<2>().0.iter().any(|[key, value]| *key == AT_SECURE && *value != 0)
}

#[cfg(not(all(target_os = "linux", not(crossrun_portable))))]
fn is_secure() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    const USER: u32 = 1000;
    const PRIVATE: u32 = 1000;

    fn judged(owner: u32, group: u32, mode: u32, only_passed: bool) -> Result<(), Fault> {
        let trust = Trust { anyone: false, user: USER, private_group: Some(PRIVATE) };
        trust.judge(&Facts { owner, group, mode }, only_passed)
    }

    #[test]
    fn what_only_the_user_or_root_can_write_is_trusted() {
        for (owner, group, mode) in [
            (USER, 5, 0o755),
            (ROOT, 0, 0o755),
            (USER, PRIVATE, 0o775),
            (ROOT, PRIVATE, 0o775),
            (USER, 5, 0o400),
        ] {
            assert_eq!(judged(owner, group, mode, false), Ok(()), "{owner} {group} {mode:o}");
        }
    }

    #[test]
    fn what_somebody_else_can_write_is_not() {
        for (owner, group, mode, fault) in [
            (1001, 1001, 0o755, Fault::Owner(1001)),
            (1001, PRIVATE, 0o700, Fault::Owner(1001)),
            (USER, PRIVATE, 0o757, Fault::Everyone),
            (ROOT, ROOT, 0o1777, Fault::Everyone),
            (USER, 100, 0o775, Fault::Group(100)),
            (ROOT, ROOT, 0o775, Fault::Group(ROOT)),
        ] {
            assert_eq!(judged(owner, group, mode, false), Err(fault), "{owner} {group} {mode:o}");
        }
    }

    #[test]
    fn a_sticky_folder_on_the_way_protects_what_is_below() {
        assert_eq!(judged(ROOT, ROOT, 0o1777, true), Ok(()));
        assert_eq!(judged(ROOT, ROOT, 0o777, true), Err(Fault::Everyone));
        assert_eq!(judged(1001, 1001, 0o1777, true), Err(Fault::Owner(1001)));
    }

    #[test]
    fn root_meets_the_same_rules() {
        let trust = Trust { anyone: false, user: ROOT, private_group: Some(ROOT) };
        let facts = Facts { owner: USER, group: USER, mode: 0o755 };
        assert_eq!(trust.judge(&facts, false), Err(Fault::Owner(USER)));
    }

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n\
        ben:x:1001:100::/home/ben:/bin/sh\ncat:x:1002:2002::/home/cat:/bin/sh\ndan:x:1003:1003::/:/bin/sh\n\
        eve:x:1004:1004::/:/bin/sh\nguest:x:1005:1004::/:/bin/sh\n";
    const GROUPS: &str =
        "root:x:0:\nann:x:1000:ann\nusers:x:100:\ncat:x:2002:\ndan:x:1003:ann,dan\neve:x:1004:\n";

    #[test]
    fn a_group_is_private_if_it_is_the_users_and_nobody_else_is_in_it() {
        for (user, group, private) in [
            (0, 0, Some(0)),
            (1000, 1000, Some(1000)),
            // Of many users.
            (1001, 100, None),
            // By its name.
            (1002, 2002, Some(2002)),
            // Another one is a member, or has it as primary group.
            (1003, 1003, None),
            (1004, 1004, None),
            // Known to another directory than these files.
            (5000, 5000, Some(5000)),
            (5000, 100, None),
        ] {
            assert_eq!(private_group(user, group, PASSWD, GROUPS), private, "{user}");
        }
        assert_eq!(private_group(1000, 1000, "rubbish", "rubbish\n::::"), Some(1000));
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_is_looked_at_with_the_folders_above_it_and_behind_links() {
        let trust = Trust::of_this_process(false);
        let place = tempfile::tempdir().unwrap();
        let (folder, elsewhere) = (place.path().join("a b/c"), place.path().join("elsewhere"));
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        let file = folder.join("libx.so");
        fs::write(&file, "").unwrap();
        assert_eq!(trust.check_file(&file), Ok(()));
        assert_eq!(trust.check_folder(&folder), Ok(()));

        chmod(folder.parent().unwrap(), 0o777);
        let above = folder.parent().unwrap().canonicalize().unwrap();
        let distrust = trust.check_file(&file).unwrap_err();
        assert_eq!(
            distrust.reason,
            format!("the folder {} above it can be written by everyone", above.display())
        );
        assert_eq!(distrust.remedy, format!("chmod o-w '{}', or --allow-untrusted", above.display()));
        assert_eq!(Trust::of_this_process(true).check_file(&file), Ok(()));
        chmod(folder.parent().unwrap(), 0o755);

        let link = elsewhere.join("libx.so");
        symlink(&file, &link).unwrap();
        chmod(&file, 0o666);
        assert!(trust.check_file(&link).unwrap_err().reason.contains("c/libx.so can be written by everyone"));
        chmod(&file, 0o644);
        assert_eq!(trust.check_file(&link), Ok(()));
        assert_eq!(trust.check_file(&place.path().join("missing")), Ok(()));
    }

    #[test]
    fn this_process_was_started_as_usual() {
        assert!(!has_raised_privileges());
    }
}
