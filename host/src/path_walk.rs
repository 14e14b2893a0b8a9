//! The way along a path as the system takes it, one name at a time, so that each step can be checked before the next one is taken. And
//! what is checked of the path of an output: whether another user has put a link on the way.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;
use rustix::process::geteuid;

/// How many links a path may have, as the system has it.
const MAX_LINKS: usize = 40;
/// The mode of a folder in which everybody may make files, and nobody may remove those of others.
const SHARED: u32 = 0o1002;
/// Root may do anything anyway.
const ROOT: u32 = 0;

/// A way along a path, from the root of the file system.
pub(crate) struct PathWalk {
    /// Where it is, by a path without links.
    place: PathBuf,
    /// The names to come, of which the next is at the end.
    left: Vec<OsString>,
    links: usize,
}

impl PathWalk {
    /// Begins at the root.
    ///
    /// # Errors
    /// Those of the system, of a relative path.
    pub(crate) fn along(path: &Path) -> io::Result<Self> {
        let left = names_from_the_last(&std::path::absolute(path)?);
        Ok(Self { place: PathBuf::from("/"), left, links: 0 })
    }

    /// Where it is, by a path without links.
    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// Whether no name is to come.
    pub(crate) fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }

    /// What the next name leads to, which need not exist. The way goes on from there by [`enter`](Self::enter), or by
    /// [`follow`](Self::follow) if it is a link.
    pub(crate) fn next_entry(&mut self) -> Option<PathBuf> {
        let name = self.left.pop()?;
        let above = || self.place.parent().unwrap_or(&self.place).to_owned();
        Some(if name == ".." { above() } else { self.place.join(name) })
    }

    /// Goes to an entry that is no link.
    pub(crate) fn enter(&mut self, entry: PathBuf) {
        self.place = entry;
    }

    /// Goes on along the path in a link.
    ///
    /// # Errors
    /// Those of the system, also for too many links.
    pub(crate) fn follow(&mut self, link: &Path) -> io::Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = link.read_link()?;
        if target.is_absolute() {
            self.place = PathBuf::from("/");
        } else if is_descriptor(link) {
            // Of a pipe or a socket, which has no name.
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        self.left.extend(names_from_the_last(&target));
        Ok(())
    }
}

/// Whether a path is that of a descriptor: a file in `/proc/PID/fd`.
pub(crate) fn is_descriptor(path: &Path) -> bool {
    path.starts_with("/proc") && path.parent().is_some_and(|folder| folder.ends_with("fd"))
}

/// The names in `path`, of which the first is at the end.
fn names_from_the_last(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    });
    let mut names: Vec<_> = names.collect();
    names.reverse();
    names
}

/// Makes the folder at `path`, with those that lead to it, unless another user has put a link on the way.
///
/// # Errors
/// Those of the system, and of [`check_links`].
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    check_links(path)?;
    fs::create_dir_all(path)?;
    // Where nothing was before, there may be such a link by now. What is there and is this user's own stays.
    check_links(path)
}

/// Makes the folder at `path`, with those that lead to it, for this user alone, whatever the umask allows to others. One that is there
/// stays as it is.
///
/// # Errors
/// Those of the system.
pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Fails for a path on which another user has put a link, as [`refuse_planted`] says. The path need not exist.
///
/// # Errors
/// [`io::ErrorKind::PermissionDenied`].
pub(crate) fn check_links(path: &Path) -> io::Result<()> {
    // What else keeps the path from being followed is an error of whatever is done with it.
    let Ok(mut walk) = PathWalk::along(path) else { return Ok(()) };
    while let Some(entry) = walk.next_entry() {
        let Ok(status) = entry.symlink_metadata() else { break };
        if !status.is_symlink() {
            walk.enter(entry);
            continue;
        }
        refuse_planted(walk.place(), &entry, &status)?;
        if walk.follow(&entry).is_err() {
            break;
        }
    }
    Ok(())
}

/// Fails for what another user, who is not root, has put into a folder that is everybody's, such as `/tmp`: a link that leads to files
/// of this user, or a pipe. Who opens a file there by its name is kept from that by the kernel, but not who names a file below a link.
///
/// # Errors
/// [`io::ErrorKind::PermissionDenied`].
pub(crate) fn refuse_planted(folder: &Path, entry: &Path, status: &Metadata) -> io::Result<()> {
    let folder = folder.metadata()?;
    let owner = status.uid();
    let is_known = [ROOT, geteuid().as_raw(), folder.uid()].contains(&owner);
    if folder.mode() & SHARED != SHARED || is_known {
        return Ok(());
    }
    let why = format!("user {owner} has put {} into a folder that everybody can write to", entry.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};

    use super::*;

    #[test]
    fn a_link_of_another_user_is_found_wherever_it_is_on_the_way() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        for folder in ["own", "shared"] {
            fs::create_dir(root.join(folder)).unwrap();
            symlink(root.join("own"), root.join(folder).join("link")).unwrap();
        }
        fs::set_permissions(root.join("shared"), fs::Permissions::from_mode(0o1777)).unwrap();
        symlink("shared/link", root.join("first")).unwrap();
        let link = root.join("shared/link");
        let paths = ["shared/link", "shared/link/a/b", "first/a", "own/../shared/./link/..", "own/link/a"];
        let check = || paths.map(|path| check_links(&root.join(path)).is_ok());
        assert_eq!(check(), [true; 5]);
        // Only root with the right to do so can give it to somebody else.
        if lchown(&link, Some(54_321), None).is_ok() {
            assert_eq!(check(), [false, false, false, false, true]);
            let told = make_folder(&root.join("first/a")).unwrap_err().to_string();
            assert!(told.contains(&format!("user 54321 has put {} into", link.display())), "{told}");
            assert!(!root.join("own/a").exists());
        }
        // Links of the system.
        for path in ["/proc/self/fd/0", "/dev/stdout", "/proc/self/cwd/none", "none"] {
            assert!(check_links(Path::new(path)).is_ok(), "{path}");
        }
        fs::remove_file(&link).unwrap();
        assert!(make_folder(&root.join("first")).is_err());
        make_folder(&root.join("shared/new/folder")).unwrap();
    }
}
