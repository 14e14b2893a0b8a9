//! Reads a file of records with damaged lines: it reads the others, and returns which lines it skipped.

use std::fmt;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::RecordError;
use super::chain::{ChainCheck, named};
use super::foreign::{Form, report_of_run};
use super::reader::{Entry, Records, Versioned};
use crate::text::{plural, with_remedy};

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
    /// Counted from 1; none if it is the whole file.
    lines: Vec<u64>,
    /// The error in the first line.
    why: String,
    remedy: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, lines, why, remedy } = self;
        if lines.is_empty() {
            let message = format!("{} cannot be read: {why}", path.display());
            return f.write_str(&with_remedy(&message, Some(remedy)));
        }
        let (count, are) = (plural(lines.len() as u64, "line"), if lines.len() == 1 { "is" } else { "are" });
        let (path, named) = (path.display(), named(lines));
        let message = format!("{path}: {count} cannot be read and {are} left out: {named} ({why})");
        f.write_str(&with_remedy(&message, Some(remedy)))
    }
}

impl Skipped {
    /// Adds a line that cannot be read. Any other error ends the reading.
    fn add(&mut self, error: RecordError) -> Result<(), RecordError> {
        let remedy = match &error {
            RecordError::Line { .. } => "correct or remove what is no record".to_owned(),
            other => other.remedy().unwrap_or_default(),
        };
        let (path, line, why) = match error {
            RecordError::Line { path, line, why } | RecordError::Endless { path, line, why } => {
                (path, line, why)
            }
            RecordError::Later { path, line, version } => {
                (path, line, format!("format {version} is of a later crossrun"))
            }
            other => return Err(other),
        };
        match self.damage.iter_mut().find(|known| known.remedy == remedy) {
            Some(known) => known.lines.push(line),
            None => self.damage.push(Damage { path, lines: vec![line], why, remedy }),
        }
        Ok(())
    }

    /// Says what a file is of which no line could be read, if that is known, in the place of what its lines are not.
    fn explain(&mut self, start: &[u8], path: &Path) {
        let of_run = report_of_run(path).map(|report| ("it is no file of records", report));
        let of_form = || Form::of(start).map(|form| (form.what, form.remedy(path)));
        if let Some((why, remedy)) = of_run.or_else(of_form) {
            self.torn = None;
            self.damage = vec![Damage { path: path.to_owned(), lines: Vec::new(), why: why.into(), remedy }];
        }
    }
}

/// Passes every record and its line to `take`, and skips lines that cannot be read.
pub(crate) fn read_each<T: Versioned, R: BufRead>(
    mut records: Records<T, R>,
    mut take: impl FnMut(u64, T) -> Result<(), RecordError>,
) -> Result<Skipped, RecordError> {
    let (mut skipped, mut read) = (Skipped::default(), 0_u64);
    for entry in records.by_ref() {
        match entry {
            Ok(Entry::Record { line, record }) => {
                read += 1;
                take(line, *record)?;
            }
            Ok(Entry::Torn { line }) => skipped.torn = Some(line),
            Err(error) => skipped.add(error)?,
        }
    }
    if read == 0 {
        // Of what is no file of records, nobody asks whether its lines were edited.
        skipped.explain(records.start(), records.path());
        return Ok(skipped);
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

    #[test]
    fn a_file_in_another_form_is_named_with_a_command_that_reads_it() {
        let utf_16: Vec<u8> = ORIGINAL.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let array = format!("[{}]", ORIGINAL.trim_end());
        let pretty = ORIGINAL.replace("{\"backend\"", "{\n\"backend\"");
        for (content, words) in [
            (
                b"\x1f\x8b\x08\0\0a\nb".as_slice(),
                "compressed with gzip; try: gunzip -c r.jsonl > records.jsonl",
            ),
            (b"\x28\xb5\x2f\xfd\x24", "try: zstd -dc r.jsonl"),
            (&utf_16, "UTF-16 and not UTF-8; try: iconv -f UTF-16LE -t UTF-8 r.jsonl"),
            (&[b"\xff\xfe", utf_16.as_slice()].concat(), "try: iconv -f UTF-16 -t UTF-8 r.jsonl"),
            (array.as_bytes(), "one JSON array and not a record a line; try: jq -c '.[]' r.jsonl"),
            (pretty.as_bytes(), "on several lines each; try: jq -c . r.jsonl"),
        ] {
            let records = Records::<UnifiedRecord, _>::new(content, "r.jsonl".as_ref());
            let skipped = read_each(records, |_, _| Ok(())).unwrap();
            let damage: Vec<_> = skipped.damage.iter().map(Damage::to_string).collect();
            assert!(matches!(&damage[..], [one] if one.contains(words)), "{words}: {damage:?}");
            assert_eq!(skipped.torn, None);
        }
        let records = Records::<UnifiedRecord, _>::new(b"[\xa3\x07\n".as_slice(), "r.jsonl".as_ref());
        let skipped = read_each(records, |_, _| Ok(())).unwrap();
        assert!(!format!("{:?}", skipped.damage).contains("array"), "{:?}", skipped.damage);
        // A line that is no record does not hide those after it.
        let (lines, damage) = read(&format!("[]\n{ORIGINAL}"));
        assert_eq!((lines.as_slice(), damage.len()), ([2].as_slice(), 1));
        assert!(damage[0].contains("correct or remove"), "{damage:?}");
    }
}
