//! Finds the files of records: a file itself, those of a folder, and those of the folders below it, as the scripts of the
//! original project do.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::reader::{holds_blocks, holds_records};
use super::writer::{PLAN, TABLE, TRIALS, UNIFIED};
use crate::regular_file;
use crate::text::without_mark;

/// How many levels below a folder are searched. The original project's files are five levels below `artifacts`.
const DEPTH: usize = 12;

#[derive(Debug, Default)]
pub(crate) struct RecordFiles {
    /// The files of the folder itself first, then those below it, sorted.
    pub(crate) files: Vec<PathBuf>,
    /// Folders that were not searched, and why.
    pub(crate) unsearched: Vec<(PathBuf, String)>,
}

/// The files of records of a path: a file itself; of a folder its file of trials, else of measured trials, else every `.jsonl` file in it;
/// of each folder below it the file of trials, else of measured trials. Links to folders are not followed.
pub(crate) fn find(path: &Path) -> io::Result<RecordFiles> {
    let mut found = RecordFiles::default();
    if !path.is_dir() {
        found.files.push(path.to_owned());
        return Ok(found);
    }
    let top = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    note_links(path, &top, &mut found);
    for folder in folders(path)? {
        search(&folder, &top, DEPTH, &mut found);
    }
    found.files.sort();
    let own = records(path).map_or_else(|| lines_of_json(path), |file| Ok(vec![file]))?;
    found.files.splice(0..0, own);
    Ok(found)
}

/// Whether the file is one of those that a run writes for itself, in a folder that holds a run.
pub(crate) fn is_of_a_run(file: &Path) -> bool {
    let named = |names: &[&str]| names.iter().any(|name| file.file_name() == Some(name.as_ref()));
    let Some(folder) = file.parent().filter(|_| file.is_file() && named(&[PLAN, TRIALS, UNIFIED, TABLE]))
    else {
        return false;
    };
    [TRIALS, UNIFIED].iter().any(|name| holds_records(&folder.join(name))) || holds_plan(&folder.join(PLAN))
}

/// Whether trials are recorded in the folder. A run that ended before its first one has left an empty file. The measured trials of a
/// comparison or a sweep may be left in their other file alone, which the original project has too.
pub(crate) fn holds_trials(folder: &Path) -> bool {
    let has_own = folder.join(TRIALS).metadata().is_ok_and(|trials| !trials.is_file() || trials.len() > 0);
    has_own || holds_blocks(&folder.join(UNIFIED))
}

/// Whether the file is the plan of a comparison.
fn holds_plan(file: &Path) -> bool {
    let plan = regular_file::read(file)
        .ok()
        .and_then(|text| serde_json::from_slice::<Map<String, Value>>(without_mark(&text)).ok());
    plan.is_some_and(|plan| plan.contains_key("plan_hash"))
}

fn search(folder: &Path, top: &Path, depth: usize, found: &mut RecordFiles) {
    if depth == 0 {
        found.unsearched.push((folder.to_owned(), format!("it is more than {DEPTH} folders below")));
        return;
    }
    found.files.extend(records(folder));
    note_links(folder, top, found);
    match folders(folder) {
        Ok(folders) => folders.iter().for_each(|folder| search(folder, top, depth - 1, found)),
        Err(error) => found.unsearched.push((folder.to_owned(), error.to_string())),
    }
}

/// Notes the links in a folder that lead to runs outside of `top`: a reader would miss them.
fn note_links(folder: &Path, top: &Path, found: &mut RecordFiles) {
    let has_runs = |folder: &Path| {
        let is_run = |folder: &PathBuf| records(folder).is_some();
        records(folder).is_some() || folders(folder).is_ok_and(|below| below.iter().any(is_run))
    };
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let leads_out = || path.canonicalize().is_ok_and(|real| !real.starts_with(top));
        if path.is_symlink() && leads_out() && has_runs(&path) {
            let why = "it is a link to a folder, which is searched if it is named itself";
            found.unsearched.push((path, why.to_owned()));
        }
    }
}

