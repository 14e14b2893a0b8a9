//! What a run wrote to a file of records, kept in memory: a plugin runs as the user, and can edit the file while the run goes on.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::chain::{self, Link};

/// How many bytes are compared at a time.
const CHUNK: usize = 1 << 16;

/// What a file must hold at the end of the run.
#[derive(Debug)]
pub(super) enum Written {
    /// No other process writes to the file: all that it must hold, with what was there before the run.
    All { content: Vec<u8>, last: Link },
    /// Other processes write to it too: the lines of this run.
    Own(Vec<OwnLine>),
}

/// A line of this run, with its line feed.
#[derive(Debug)]
pub(super) struct OwnLine {
    /// Where it was written.
    offset: u64,
    /// The link of the line before it.
    before: Link,
    line: Vec<u8>,
}

impl Written {
    /// For a file that holds `content` and to which no other process writes.
    pub(super) fn all(content: Vec<u8>) -> Self {
        Self::All { last: Link::of_last(&content), content }
    }

    /// The link to which the next line refers; `None` if only the file has it.
    pub(super) fn last(&self) -> Option<Link> {
        match self {
            Self::All { last, .. } => Some(last.clone()),
            Self::Own(_) => None,
        }
    }

    /// Notes a line, with its line feed, that was written at `offset` after the line of `before`.
    pub(super) fn note(&mut self, offset: u64, before: Link, line: Vec<u8>) {
        match self {
            Self::All { content, last } => {
                *last = Link::of_last(&line);
                content.extend(line);
            }
            Self::Own(lines) => lines.push(OwnLine { offset, before, line }),
        }
    }

    /// Whether the file still has what was written, where it was written.
    pub(super) fn is_kept(&self, file: &File) -> io::Result<bool> {
        match self {
            Self::All { content, .. } => {
                Ok(file.metadata()?.len() == content.len() as u64 && holds(file, 0, content)?)
            }
            Self::Own(own) => {
                own.iter().try_fold(true, |kept, own| Ok(kept && holds(file, own.offset, &own.line)?))
            }
        }
    }

    /// What a file with another `content` must hold instead; `None` if nothing in it must change. Lines of other processes stay
    /// if they are before those of this run, or follow the chain.
    pub(super) fn corrected(&self, content: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::All { content: right, .. } => (content != *right).then(|| right.clone()),
            Self::Own(own) => (!in_order(own, &content)).then(|| restored(own, &content)),
        }
    }
}

