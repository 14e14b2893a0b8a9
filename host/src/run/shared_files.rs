//! Whether files that several backends use change before the first session or in one: those of plugins, and those in the data folder,
//! where engines are installed. A backend could slow another one by them, or change what it does.

use std::cell::LazyCell;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::participants::Participants;
use crate::plugin::inspect::{self, FileVersion};
use crate::regular_file;
use crate::text::plural;
use crate::worker::protocol::Folders;

/// The first look may take so long. A folder that takes longer, as on a slow network, is not looked at.
const FIRST: Duration = Duration::from_secs(1);
/// And a later one, of as many files on a busier machine. A backend that puts so many files there that it takes longer is told of.
const LATER: Duration = Duration::from_secs(10);

/// The folders in which others are installed are less than so far below the data folder, as `environments`: the engine of a backend is
/// installed as `environments/NAME`.
const INSTALLED: usize = 2;

type Files = HashMap<PathBuf, FileVersion>;

/// The files as they were at the last look.
#[derive(Debug, Default)]
pub(crate) struct SharedFiles {
    /// `None` before the first look; nothing inside if looking took too long, after which it is not looked again.
    last: Option<Option<Files>>,
    /// Whether the last look was before any backend was loaded, and so not directly before a session.
    is_early: bool,
}

impl SharedFiles {
    /// The files in the data folder before any backend is loaded: one that is only asked whether it can start may change them too.
    pub(crate) fn before_backends(data_dir: &Path) -> Self {
        let folders = Folders { data_dir: data_dir.to_owned(), log_dir: data_dir.join("logs") };
        let looked = files_of(&folders, FIRST);
        // What took too long may be faster when backends have read it.
        Self { is_early: looked.is_some(), last: looked.map(Some) }
    }

    /// Looks at the files before the first session. A warning if they have changed since a look before backends were loaded.
    pub(super) fn look_once(&mut self, folders: &Folders, participants: &Participants) -> Option<String> {
        if self.is_early {
            return self.changed(folders, participants);
        }
        self.last.get_or_insert_with(|| look(folders, participants, FIRST));
        None
    }

    /// A warning if files have changed since the last look, which this one replaces.
    pub(super) fn changed(&mut self, folders: &Folders, participants: &Participants) -> Option<String> {
        self.changed_to(|| look(folders, participants, LATER), &folders.data_dir)
    }

    fn changed_to(&mut self, look: impl FnOnce() -> Option<Files>, data_dir: &Path) -> Option<String> {
        let is_early = std::mem::take(&mut self.is_early);
        let before = self.last.as_mut()?.take()?;
        let Some(now) = look() else {
            return Some(format!(
                "whether files that other backends may use have changed is not known: looking at them took more than {} s",
                LATER.as_secs()
            ));
        };
        let warning = changes(&before, &now, is_early, data_dir);
        self.last = Some(Some(now));
        warning
    }
}

fn changes(before: &Files, now: &Files, is_early: bool, data_dir: &Path) -> Option<String> {
    // There are a hundred thousand files, and mostly none is new.
    let folders: LazyCell<HashSet<&Path>, _> =
        LazyCell::new(|| before.keys().flat_map(|path| path.ancestors().skip(1)).collect());
    let is_changed = |(path, version): &(&PathBuf, &FileVersion)| match before.get(*path) {
        Some(before) => before != *version,
        // An early look has no folders of plugins. In a later one a library that is new beside a plugin may be one that it loads.
        None if !path.starts_with(data_dir) => {
            !is_early && path.parent().is_some_and(|folder| folders.contains(folder))
        }
        None => !is_installed(path, &folders, data_dir),
    };
    let new_or_other = now.iter().filter(is_changed).map(|(path, _)| path);
    let gone = before.keys().filter(|path| !now.contains_key(*path));
    let changed: Vec<_> = new_or_other.chain(gone).collect();
    let first = changed.iter().min()?;
    let when = if is_early { "before the first session" } else { "in this session" };
    Some(format!(
        "{} that other backends may use changed {when}, such as {}",
        plural(changed.len() as u64, "file"),
        first.strip_prefix(data_dir).unwrap_or(first.as_path()).display()
    ))
}

