//! Who could have written a file, or could replace it: the owner and the permissions of the file, of every folder that leads to
//! it, and of every link on the way. Opens no file.
//!
//! A path is resolved once, from the root of the file system downwards, and each step is checked before the next one is taken.
//! Nobody who is not trusted can change an entry of a folder that passed, so that the resolved path, which has no links, leads to
//! the same file for as long as trusted users leave it alone. Callers open that path and never the one that was given.
//!
//! The crate `fs-mistrust` walks paths in the same way. It does not serve here: its checks do not return the path that they
//! resolved, so that a caller would have to resolve it again; it has no remedy for what it refuses; and it reads users through
//! the C library, where this module reads two files of the system.

use std::env::consts::DLL_SUFFIX;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::PLUGINS;
use super::inspect::Rejection;
use crate::path_walk::PathWalk;
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

/// Why a path cannot be used.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Somebody else could have written what it leads to.
    Distrust(Rejection),
    /// It leads nowhere, or cannot be followed.
    Unreadable(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Distrust(why) => why,
            Refusal::Unreadable(error) => error.into(),
        }
    }
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
        let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let (passwd, groups) = (text_of("/etc/passwd".as_ref()), text_of("/etc/group".as_ref()));
        let private_group = private_group(user, group, &passwd, &groups);
        Self { anyone, user, private_group }
    }

    /// Whether everything is trusted, whoever could have written it.
    pub(crate) fn is_anyone(&self) -> bool {
        self.anyone
    }

    /// The folder to which `path` leads, without links, if only trusted users could have put something into it.
    ///
    /// # Errors
    /// [`Refusal`], also if there is no such folder.
    pub(crate) fn folder(&self, path: &Path) -> Result<PathBuf, Refusal> {
        self.resolve(path, "it", &Asked::Plugins)
    }

    /// The file to which `path` leads, without links, if only trusted users could have written it or could replace it.
    ///
    /// # Errors
    /// [`Refusal`], also if there is no such file.
    pub(crate) fn file(&self, path: &Path) -> Result<PathBuf, Refusal> {
        self.resolve(path, "the file", &Asked::Plugin)
    }

    /// As [`Trust::file`], of a file that is no plugin.
    ///
    /// # Errors
    /// [`Refusal`], also if there is no such file.
    pub(crate) fn other_file(&self, path: &Path) -> Result<PathBuf, Refusal> {
        self.resolve(path, "the file", &Asked::Other("name a file of your own"))
    }

    /// Whether the folder at `path`, in which this program keeps what is its own, is trusted, or is not there yet.
    pub(crate) fn check_folder(&self, path: &Path) -> Result<(), Rejection> {
        match self.resolve(
            path,
            "it",
            &Asked::Other("export CROSSRUN_DATA_DIR=DIR, with a folder of your own"),
        ) {
            Err(Refusal::Distrust(why)) => Err(why),
            Ok(_) | Err(Refusal::Unreadable(_)) => Ok(()),
        }
    }

    fn resolve(&self, path: &Path, what: &str, asked: &Asked) -> Result<PathBuf, Refusal> {
        if self.anyone {
            return Ok(path.canonicalize()?);
        }
        let absolute = std::path::absolute(path)?;
        let mut walk = PathWalk::along(&absolute)?;
        while let Some(next) = walk.next_entry() {
            // Whoever can write to this folder decides what its entries are, links among them.
            let folder = walk.place();
            let above = format!("the folder {} above it", folder.display());
            refuse(self.check(folder, true)?, |writer| asked.refusal(writer, &above, folder, &absolute))?;
            if !next.symlink_metadata()?.is_symlink() {
                walk.enter(next);
                continue;
            }
            let link = format!("the link {} on the way to it", next.display());
            refuse(self.check_link(&next)?, |writer| asked.refusal(writer, &link, &next, &absolute))?;
            walk.follow(&next)?;
        }
        let real = walk.place().to_owned();
        // A link may have led elsewhere: then the given name does not identify the file.
        let what = if real == absolute { what.to_owned() } else { real.display().to_string() };
        refuse(self.check(&real, false)?, |writer| asked.refusal(writer, &what, &real, &absolute))?;
        Ok(real)
    }

    /// Who else can write it.
    fn check(&self, place: &Path, is_above: bool) -> io::Result<Option<Writer>> {
        let status = place.symlink_metadata()?;
        if !status.is_file() && !status.is_dir() {
            // The permissions of a device are not to be changed, whoever may write to it.
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(self.untrusted_writer(status.uid(), status.gid(), status.mode(), is_above))
    }

    /// Its owner can replace a link, also where the sticky bit protects it from others. A link's own permissions mean nothing.
    fn check_link(&self, link: &Path) -> io::Result<Option<Writer>> {
        let owner = link.symlink_metadata()?.uid();
        let is_trusted = owner == ROOT || owner == self.user;
        Ok((!is_trusted).then_some(Writer::Owner(owner)))
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

/// Whether this number stands for every user that the user namespace of this process does not map.
fn is_unmapped(owner: u32) -> bool {
    const USUAL: u32 = 65_534;
    const ALL: &str = "4294967295";
    let text = |path| std::fs::read_to_string(path).unwrap_or_default();
    let unmapped = text("/proc/sys/kernel/overflowuid").trim().parse().unwrap_or(USUAL);
    // `0 0 4294967295`: the first number inside, the first one outside, and how many there are.
    owner == unmapped && text("/proc/self/uid_map").split_ascii_whitespace().nth(2) != Some(ALL)
}

fn refuse(writer: Option<Writer>, refusal: impl FnOnce(Writer) -> Refusal) -> Result<(), Refusal> {
    writer.map_or(Ok(()), |writer| Err(refusal(writer)))
}

const OWN_FOLDER: &str = "--plugin-dir with a folder of your own";

/// What a path is wanted for, which decides what helps if it belongs to somebody else.
enum Asked {
    /// A plugin. A copy of it is nobody else's.
    Plugin,
    /// A folder of plugins.
    Plugins,
    /// Something else, with this remedy.
    Other(&'static str),
}

impl Asked {
    /// Why `asked` is refused: because of `place`, which is called `what`.
    fn refusal(&self, writer: Writer, what: &str, place: &Path, asked: &Path) -> Refusal {
        let user = rustix::process::geteuid().as_raw();
        let is_own = place.symlink_metadata().is_ok_and(|status| status.uid() == user);
        let chmod = |who: &str| {
            let command = shell::command("chmod", [format!("{who}-w").as_ref(), place.as_os_str()]);
            if is_own { command } else { shell::as_root("sudo ") + &command }
        };
        let (reason, remedy) = match writer {
            Writer::Owner(owner) if is_unmapped(owner) => {
                let whose =
                    "a user whom this user namespace does not map, so that nobody can say whose it is";
                (
                    format!("{what} belongs to {whose}"),
                    "--allow-untrusted, if you trust all of these files".into(),
                )
            }
            Writer::Owner(user) => (
                format!("{what} belongs to user {user}, who is neither you nor root"),
                self.own_copy(asked).unwrap_or_else(|| "--allow-untrusted, if you trust that user".into()),
            ),
            Writer::Group(group) => {
                (format!("{what} can be written by group {group}, which is not yours alone"), chmod("g"))
            }
            Writer::Everyone => {
                // A folder such as /tmp is everybody's by intent.
                let is_shared = place.symlink_metadata().is_ok_and(|status| status.mode() & STICKY != 0);
                let own = is_shared.then(|| self.own_copy(asked).unwrap_or_else(|| OWN_FOLDER.into()));
                (format!("{what} can be written by everyone"), own.unwrap_or_else(|| chmod("o")))
            }
        };
        let reason = format!("{reason}; --allow-untrusted is for whom you trust");
        Refusal::Distrust(Rejection { reason, remedy: Some(remedy) })
    }

    /// The command that makes a copy which is the user's own.
    fn own_copy(&self, asked: &Path) -> Option<String> {
        let files = match self {
            Self::Plugin => shell::quote(asked),
            // The shell itself finds the libraries.
            Self::Plugins => format!("{}/*{DLL_SUFFIX}", shell::quote(asked)),
            Self::Other(remedy) => return Some((*remedy).into()),
        };
        let own = plugin_api::data_dir()?.join(PLUGINS);
        // A copy onto itself would be none.
        let is_own = asked.starts_with(&own);
        (!is_own).then(|| {
            format!(
                "{} {files}",
                shell::command(
                    "install",
                    ["-D".as_ref(), "-m".as_ref(), "755".as_ref(), "-t".as_ref(), own.as_os_str()]
                )
            )
        })
    }
}

/// The text of a file of the system's; nothing if it cannot be read. A name in it need not be UTF-8, and hides no other line.
fn text_of(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
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
    fn a_name_that_is_not_utf_8_hides_no_member_of_a_group() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("group");
        fs::write(&path, [b"m\xfcller:x:2000:\n".as_slice(), GROUPS.as_bytes()].concat()).unwrap();
        assert_eq!(private_group(1003, 1003, PASSWD, &text_of(&path)), None);
    }

    #[test]
    fn a_path_in_a_remedy_is_quoted_and_a_missing_folder_may_be_made() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a b");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        let trust = Trust::of_this_process(false);
        let remedy = trust.check_folder(&folder).unwrap_err().remedy.unwrap();
        let real = folder.canonicalize().unwrap();
        assert_eq!(remedy, format!("chmod o-w '{}'", real.display()));
        assert_eq!(Trust::of_this_process(true).check_folder(&folder), Ok(()));
        assert!(matches!(trust.file(&place.path().join("missing")), Err(Refusal::Unreadable(_))));
        assert_eq!(trust.check_folder(&place.path().join("missing")), Ok(()));
    }

    #[test]
    fn a_path_is_resolved_as_the_system_resolves_it() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "").unwrap();
        let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, root.join(name)).unwrap();
        link("a/b", "relative");
        link("../b/./file", "a/b/up");
        link(root.join("relative").to_str().unwrap(), "absolute");
        link("loop", "loop");
        let trust = Trust::of_this_process(false);
        for path in ["a/b/file", "relative/file", "absolute/up", "absolute/../b/up", "a//b/./../b/file"] {
            let path = root.join(path);
            assert_eq!(trust.file(&path).unwrap(), path.canonicalize().unwrap(), "{}", path.display());
        }
        for path in ["loop", "a/none", "a/b/file/x"] {
            let (path, refusal) = (root.join(path), trust.file(&root.join(path)).unwrap_err());
            let Refusal::Unreadable(error) = refusal else { panic!("{refusal:?}") };
            assert_eq!(error.kind(), path.canonicalize().unwrap_err().kind(), "{}", path.display());
        }
    }

    #[test]
    fn a_folder_that_a_link_on_the_way_is_in_is_checked_too() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("open/good")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        std::os::unix::fs::symlink("../file", root.join("open/link")).unwrap();
        let trust = Trust::of_this_process(false);
        assert!(trust.file(&root.join("open/link")).is_ok());
        fs::set_permissions(root.join("open"), Permissions::from_mode(0o777)).unwrap();
        let Refusal::Distrust(why) = trust.file(&root.join("open/link")).unwrap_err() else { panic!() };
        let open = root.join("open");
        let reason = format!("the folder {} above it can be written by everyone", open.display());
        assert!(why.reason.starts_with(&reason), "{}", why.reason);
        let remedy = format!("chmod o-w {}", open.display());
        assert_eq!(why.remedy, Some(remedy));
    }

    #[test]
    fn this_test_has_no_raised_privileges() {
        assert!(!has_raised_privileges());
    }
}
