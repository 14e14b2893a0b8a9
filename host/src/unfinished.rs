//! Files and folders under a temporary name, which they have until they are whole. Whoever makes one holds its lock. What nobody holds
//! was left by a process that was killed, and the next process that makes one in the same folder removes it.
//!
//! Machines may share the folder, and on some file systems a lock holds on one of them only. So the random part of a name begins with
//! letters of the machine, and what has others is removed only when it is old.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::geteuid;
use rustix::system::uname;
use tempfile::{Builder, NamedTempFile, TempDir};

/// The parts of a temporary name: no other program makes such names.
const PREFIX: &str = ".crossrun-";
const RANDOM: usize = 6;
const SUFFIX: &str = ".tmp";

/// How many characters of a random part are letters of the machine.
pub(crate) const LETTERS: usize = 3;
/// After this time without a change, what another machine made is no more in use.
const OLD: Duration = Duration::from_secs(7 * 24 * 3600);

/// How often one is made. Between its making and its locking, another process may take it for one that was left.
const TRIES: usize = 10;

/// A file in `folder`, which is removed unless it is given another name.
///
/// # Errors
/// Those of the system.
pub(crate) fn file_in(folder: &Path, mode: u32) -> io::Result<NamedTempFile> {
    made_in(folder, || {
        let file = names().permissions(Permissions::from_mode(mode)).tempfile_in(folder)?;
        let is_held = hold(file.as_file(), file.path());
        Ok(is_held.then_some(file))
    })
}

/// A folder that only this user can enter, and that is removed with all that is in it.
#[derive(Debug)]
pub(crate) struct Folder {
    made: TempDir,
    /// Below the folder, so that it is released when that is gone.
    _lock: File,
}

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        self.made.path()
    }
}

/// A folder in `folder`.
///
/// # Errors
/// Those of the system.
pub(crate) fn folder_in(folder: &Path) -> io::Result<Folder> {
    made_in(folder, || {
        let made = names().tempdir_in(folder)?;
        let lock = match File::open(made.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let is_held = hold(&lock, made.path());
        Ok(is_held.then_some(Folder { made, _lock: lock }))
    })
}

fn names() -> Builder<'static, 'static> {
    static START: OnceLock<String> = OnceLock::new();
    let own = START.get_or_init(|| start(PREFIX));
    let mut names = Builder::new();
    names.prefix(own).rand_bytes(RANDOM - LETTERS).suffix(SUFFIX);
    names
}

/// The beginning of the names that this machine makes.
pub(crate) fn start(prefix: &str) -> String {
    format!("{prefix}{}", letters_of(uname().nodename().to_bytes()))
}

/// The letters of a machine with this name. Of thirty machines two have the same with a chance of 2 %.
fn letters_of(node: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(node);
    let hash = hasher.finish();
    [hash % 26, hash / 26 % 26, hash / 676 % 26]
        .map(|number| char::from(b'a' + number as u8))
        .iter()
        .collect()
}

fn made_in<T>(folder: &Path, mut make: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    remove_left(folder);
    for _ in 0..TRIES {
        if let Some(made) = make()? {
            return Ok(made);
        }
    }
    Err(io::Error::other("another process locks or removes each new file"))
}

/// Locks what was made, and returns whether it is still there.
fn hold(made: &File, path: &Path) -> bool {
    // Where the file system has no locks, no process removes what another has made.
    !matches!(made.try_lock(), Err(TryLockError::WouldBlock)) && path.exists()
}

/// Removes from `folder` what killed processes of this user have left.
pub(crate) fn remove_left(folder: &Path) {
    let remove = |path: &Path, found: &Metadata| match found.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    remove_unheld(folder, PREFIX, |entry| is_temporary(&entry.file_name()), remove);
}

/// Removes from `folder` the files and folders of this user that `is_made` knows for what its maker holds, and that nobody holds. Their
/// names begin with `prefix`, before the letters of the machine that made them.
pub(crate) fn remove_unheld(
    folder: &Path,
    prefix: &str,
    is_made: impl Fn(&DirEntry) -> bool,
    remove: impl Fn(&Path, &Metadata) -> io::Result<()>,
) {
    let own = start(prefix);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(is_made) {
        let is_own = entry.file_name().as_bytes().starts_with(own.as_bytes());
        // What cannot be removed stays, and does no harm.
        let _ = remove_unless_held(&entry.path(), is_own, &remove);
    }
}

fn is_temporary(name: &OsStr) -> bool {
    let name = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
    name.is_some_and(|random| random.len() == RANDOM && random.chars().all(|c| c.is_ascii_alphanumeric()))
}

fn is_old(found: &Metadata) -> bool {
    found.modified().is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > OLD))
}

