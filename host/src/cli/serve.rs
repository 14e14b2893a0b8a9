//! `crossrun serve`: shows the runs of a folder in the browsers of this machine. Nothing is written there, and nothing else is shown: a path
//! of a request is compared with the paths of the runs, and never opened.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::app::graphs::GraphsOfRecords;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem, options, records, reports};
use crate::record::RecordError;
use crate::record::format::{timestamp, to_the_second};
use crate::record::record_files::{self, RecordFiles};
use crate::report::{ListedRun, ReportError, index_html, message_html};
use crate::sandbox::Interrupt;
use crate::serve::{Answer, Server, Status};
use crate::shell;
use crate::text::{plural, single_line};

/// How often the command looks for an interrupt.
const POLL: Duration = Duration::from_millis(100);

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The folder, which is searched for runs with the folders below it.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The port of this machine that the browser opens; 0 for any that is free.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 8350,
        value_parser = options::port,
        allow_negative_numbers = true
    )]
    port: u16,
}

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let site = Site::of(&arguments.folder)?;
    let graphs = GraphsOfRecords::new(global);
    let runs = site.runs()?.0.len();
    let interrupt = Interrupt::install().map_err(|error| Problem::unexpected(&error))?;
    let server = Server::start(arguments.port).map_err(|error| arguments.not_started(&error))?;
    let address = format!("http://{}/", server.address());
    let folder = site.folder.display().to_string();
    let object = || json!({"event": "serving", "address": address, "folder": folder, "runs": runs});
    let text = || {
        let runs = plural(runs as u64, "run");
        single_line(&format!(
            "{runs} of {} at {address} for browsers of this machine; Ctrl-C ends it",
            site.name
        ))
    };
    ui.object_or(object, text)?;
    while !interrupt.is_set() {
        if let Some(request) = server.next(POLL) {
            let answer = site.answer(&request.path, &graphs, ui);
            request.answer(answer);
        }
    }
    Ok(Exit::Interrupted)
}

impl Arguments {
    fn not_started(&self, error: &io::Error) -> Problem {
        let (port, other) = (self.port, shell::about("serve", &self.folder) + " --port 0");
        let problem = |why: &str| Problem::new(Exit::Unexpected, format!("port {port} {why}"));
        match error.kind() {
            ErrorKind::AddrInUse => problem("is in use by another program").with_remedy(other),
            ErrorKind::PermissionDenied => problem("is for the system's own programs").with_remedy(other),
            _ => Problem::unexpected(error),
        }
    }
}

/// What is shown.
struct Site {
    /// The folder without links.
    folder: PathBuf,
    /// As the user named it.
    name: String,
    /// The files that the last search found, so that a page does not search the folder again.
    found: RefCell<Vec<PathBuf>>,
}

/// A run, and the file of its records.
struct Run {
    file: PathBuf,
    listed: ListedRun,
}

impl Site {
    fn of(folder: &Path) -> Result<Self, Problem> {
        let name = folder.display().to_string();
        let cannot = |error: io::Error| {
            if let Err(problem) = records::refuse_single_run("serve", &[folder.to_owned()]) {
                return problem;
            }
            let of_run = records::folder_of_run(folder)
                .map(|run| records::id_of_run(folder).with_remedy(shell::about("serve", &run)));
            of_run.unwrap_or_else(|| {
                Problem::usage(format!("{name}: {error}")).with_remedy(shell::look_beside(folder))
            })
        };
        let folder = folder.canonicalize().map_err(cannot)?;
        if !folder.is_dir() {
            return Err(Problem::usage(format!("{name} is not a folder"))
                .with_remedy("the folder that holds it, or crossrun report for a page of one file"));
        }
        Ok(Self { folder, name, found: RefCell::default() })
    }

    /// The page of a path. What is not a run is not found, whether it is a file or not.
    fn answer(&self, path: &str, graphs: &GraphsOfRecords<'_>, ui: &mut Ui) -> Answer {
        let page = match path {
            "/" => self.index(),
            path => match self.run(path) {
                Ok(Some(run)) => reports::page(&run.file, graphs, ui),
                Ok(None) => return message(Status::NotFound, "Not found", "This folder has no such run."),
                Err(problem) => Err(problem),
            },
        };
        match page {
            Ok(page) => Answer { status: Status::Found, page },
            Err(problem) => message(Status::Failed, "This page cannot be shown", &problem.line()),
        }
    }

    fn index(&self) -> Result<String, Problem> {
        let (mut runs, notes) = self.runs()?;
        runs.sort_by(|one, other| other.listed.changed.cmp(&one.listed.changed));
        let runs: Vec<_> = runs.into_iter().map(|run| run.listed).collect();
        Ok(index_html(&self.name, &runs, &notes)?)
    }

