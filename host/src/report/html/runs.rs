//! The pages of a server that are not of one run: the index of all runs, and what is said in place of a page.

use minijinja::context;

use super::render;
use crate::report::error::ReportError;
use crate::report::labels::one_line;
use crate::report::number;

/// The longest name of a run: its folder.
const MAX_NAME: usize = 300;

/// A run in the index.
#[derive(Clone, Debug)]
pub(crate) struct ListedRun {
    pub(crate) name: String,
    /// Where the server has its page.
    pub(crate) path: String,
    /// When its records changed last, to the second.
    pub(crate) changed: String,
    /// Of its records.
    pub(crate) bytes: u64,
}

/// The index of the runs of a folder, with notes about what is not in it.
pub(crate) fn index_html(folder: &str, runs: &[ListedRun], notes: &[String]) -> Result<String, ReportError> {
    let mut notes: Vec<_> = notes.iter().map(|note| one_line(note, 1000)).collect();
    if runs.is_empty() {
        notes.push("There are no records in this folder, and in no folder below it.".into());
    }
    let run = |run: &ListedRun| {
        context! {
            name => one_line(&run.name, MAX_NAME),
            path => &run.path,
            changed => &run.changed,
            size => number::memory(run.bytes as f64),
        }
    };
    let runs: Vec<_> = runs.iter().map(run).collect();
    render("runs.html", context! { title => format!("Runs in {}", one_line(folder, MAX_NAME)), runs, notes })
}

/// A page that says why there is no other.
pub(crate) fn message_html(title: &str, message: &str) -> Result<String, ReportError> {
    let notes = [one_line(message, 1000)];
    render("runs.html", context! { title, runs => Vec::<()>::new(), notes => notes.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples::HOSTILE;

    #[test]
    fn names_of_folders_are_text() {
        let run = ListedRun {
            name: HOSTILE.into(),
            path: "/runs/a%22b".into(),
            changed: String::new(),
            bytes: 4096,
        };
        let page = index_html(HOSTILE, &[run], &[HOSTILE.into()]).unwrap();
        assert_eq!(page.matches("<script>").count(), 1, "{page}");
        assert!(!page.contains("<img") && page.contains("href=\"/runs/a%22b\"") && page.contains("4.00 KiB"));
        assert!(index_html("results", &[], &[]).unwrap().contains("There are no records in this folder"));
        assert!(message_html("Not found", "no such run").unwrap().contains("no such run"));
    }
}