fn remove_unless_held(
    path: &Path,
    is_own: bool,
    remove: impl Fn(&Path, &Metadata) -> io::Result<()>,
) -> io::Result<()> {
    let found = path.symlink_metadata()?;
    if found.uid() != geteuid().as_raw() || !(found.is_file() || found.is_dir()) {
        return Ok(());
    }
    if !(is_own || is_old(&found)) {
        return Ok(());
    }
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    // NFS locks only files that were opened for writing.
    let file = OpenOptions::new().read(true).write(found.is_file()).custom_flags(flags).open(path)?;
    file.try_lock()?;
    remove(path, &found)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::symlink;
    use std::time::SystemTime;

    use super::*;

    /// No machine has capital letters.
    const OF_ANOTHER: &str = ".crossrun-ZZZdE9.tmp";

    /// The names of what is in a folder, in order.
    pub(crate) fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_nobody_holds_is_removed_and_what_is_held_or_not_ours_stays() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let own = start(PREFIX);
        fs::write(at(&format!("{own}B3d.tmp")), "left").unwrap();
        fs::create_dir_all(at(&format!("{own}fol.tmp/made"))).unwrap();
        let link = format!("{own}lin.tmp");
        let others =
            [".crossrun-aB3dE9", ".crossrun-long-name.tmp", link.as_str(), OF_ANOTHER, "a.tmp", "target"];
        for name in others.iter().filter(|name| **name != link) {
            fs::write(at(name), "another's").unwrap();
        }
        symlink(at("target"), at(&link)).unwrap();
        let (file, folder) = (file_in(place.path(), 0o644).unwrap(), folder_in(place.path()).unwrap());
        remove_left(place.path());
        let own = [file.path(), folder.path()].map(|path| path.file_name().unwrap().to_str().unwrap());
        let mut expected = [&others[..], &own].concat();
        expected.sort_unstable();
        assert_eq!(names_in(place.path()), expected);
        drop((file, folder));
        assert_eq!(names_in(place.path()).len(), others.len());
    }

    #[test]
    fn what_another_machine_made_is_removed_when_it_is_old() {
        let place = tempfile::tempdir().unwrap();
        let file = File::create(place.path().join(OF_ANOTHER)).unwrap();
        file.set_modified(SystemTime::now() - OLD / 2).unwrap();
        remove_left(place.path());
        assert_eq!(names_in(place.path()), [OF_ANOTHER]);
        file.set_modified(SystemTime::now() - OLD * 2).unwrap();
        remove_left(place.path());
        assert!(names_in(place.path()).is_empty());
    }

    #[test]
    fn the_letters_are_those_of_the_machine() {
        assert_eq!(letters_of(b"node1").len(), LETTERS);
        let names = ["", "node1", "node2", "localhost", "login.example.org"];
        let distinct: std::collections::BTreeSet<_> = names.map(|name| letters_of(name.as_bytes())).into();
        assert!(
            distinct.len() > 1 && distinct.iter().flat_map(|it| it.chars()).all(|c| c.is_ascii_lowercase())
        );
    }

    #[test]
    fn processes_that_make_files_at_once_do_not_remove_those_of_each_other() {
        let place = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..50 {
                        let file = file_in(place.path(), 0o600).unwrap();
                        let own = format!("{number}-{:?}", std::thread::current().id());
                        file.persist(place.path().join(own)).unwrap();
                    }
                });
            }
        });
        assert_eq!(names_in(place.path()).len(), 200);
    }
}
