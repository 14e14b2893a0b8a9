//! Reads a file of records with damaged lines: it reads the others, and returns which lines it skipped.

use std::fmt;
use std::io::BufRead;
use std::path::PathBuf;

use serde::de::DeserializeOwned;

use super::RecordError;
use super::chain::{ChainCheck, named};
use super::reader::{Entry, Records};
use crate::text::plural;

/// The lines of a file that were skipped, and its hash chain.
#[derive(Debug, Default)]
pub(crate) struct Skipped {
    /// The last line, if it is torn.
    pub(crate) torn: Option<u64>,
    /// The lines that cannot be read: those that are not records, and those of a later version.
    pub(crate) damage: Vec<Damage>,
    /// The chain through all lines but a torn one.
    pub(crate) chain: ChainCheck,
}

/// Lines that cannot be read for one kind of reason. A report on the file lacks them.
#[derive(Debug)]
pub(crate) struct Damage {
    path: PathBuf,
    /// Counted from 1.
    lines: Vec<u64>,
    /// The error in the first line.
    why: String,
    remedy: &'static str,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, lines, why, remedy } = self;
        let (count, are) = (plural(lines.len() as u64, "line"), if lines.len() == 1 { "is" } else { "are" });
        let (path, named) = (path.display(), named(lines));
        write!(f, "{path}: {count} cannot be read and {are} left out: {named} ({why}); try: {remedy}")
    }
}

impl Skipped {
    fn add(&mut self, path: PathBuf, line: u64, why: String, remedy: &'static str) {
        match self.damage.iter_mut().find(|known| known.remedy == remedy) {
            Some(known) => known.lines.push(line),
            None => self.damage.push(Damage { path, lines: vec![line], why, remedy }),
        }
    }
}

/// Passes every record and its line to `take`, and skips lines that cannot be read.
pub(crate) fn read_each<T: DeserializeOwned, R: BufRead>(
    mut records: Records<T, R>,
    mut take: impl FnMut(u64, T) -> Result<(), RecordError>,
) -> Result<Skipped, RecordError> {
    let mut skipped = Skipped::default();
    for entry in records.by_ref() {
        match entry {
            Ok(Entry::Record { line, record }) => take(line, *record)?,
            Ok(Entry::Torn { line }) => skipped.torn = Some(line),
            Err(RecordError::Line { path, line, why }) => {
                skipped.add(path, line, why, "correct or remove what is no record");
            }
            Err(RecordError::Later { path, line, version }) => {
                skipped.add(
                    path,
                    line,
                    format!("format {version} is of a later crossrun"),
                    "update crossrun",
                );
            }
            Err(error) => return Err(error),
        }
    }
    skipped.chain = records.into_chain();
    Ok(skipped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::UnifiedRecord;

    const ORIGINAL: &str = include_str!("../../../tests/fixtures/original/unified_results.jsonl");

    fn read(content: &str) -> (Vec<u64>, Vec<String>) {
        let mut lines = Vec::new();
        let records = Records::<UnifiedRecord, _>::new(content.as_bytes(), "r.jsonl".as_ref());
        let skipped = read_each(records, |line, _| {
            lines.push(line);
            Ok(())
        });
        (lines, skipped.unwrap().damage.iter().map(Damage::to_string).collect())
    }

    #[test]
    fn many_lines_are_counted_and_those_of_a_later_version_are_listed_apart() {
        let later = ORIGINAL.replace("\"metadata\": {", "\"metadata\": {\"format_version\": 9, ");
        let (lines, damage) = read(&format!("{}{ORIGINAL}{later}[]\n", "{}\n".repeat(12)));
        assert_eq!(lines, [13]);
        let [broken, later] = damage.as_slice() else { panic!("{damage:?}") };
        assert!(
            broken.contains("13 lines") && broken.contains("9, 10 and 3 more (missing field"),
            "{broken}"
        );
        assert!(later.contains("line 14 (format 9") && later.ends_with("update crossrun"), "{later}");
    }
}