/// One file only: the measured trials are among the trials, and none may be read twice. Who reads the trials looks what is beside them.
fn records(folder: &Path) -> Option<PathBuf> {
    let files = [TRIALS, UNIFIED].map(|name| folder.join(name)).into_iter().filter(|file| file.is_file());
    let files: Vec<_> = files.collect();
    // A run that was interrupted before its first trial has left a file without any.
    let has_content = |file: &&PathBuf| file.metadata().is_ok_and(|status| status.len() > 0);
    files.iter().find(has_content).or(files.first()).cloned()
}

fn lines_of_json(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<_> = fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    // A pipe that nobody writes to would be waited for. One that is named itself is read.
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl") && file.is_file());
    files.sort();
    Ok(files)
}

fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.flatten();
    // The type of a link, not of its target.
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(folders.map(|entry| entry.path()).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn found(folder: &Path) -> Vec<String> {
        let found = find(folder).unwrap();
        let relative = |file: &PathBuf| file.strip_prefix(folder).unwrap().display().to_string();
        found.files.iter().map(relative).collect()
    }

    fn make(folder: &Path, files: &[&str]) {
        for file in files {
            fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
            fs::write(folder.join(file), "").unwrap();
        }
    }

    #[test]
    fn one_file_of_each_folder_is_found_in_order() {
        let place = tempfile::tempdir().unwrap();
        make(
            place.path(),
            &["b/unified_results.jsonl", "b/trials.jsonl", "a/z/unified_results.jsonl", "a/other.jsonl"],
        );
        assert_eq!(found(place.path()), ["a/z/unified_results.jsonl", "b/trials.jsonl"]);
        make(place.path(), &["y.jsonl", "x.jsonl"]);
        assert_eq!(
            found(place.path()),
            ["x.jsonl", "y.jsonl", "a/z/unified_results.jsonl", "b/trials.jsonl"]
        );
        make(place.path(), &["unified_results.jsonl"]);
        assert_eq!(found(place.path())[0], "unified_results.jsonl");
        assert_eq!(found(place.path()).len(), 3);
    }

    #[test]
    fn an_empty_file_holds_no_trials() {
        let place = tempfile::tempdir().unwrap();
        assert!(!holds_trials(place.path()));
        fs::write(place.path().join(TRIALS), "").unwrap();
        assert!(!holds_trials(place.path()));
        fs::write(place.path().join(TRIALS), "{").unwrap();
        assert!(holds_trials(place.path()));
        // What is no file is not known to be empty.
        fs::remove_file(place.path().join(TRIALS)).unwrap();
        fs::create_dir(place.path().join(TRIALS)).unwrap();
        assert!(holds_trials(place.path()));
    }

    #[test]
    fn links_are_not_followed_and_a_folder_that_is_too_deep_is_reported() {
        let place = tempfile::tempdir().unwrap();
        let deep = format!("{}trials.jsonl", "d/".repeat(DEPTH));
        make(place.path(), &[&deep]);
        symlink(place.path(), place.path().join("d/again")).unwrap();
        assert_eq!(found(place.path()), [deep]);
        make(place.path(), &[&format!("{}trials.jsonl", "d/".repeat(DEPTH + 1))]);
        let found = find(place.path()).unwrap();
        assert_eq!((found.files.len(), found.unsearched.len()), (1, 1));
        // One that leads to runs elsewhere is told, and one that leads to none is not.
        let (elsewhere, none) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        make(elsewhere.path(), &["run/trials.jsonl"]);
        symlink(elsewhere.path(), place.path().join("runs")).unwrap();
        symlink(elsewhere.path().join("run"), place.path().join("d/run")).unwrap();
        symlink(none.path(), place.path().join("none")).unwrap();
        let mut links: Vec<_> = super::find(place.path()).unwrap().unsearched;
        links.retain(|(_, why)| why.starts_with("it is a link"));
        let links: Vec<_> = links.into_iter().map(|(link, _)| link).collect();
        assert_eq!(links, [place.path().join("runs"), place.path().join("d/run")]);
    }
}