/// Whether a new file is part of what was installed meanwhile, as the driver of a backend in Python is before its first run, or an
/// engine by another program. What is there is complete: a file that is new in it, and compiled code too, is one that Python may import
/// in the place of another, and an environment beside that of an engine is one that may be taken in its place.
fn is_installed(path: &Path, known: &HashSet<&Path>, data_dir: &Path) -> bool {
    let nearest = path.ancestors().skip(1).find(|folder| known.contains(folder)).unwrap_or(data_dir);
    nearest.strip_prefix(data_dir).map_or(0, |below| below.components().count()) < INSTALLED
}

fn look(folders: &Folders, participants: &Participants, limit: Duration) -> Option<Files> {
    let mut files = files_of(folders, limit)?;
    let backends = participants.backends.values().map(|participant| &participant.plugin);
    for plugin in backends.chain(participants.libraries.values()) {
        let file = regular_file::open(&plugin.path, File::options().read(true));
        if file.is_ok_and(inspect::asks_for_its_folder) {
            libraries_beside(&plugin.path).for_each(|path| add(&mut files, path));
        }
        add(&mut files, plugin.path.clone());
    }
    Some(files)
}

/// The shared libraries in the folder of a plugin, where it may find its engine.
fn libraries_beside(plugin: &Path) -> impl Iterator<Item = PathBuf> {
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".so") || name.contains(".so.")
    };
    plugin.parent().into_iter().flat_map(entries).filter(is_library)
}

/// A file that has gone meanwhile is not there.
fn add(files: &mut Files, path: PathBuf) {
    if let Ok(status) = fs::symlink_metadata(&path) {
        files.insert(path, FileVersion::of(&status));
    }
}

