//! Who could have written a file, or could replace it: the owner and the permissions of the file, of its folder and of every
//! folder above. Opens no file.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::inspect::Rejection;
use crate::shell;

/// Root may do anything anyway, so everybody trusts root's files.
const ROOT: u32 = 0;

const GROUP_MAY_WRITE: u32 = 0o020;
const OTHERS_MAY_WRITE: u32 = 0o002;
/// In a folder with this bit only the owner of an entry, or of the folder, may rename or delete the entry.
const STICKY: u32 = 0o1000;

/// Whose files are loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trust {
    anyone: bool,
    user: u32,
    private_group: Option<u32>,
}

/// Who else can write a file or a folder.
#[derive(Debug, PartialEq, Eq)]
enum Writer {
    Owner(u32),
    Group(u32),
    Everyone,
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

    /// Whether only trusted users could have put something into the folder at `path`. A path that does not exist is
    /// trusted: nothing can be loaded from it.
    pub(crate) fn check_folder(&self, path: &Path) -> Result<(), Rejection> {
        self.check(path, "it")
    }

    /// Whether only trusted users could have written the file at `path`, every link to it resolved, or could replace it.
    /// A path that does not exist is trusted.
    pub(crate) fn check_file(&self, path: &Path) -> Result<(), Rejection> {
        self.check(path, "the file")
    }

    fn check(&self, path: &Path, what: &str) -> Result<(), Rejection> {
        if self.anyone {
            return Ok(());
        }
        let Ok(real) = path.canonicalize() else { return Ok(()) };
        for place in real.ancestors() {
            let Ok(status) = place.metadata() else { continue };
            let is_above = place != real;
            if let Some(writer) = self.untrusted_writer(status.uid(), status.gid(), status.mode(), is_above) {
                let what = match is_above {
                    true => format!("the folder {} above it", place.display()),
                    // A link may lead elsewhere: then the given name does not identify the file.
                    false if real != path => real.display().to_string(),
                    false => what.to_owned(),
                };
                return Err(writer.rejection(&what, place));
            }
        }
        Ok(())
    }

    /// Who else can write a file or folder with this owner, group and mode. `is_above`: it is a folder above the one in
    /// question, where the sticky bit protects the entries from other users who can write to the folder.
    fn untrusted_writer(&self, owner: u32, group: u32, mode: u32, is_above: bool) -> Option<Writer> {
        if owner != ROOT && owner != self.user {
            Some(Writer::Owner(owner))
        } else if is_above && mode & STICKY != 0 {
            None
        } else if mode & OTHERS_MAY_WRITE != 0 {
            Some(Writer::Everyone)
        } else {
            let is_shared = mode & GROUP_MAY_WRITE != 0 && self.private_group != Some(group);
            is_shared.then_some(Writer::Group(group))
        }
    }
}

impl Writer {
    fn rejection(&self, what: &str, path: &Path) -> Rejection {
        let chmod = |who: &str| format!("chmod {who}-w {}, or --allow-untrusted", shell::quote(path));
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
        Rejection { reason, remedy: Some(remedy) }
    }
}

/// The user's private group, as distributions make one for each user: the user's primary group, if it has the user's
/// number or name and no other member. `passwd` and `groups` are the text of the system's files. A user who is not in
/// them (but in LDAP, for example) has a private group if both numbers are the same.
fn private_group(user: u32, group: u32, passwd: &str, groups: &str) -> Option<u32> {
    let users: Vec<(&str, u32, u32)> = passwd.lines().filter_map(parse_user).collect();
    let (name, _, primary) =
        users.iter().copied().find(|(_, id, _)| *id == user).unwrap_or(("", user, group));
    let entry = groups.lines().filter_map(parse_group).find(|(_, id, _)| *id == primary);
    let (group_name, _, mut members) = entry.unwrap_or(("", primary, Vec::new()));
    members.extend(
        users.iter().filter(|(_, id, group)| *group == primary && *id != user).map(|(name, _, _)| *name),
    );
    let is_own = primary == user || (!name.is_empty() && group_name == name);
    (is_own && members.iter().all(|member| *member == name)).then_some(primary)
}

/// Name, number and primary group of a line of the system's file of users.
fn parse_user(line: &str) -> Option<(&str, u32, u32)> {
    let fields: Vec<_> = line.split(':').collect();
    let [name, _, id, group, ..] = fields.as_slice() else { return None };
    Some((name, id.parse().ok()?, group.parse().ok()?))
}

/// Name, number and members of a line of the system's file of groups.
fn parse_group(line: &str) -> Option<(&str, u32, Vec<&str>)> {
    let fields: Vec<_> = line.split(':').collect();
    let [name, _, id, members] = fields.as_slice() else { return None };
    Some((name, id.parse().ok()?, members.split(',').filter(|member| !member.is_empty()).collect()))
}