/// Whether the file has these bytes at `offset`.
fn holds(file: &File, mut offset: u64, bytes: &[u8]) -> io::Result<bool> {
    let mut buffer = [0; CHUNK];
    for part in bytes.chunks(CHUNK) {
        let buffer = &mut buffer[..part.len()];
        match file.read_exact_at(buffer, offset) {
            Ok(()) if buffer == part => offset += part.len() as u64,
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Whether all lines of this run are in `content`, one after the other.
fn in_order(own: &[OwnLine], content: &[u8]) -> bool {
    let mut lines = content.split_inclusive(|byte| *byte == b'\n');
    own.iter().all(|own| lines.any(|line| line == own.line))
}

/// The lines of this run, after those that were there before, and among those that others appended.
fn restored(own: &[OwnLine], content: &[u8]) -> Vec<u8> {
    let lines: Vec<_> = chain::lines(content).collect();
    let before = own.first().map(|own| own.before.clone()).unwrap_or_default();
    let start = match lines.iter().rposition(|line| Link::of(line) == before) {
        Some(last) => last + 1,
        None if before == Link::default() => 0,
        None => held(&lines),
    };
    let mut right: Vec<u8> =
        lines[..start].iter().flat_map(|line| [line, b"\n".as_slice()].concat()).collect();
    let mut last = Link::of_last(&right);
    let mut others = lines[start..].iter();
    for own in own {
        while last != own.before {
            let Some(line) = others.find(|line| last.leads_to(line)) else { break };
            append(&mut right, &mut last, line);
        }
        append(&mut right, &mut last, own.line.strip_suffix(b"\n").unwrap_or(&own.line));
    }
    for line in others {
        if last.leads_to(line) {
            append(&mut right, &mut last, line);
        }
    }
    right
}

fn append(content: &mut Vec<u8>, last: &mut Link, line: &[u8]) {
    content.extend(line);
    content.push(b'\n');
    *last = Link::of(line);
}

/// How many lines from the first one on follow the chain.
fn held(lines: &[&[u8]]) -> usize {
    let mut last = Link::default();
    let holds = |line: &&&[u8]| {
        let holds = last.leads_to(line);
        last = Link::of(line);
        holds
    };
    lines.iter().take_while(holds).count()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::chain::Braces;
    use super::*;

    /// A chain of lines with these names.
    fn chain_of(names: &[&str]) -> Vec<Vec<u8>> {
        let mut last = Link::default();
        let line = |name: &&str| {
            let line = last.line_after(format!("{{\"name\":\"{name}\"}}").as_bytes(), Braces::One);
            last = Link::of_last(&line);
            line
        };
        names.iter().map(line).collect()
    }

    /// The lines of a file, of which those with a name in upper case are of this run.
    fn own(lines: &[Vec<u8>]) -> Written {
        let (mut written, mut offset, mut last) = (Written::Own(Vec::new()), 0, Link::default());
        for line in lines {
            if line.iter().take(10).any(u8::is_ascii_uppercase) {
                written.note(offset, last.clone(), line.clone());
            }
            offset += line.len() as u64;
            last = Link::of_last(line);
        }
        written
    }

    fn is_kept(written: &Written, content: &[u8]) -> bool {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        written.is_kept(&file).unwrap()
    }

    #[test]
    fn the_lines_of_others_stay_and_those_of_this_run_come_back() {
        let whole = chain_of(&["a", "b", "C", "d", "E", "F", "g"]);
        let written = own(&whole);
        assert!(is_kept(&written, &whole.concat()));
        let without = |gone: &[usize]| {
            let kept = whole.iter().enumerate().filter(|(number, _)| !gone.contains(number));
            kept.flat_map(|(_, line)| line.clone()).collect::<Vec<_>>()
        };
        for gone in [&[2][..], &[4], &[2, 4, 5]] {
            assert!(!is_kept(&written, &without(gone)));
            assert_eq!(written.corrected(without(gone)).unwrap(), whole.concat(), "{gone:?}");
        }
        let mut edited = whole.clone();
        edited[4][5] ^= 1;
        assert_eq!(written.corrected(edited.concat()).unwrap(), whole.concat());
        let mut moved = whole.clone();
        moved.swap(2, 4);
        assert_eq!(written.corrected(moved.concat()).unwrap(), whole.concat());
        // Of an empty file only the lines of this run come back.
        assert_eq!(written.corrected(Vec::new()).unwrap(), [&whole[2..3], &whole[4..6]].concat().concat());
    }

    #[test]
    fn a_file_that_another_process_corrected_is_left_alone() {
        let whole = chain_of(&["a", "B", "c"]);
        let written = own(&whole);
        let shorter = whole[1..].concat();
        assert!(!is_kept(&written, &shorter));
        assert_eq!(written.corrected(shorter), None);
    }

    #[test]
    fn lines_that_were_there_before_stay_as_long_as_the_chain_holds() {
        let whole = chain_of(&["a", "b", "c", "D"]);
        let written = own(&whole);
        let mut edited = whole.clone();
        edited[1][10] ^= 1;
        edited[2].truncate(20);
        edited[2].push(b'\n');
        edited.truncate(3);
        assert_eq!(written.corrected(edited.concat()).unwrap(), [&whole[..1], &whole[3..]].concat().concat());
    }

    #[test]
    fn a_file_of_one_run_is_what_the_run_wrote_and_nothing_else() {
        let whole = chain_of(&["a", "b", "c"]);
        let mut written = Written::all(whole[0].clone());
        for line in &whole[1..] {
            let before = written.last().unwrap();
            written.note(0, before, line.clone());
        }
        let whole = whole.concat();
        assert!(is_kept(&written, &whole));
        let forged = Link::of_last(&whole).line_after(b"{}", Braces::One);
        for other in [&whole[1..], &whole[..whole.len() - 1], b"", &[whole.as_slice(), &forged].concat()] {
            assert!(!is_kept(&written, other));
            assert_eq!(written.corrected(other.to_vec()), Some(whole.clone()));
        }
    }
}