    /// The run with this path: of those that were found before, or else of those that are in the folder now.
    fn run(&self, path: &str) -> Result<Option<Run>, Problem> {
        let known = self.found.borrow().iter().find(|file| self.path(file).as_deref() == Some(path)).cloned();
        match known.and_then(|file| self.listed(file)) {
            Some(run) => Ok(Some(run)),
            None => Ok(self.runs()?.0.into_iter().find(|run| run.listed.path == path)),
        }
    }

    /// Where the server has the page of a file of the folder.
    fn path(&self, file: &Path) -> Option<String> {
        Some(format!("/runs/{}", encoded(file.strip_prefix(&self.folder).ok()?)))
    }

    /// The runs that are in the folder now, and what was not searched.
    fn runs(&self) -> Result<(Vec<Run>, Vec<String>), Problem> {
        if !self.folder.is_dir() {
            return Err(Problem::usage(format!("{} is no folder any more", self.folder.display()))
                .with_remedy("crossrun serve, with the folder that has the runs now"));
        }
        let found =
            record_files::find(&self.folder).map_err(RecordError::input("search", Path::new(&self.name)));
        let RecordFiles { files, unsearched } = found.map_err(Problem::of_record)?;
        let notes = unsearched
            .into_iter()
            .map(|(folder, why)| format!("{} is not searched: {why}", folder.display()));
        self.found.replace(files.clone());
        Ok((files.into_iter().filter_map(|file| self.listed(file)).collect(), notes.collect()))
    }

    /// The run of a file; none if it is a link to what is elsewhere.
    fn listed(&self, file: PathBuf) -> Option<Run> {
        let real = file.canonicalize().ok().filter(|real| real.starts_with(&self.folder))?;
        let metadata = real.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let relative = file.strip_prefix(&self.folder).ok()?;
        // Most runs have a folder of their own.
        let named = relative.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(relative);
        let changed = timestamp(metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH));
        let changed = to_the_second(&changed).replacen('T', " ", 1);
        let listed = ListedRun {
            name: named.display().to_string(),
            path: self.path(&file)?,
            changed,
            bytes: metadata.len(),
        };
        Some(Run { file: real, listed })
    }
}

fn message(status: Status, title: &str, message: &str) -> Answer {
    let page: Result<String, ReportError> = message_html(title, message);
    page.map_or_else(|_| Answer::bare(Status::Failed), |page| Answer { status, page })
}

/// A path as part of an address. What needs no encoding has none: clients may remove it, and the address would be another one.
fn encoded(path: &Path) -> String {
    let byte = |byte: &u8| match byte {
        b'/' | b'-' | b'_' | b'.' | b'~' => char::from(*byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    path.as_os_str().as_encoded_bytes().iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_page_does_not_search_the_folder_again() {
        let place = tempfile::tempdir().unwrap();
        let run = place.path().join("a");
        fs::create_dir(&run).unwrap();
        let (measured, trials) = (run.join("unified_results.jsonl"), run.join("trials.jsonl"));
        fs::write(&measured, "").unwrap();
        let site = Site::of(place.path()).unwrap();
        assert_eq!(site.runs().unwrap().0.len(), 1);
        let is_shown = |path: &str| site.run(path).unwrap().is_some();
        assert!(is_shown("/runs/a/unified_results.jsonl"));
        // A search finds the trials only, which have the measured ones.
        fs::write(&trials, "").unwrap();
        assert!(is_shown("/runs/a/unified_results.jsonl"));
        // What was not found before is searched, also in a folder that came later.
        assert!(is_shown("/runs/a/trials.jsonl"));
        assert!(!is_shown("/runs/a/unified_results.jsonl"));
        fs::create_dir(place.path().join("b")).unwrap();
        fs::write(place.path().join("b/trials.jsonl"), "").unwrap();
        assert!(is_shown("/runs/b/trials.jsonl"));
        // What was found and is no file of the folder any more is not shown.
        fs::remove_file(&trials).unwrap();
        assert!(!is_shown("/runs/a/trials.jsonl"));
        std::os::unix::fs::symlink("/etc/hostname", &trials).unwrap();
        assert!(!is_shown("/runs/a/trials.jsonl"));
    }

    #[test]
    fn a_path_in_an_address_has_no_other_meaning() {
        assert_eq!(
            encoded(Path::new("a~b c/x\"?#<é>/trials.jsonl")),
            "a~b%20c/x%22%3F%23%3C%C3%A9%3E/trials.jsonl"
        );
    }
}