/// The files in the folders of the data folder without logs, unless looking takes longer than `limit`. Files directly in it are this
/// program's own, which other runs of it write.
fn files_of(Folders { data_dir, log_dir }: &Folders, limit: Duration) -> Option<Files> {
    let (started, mut files) = (Instant::now(), HashMap::new());
    // Its user may have put one of them elsewhere by a link.
    let mut unseen: Vec<_> = entries(data_dir).filter(|path| path.is_dir()).collect();
    unseen.retain(|folder| !log_dir.starts_with(folder));
    while let Some(folder) = unseen.pop() {
        if started.elapsed() > limit {
            return None;
        }
        for path in entries(&folder) {
            if is_folder(&path) {
                unseen.push(path);
            } else {
                add(&mut files, path);
            }
        }
    }
    Some(files)
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|status| status.is_dir())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    /// A data folder, with the folder that it is in: it has the logs of a run, and a file of an engine in the last folder.
    fn with_an_engine() -> (tempfile::TempDir, Folders, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let data_dir = place.path().join("data");
        let folders = Folders { log_dir: data_dir.join("logs/one"), data_dir };
        let engine = folders.data_dir.join("environments/engine/hash");
        for folder in [&engine, &folders.log_dir] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(engine.join("a.py"), "a").unwrap();
        (place, folders, engine)
    }

    #[test]
    fn a_file_that_is_new_changed_or_gone_is_named_once_and_those_of_this_program_are_not() {
        let (_place, folders, engine) = with_an_engine();
        let Folders { data_dir, log_dir: logs } = folders.clone();
        let (driver, other) =
            (data_dir.join("python_engine/hash"), data_dir.join("environments/other/hash/lib"));
        let mut shared = SharedFiles { last: Some(files_of(&folders, LATER)), is_early: false };
        let mut changed = || shared.changed_to(|| files_of(&folders, LATER), &data_dir);
        fs::write(logs.join("backend.log"), "said").unwrap();
        fs::write(data_dir.join("history.jsonl"), "{}").unwrap();
        // What is installed by the first run of a backend in Python, and by a set-up.
        for folder in [&driver, &other] {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join("main.py"), "").unwrap();
        }
        assert_eq!(changed(), None);
        let mut expect = |said: &str| {
            let first = changed().unwrap();
            assert!(first.starts_with(said), "{first}");
            assert_eq!(changed(), None);
        };
        let words = "that other backends may use changed in this session, such as environments/engine/hash";
        fs::write(engine.join("b.pth"), "import time").unwrap();
        expect(&format!("1 file {words}/b.pth"));
        // A time of modification can be set to what it was.
        let modified = fs::metadata(engine.join("a.py")).unwrap().modified().unwrap();
        let changed_at = || {
            let status = fs::metadata(engine.join("a.py")).unwrap();
            (status.ctime(), status.ctime_nsec())
        };
        let before = changed_at();
        // The system's clock of files has ticks.
        while changed_at() == before {
            fs::write(engine.join("a.py"), "b").unwrap();
            let file = File::options().write(true).open(engine.join("a.py")).unwrap();
            file.set_modified(modified).unwrap();
        }
        expect(&format!("1 file {words}/a.py"));
        fs::remove_dir_all(&engine).unwrap();
        expect("2 files that");
        // Python would import each in the place of its own, or be another one.
        let beside = data_dir.join("environments/other/beside/bin");
        for (folder, name) in
            [(&driver, "json.py"), (&driver.join("__pycache__"), "main.pyc"), (&beside, "python")]
        {
            fs::create_dir_all(folder).unwrap();
            let file = folder.join(name);
            fs::write(&file, "").unwrap();
            let said = changed().unwrap();
            let file = file.strip_prefix(&data_dir).unwrap().display().to_string();
            assert!(said.starts_with("1 file") && said.ends_with(&file), "{said}");
        }
    }

    #[test]
    fn files_that_take_too_long_to_look_at_are_told_of_once() {
        let place = tempfile::tempdir().unwrap();
        let mut shared = SharedFiles { last: Some(Some(Files::new())), is_early: false };
        let said = shared.changed_to(|| None, place.path()).unwrap();
        assert!(said.contains("looking at them took more than 10 s"), "{said}");
        assert_eq!(shared.changed_to(|| panic!("it is not looked again"), place.path()), None);
        let folders = Folders { log_dir: place.path().join("logs"), data_dir: place.path().into() };
        fs::create_dir(place.path().join("environments")).unwrap();
        assert_eq!(files_of(&folders, Duration::ZERO), None);
    }

    #[test]
    fn what_changes_between_a_look_before_backends_and_the_first_session_is_told_once() {
        let (_place, folders, engine) = with_an_engine();
        let mut shared = SharedFiles::before_backends(&folders.data_dir);
        fs::write(engine.join("b.py"), "b").unwrap();
        fs::write(folders.log_dir.join("backend.log"), "said").unwrap();
        let mut look = || shared.look_once(&folders, &Participants::default());
        let said = look().unwrap();
        assert!(said.contains("changed before the first session") && said.ends_with("b.py"), "{said}");
        assert_eq!(look(), None);
        fs::remove_file(engine.join("b.py")).unwrap();
        let said = shared.changed(&folders, &Participants::default()).unwrap();
        assert!(said.contains("changed in this session"), "{said}");
    }

    #[test]
    fn shared_libraries_beside_a_plugin_are_those_with_such_a_name() {
        let place = tempfile::tempdir().unwrap();
        for name in ["libplugin.so", "libengine.so", "libengine.so.2", "engine.sock", "notes.txt"] {
            fs::write(place.path().join(name), "").unwrap();
        }
        let plugin = place.path().join("libplugin.so");
        let found = libraries_beside(&plugin);
        let mut names: Vec<_> =
            found.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect();
        names.sort_unstable();
        assert_eq!(names, ["libengine.so", "libengine.so.2", "libplugin.so"]);
    }

    #[test]
    fn a_library_that_is_new_beside_a_plugin_is_told_of_a_session_and_not_of_the_time_before_the_first() {
        let (place, folders, _) = with_an_engine();
        let mut shared = SharedFiles { last: Some(files_of(&folders, LATER)), is_early: true };
        // The first look has no plugins, although their folder is above files that it has.
        let plugin = place.path().join("libplugin.so");
        fs::write(&plugin, "").unwrap();
        let mut changed = || {
            let look = || {
                let mut files = files_of(&folders, LATER)?;
                libraries_beside(&plugin).for_each(|path| add(&mut files, path));
                Some(files)
            };
            shared.changed_to(look, &folders.data_dir)
        };
        assert_eq!(changed(), None);
        fs::write(place.path().join("libengine.so"), "").unwrap();
        let said = changed().unwrap();
        assert!(said.starts_with("1 file that") && said.ends_with("/libengine.so"), "{said}");
        assert_eq!(changed(), None);
    }

    #[test]
    fn without_a_first_look_nothing_has_changed() {
        let data_dir = PathBuf::from("/nonexistent/data");
        let folders = Folders { log_dir: data_dir.join("logs"), data_dir: data_dir.clone() };
        let mut shared = SharedFiles::default();
        assert_eq!(shared.changed_to(|| files_of(&folders, LATER), &data_dir), None);
        assert_eq!(shared.changed_to(|| files_of(&folders, LATER), &data_dir), None);
    }
}