/// Whether this process has rights that its caller does not have. If so, no variable of the caller's environment may decide
/// what is loaded.
pub(crate) fn has_raised_privileges() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    is_secure() || getuid() != geteuid() || getgid() != getegid()
}

/// Whether the kernel says so, which includes file capabilities.
#[cfg(all(target_os = "linux", not(crossrun_portable)))]
fn is_secure() -> bool {
    /// The key of that flag in the auxiliary vector.
    const AT_SECURE: usize = 23;
    let vector = match std::fs::read("/proc/self/auxv") {
        Ok(vector) => vector,
        // The kernel gives this file of a process with raised privileges to root.
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
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const USER: u32 = 1000;
    const PRIVATE: u32 = 1000;

    #[test]
    fn only_the_user_root_and_a_private_group_may_write() {
        for (user, owner, group, mode, writer) in [
            (USER, USER, 5, 0o755, None),
            (USER, USER, 5, 0o400, None),
            (USER, ROOT, 0, 0o755, None),
            (USER, USER, PRIVATE, 0o775, None),
            (USER, ROOT, PRIVATE, 0o775, None),
            (USER, 1001, 1001, 0o755, Some(Writer::Owner(1001))),
            (USER, 1001, PRIVATE, 0o700, Some(Writer::Owner(1001))),
            (USER, USER, PRIVATE, 0o757, Some(Writer::Everyone)),
            (USER, ROOT, ROOT, 0o1777, Some(Writer::Everyone)),
            (USER, USER, 100, 0o775, Some(Writer::Group(100))),
            (USER, ROOT, ROOT, 0o775, Some(Writer::Group(ROOT))),
            // Root follows the same rules.
            (ROOT, USER, USER, 0o755, Some(Writer::Owner(USER))),
        ] {
            let trust = Trust { anyone: false, user, private_group: Some(PRIVATE) };
            let found = trust.untrusted_writer(owner, group, mode, false);
            assert_eq!(found, writer, "{user} {owner} {group} {mode:o}");
        }
    }

    #[test]
    fn the_sticky_bit_of_a_folder_above_protects_its_entries() {
        let trust = Trust { anyone: false, user: USER, private_group: Some(PRIVATE) };
        assert_eq!(trust.untrusted_writer(ROOT, ROOT, 0o1777, true), None);
        assert_eq!(trust.untrusted_writer(ROOT, ROOT, 0o777, true), Some(Writer::Everyone));
        assert_eq!(trust.untrusted_writer(1001, 1001, 0o1777, true), Some(Writer::Owner(1001)));
    }

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n\
        ben:x:1001:100::/home/ben:/bin/sh\ncat:x:1002:2002::/home/cat:/bin/sh\ndan:x:1003:1003::/:/bin/sh\n\
        eve:x:1004:1004::/:/bin/sh\nguest:x:1005:1004::/:/bin/sh\n";
    const GROUPS: &str =
        "root:x:0:\nann:x:1000:ann\nusers:x:100:\ncat:x:2002:\ndan:x:1003:ann,dan\neve:x:1004:\n";

    #[test]
    fn a_group_is_private_if_it_is_the_users_own_and_has_no_other_member() {
        for (user, group, private) in [
            (0, 0, Some(0)),
            (1000, 1000, Some(1000)),
            // A group of many users.
            (1001, 100, None),
            // The group has the user's name, not the user's number.
            (1002, 2002, Some(2002)),
            // Another user is a member, or has it as primary group.
            (1003, 1003, None),
            (1004, 1004, None),
            // The user is not in the files.
            (5000, 5000, Some(5000)),
            (5000, 100, None),
        ] {
            assert_eq!(private_group(user, group, PASSWD, GROUPS), private, "{user}");
        }
        assert_eq!(private_group(1000, 1000, "rubbish", "rubbish\n::::"), Some(1000));
    }

    #[test]
    fn a_path_in_a_remedy_is_quoted_and_a_missing_file_is_trusted() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a b");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        let trust = Trust::of_this_process(false);
        let remedy = trust.check_folder(&folder).unwrap_err().remedy.unwrap();
        let real = folder.canonicalize().unwrap();
        assert_eq!(remedy, format!("chmod o-w '{}', or --allow-untrusted", real.display()));
        assert_eq!(Trust::of_this_process(true).check_folder(&folder), Ok(()));
        assert_eq!(trust.check_file(&place.path().join("missing")), Ok(()));
    }

    #[test]
    fn this_test_has_no_raised_privileges() {
        assert!(!has_raised_privileges());
    }
}
