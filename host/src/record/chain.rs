//! The hash chain of a file of records. Each line carries a hash of its content and of the hash before it, which shows if a line was
//! edited, removed, moved or inserted. `docs/record-format.md` has the recipe.

use std::fmt;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::text::{listed, plural};

/// What a line has before its hash, as the last key of an object.
const KEY: &[u8] = b",\"chain\":\"";
/// The hexadecimal digits of a hash.
const DIGITS: usize = 64;

/// The hash to which the next line refers; empty before the first line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Link(String);

impl Link {
    /// The link of a line without its line feed: the hash that it carries; of a line that carries none, the SHA-256 of its bytes.
    pub(super) fn of(line: &[u8]) -> Self {
        match Chained::parse(line) {
            Some(chained) => Self(chained.hash.into()),
            None => Self(hex::encode(Sha256::digest(line))),
        }
    }

    /// The link of the last line of `content`, whose lines all end in a line feed.
    pub(super) fn of_last(content: &[u8]) -> Self {
        lines(content).last().map(Self::of).unwrap_or_default()
    }

    /// The line of an object in JSON that ends in `braces` closing braces, with its hash as the last key of the innermost object
    /// that they close, and with a line feed.
    pub(super) fn line_after(&self, object: &[u8], braces: Braces) -> Vec<u8> {
        let (head, tail) = object.split_at(object.len().saturating_sub(braces as usize));
        let hash = self.hash(head, tail);
        [head, KEY, hash.as_bytes(), b"\"", tail, b"\n"].concat()
    }

    /// Whether `line` carries the hash of a line that comes after this one.
    pub(super) fn leads_to(&self, line: &[u8]) -> bool {
        Chained::parse(line).is_some_and(|chained| chained.hash == self.hash(chained.head, chained.tail))
    }

    fn hash(&self, head: &[u8], tail: &[u8]) -> String {
        let hash = Sha256::new().chain_update(&self.0).chain_update(head).chain_update(tail);
        hex::encode(hash.finalize())
    }
}

/// How many braces of a line close after its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Braces {
    /// The hash is a key of the whole object.
    One = 1,
    /// The hash is a key of the last object in it.
    Two = 2,
}

/// The lines of a file, without their line feeds.
pub(super) fn lines(content: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    content.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

/// A line with a hash; `head` and `tail` are its content.
struct Chained<'a> {
    head: &'a [u8],
    hash: &'a str,
    tail: &'a [u8],
}

impl<'a> Chained<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let braces = line.iter().rev().take_while(|byte| **byte == b'}').count();
        let (rest, tail) = line.split_at(line.len() - braces);
        let rest = rest.strip_suffix(b"\"")?;
        let (rest, hash) = rest.split_at(rest.len().checked_sub(DIGITS)?);
        let head = rest.strip_suffix(KEY)?;
        let hash = std::str::from_utf8(hash).ok()?;
        let is_hash = hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (is_hash && (1..=2).contains(&braces)).then_some(Self { head, hash, tail })
    }
}

/// Follows the chain of a file, line by line.
#[derive(Debug, Default)]
pub(crate) struct ChainCheck {
    last: Link,
    /// The line before, if it carries no hash: its own is computed where a line refers to it, which is seldom.
    unhashed: Option<Vec<u8>>,
    lines: u64,
    /// Whether a line before carries a hash.
    chained: bool,
    breaks: Vec<u64>,
}

impl ChainCheck {
    /// Takes the next line, without its line feed.
    pub(super) fn take(&mut self, line: &[u8]) {
        self.lines += 1;
        // Another program may have written the key in another way: that is no file from before there were chains.
        let has_key = || line.windows(7).any(|key| key == b"\"chain\"");
        let chained = Chained::parse(line);
        let carries_hash = chained.is_some() || has_key();
        if (carries_hash || self.chained) && (chained.is_none() || !self.before().leads_to(line)) {
            self.breaks.push(self.lines);
        }
        self.chained |= carries_hash;
        self.unhashed = chained.is_none().then(|| line.to_vec());
        if let Some(chained) = chained {
            self.last = Link(chained.hash.into());
        }
    }

    /// The link of the line before.
    fn before(&mut self) -> &Link {
        if let Some(line) = self.unhashed.take() {
            self.last = Link::of(&line);
        }
        &self.last
    }

    /// Whether there are lines, and none carries a hash: they were written before there were chains, or by the original project.
    pub(crate) fn is_absent(&self) -> bool {
        self.lines > 0 && !self.chained
    }

    /// Where the chain of the file at `path` is broken, if it is.
    pub(crate) fn broken(&self, path: &Path) -> Option<BrokenChain<'_>> {
        (!self.breaks.is_empty())
            .then(|| BrokenChain { path: path.display().to_string(), lines: &self.breaks })
    }
}

/// `line 3, 5`, and how many more there are beyond the first few.
pub(super) fn named(lines: &[u64]) -> String {
    format!("line {}", listed(lines.iter()))
}

/// The lines, counted from 1, that do not follow the line before them.
#[derive(Debug)]
pub(crate) struct BrokenChain<'a> {
    path: String,
    lines: &'a [u64],
}

impl fmt::Display for BrokenChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, lines } = self;
        let (places, named) = (plural(lines.len() as u64, "line"), named(lines));
        write!(f, "{path}: the hash chain is broken at {places}: {named}")?;
        write!(f, "; the file was edited, filtered or put together from others after it was written")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// A file of lines of either kind.
    fn file(sizes: &[usize], braces: Braces) -> Vec<Vec<u8>> {
        let mut last = Link::default();
        let lines = sizes.iter().enumerate().map(|(number, size)| {
            let object = json!({"line": number, "metadata": {"padding": "x".repeat(*size)}}).to_string();
            let line = last.line_after(object.as_bytes(), braces);
            last = Link::of(line.strip_suffix(b"\n").unwrap());
            line
        });
        lines.collect()
    }

    fn checked(content: &[u8]) -> ChainCheck {
        let mut check = ChainCheck::default();
        lines(content).for_each(|line| check.take(line));
        check
    }

    fn breaks(content: &[u8]) -> Vec<u64> {
        checked(content).breaks
    }

    #[test]
    fn the_hash_is_the_last_key_and_is_what_the_recipe_says() {
        let object = br#"{"a":1,"metadata":{"b":2}}"#;
        for (braces, key) in [(Braces::One, "/chain"), (Braces::Two, "/metadata/chain")] {
            let line = Link::default().line_after(object, braces);
            let read: Value = serde_json::from_slice(&line).unwrap();
            assert_eq!(read.pointer(key).unwrap(), &hex::encode(Sha256::digest(object)), "{read}");
            let next = Link::of(line.strip_suffix(b"\n").unwrap()).line_after(object, braces);
            let before = read.pointer(key).unwrap().as_str().unwrap();
            let read: Value = serde_json::from_slice(&next).unwrap();
            let hash = Sha256::new().chain_update(before).chain_update(object);
            assert_eq!(read.pointer(key).unwrap(), &hex::encode(hash.finalize()));
        }
    }

    #[test]
    fn a_chain_goes_on_after_lines_that_carry_no_hash() {
        let old = b"{\"old\":1}\n{\"old\":2}\n";
        assert!(checked(old).is_absent() && breaks(old).is_empty() && !checked(b"").is_absent());
        let next = Link::of_last(old).line_after(b"{\"new\":{}}", Braces::One);
        let whole = [old, next.as_slice()].concat();
        assert!(breaks(&whole).is_empty() && !checked(&whole).is_absent());
        // The last of the old lines is bound, and no other can come after a line with a hash.
        assert_eq!(breaks(String::from_utf8(whole.clone()).unwrap().replacen(":2", ":3", 1).as_bytes()), [3]);
        assert_eq!(breaks(&[whole.as_slice(), old].concat()), [4, 5]);
    }

    #[test]
    fn files_put_together_break_once_and_another_programs_json_is_no_old_file() {
        let (one, other) = (file(&[1, 2, 3], Braces::One).concat(), file(&[4, 5], Braces::One).concat());
        let both = [one.as_slice(), &other].concat();
        let check = checked(&both);
        let message = check.broken("a/b.jsonl".as_ref()).unwrap().to_string();
        assert!(message.starts_with("a/b.jsonl: ") && message.contains("at 1 line: line 4;"), "{message}");
        let spaced = String::from_utf8(one).unwrap().replace("\",\"chain\":\"", "\", \"chain\": \"");
        let spaced = spaced.replace(",\"chain\":", ", \"chain\": ");
        assert_eq!(breaks(spaced.as_bytes()), [1, 2, 3]);
    }

    fn braces() -> impl Strategy<Value = Braces> {
        prop_oneof![Just(Braces::One), Just(Braces::Two)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// At every byte of a file. If the last line feed is the byte, the reader reports a torn line.
        #[test]
        fn any_edit_of_a_byte_is_found(
            sizes in prop::collection::vec(0_usize..40, 2..4), braces in braces(), change in 1_u8..=255,
        ) {
            let mut content = file(&sizes, braces).concat();
            prop_assert!(breaks(&content).is_empty());
            for at in 0..content.len() {
                content[at] ^= change;
                prop_assert!(!breaks(&content).is_empty(), "byte {at} ^ {change}");
                content[at] ^= change;
            }
        }

        #[test]
        fn any_line_that_is_removed_inserted_or_moved_is_found(
            sizes in prop::collection::vec(0_usize..40, 2..7), braces in braces(),
            one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(),
        ) {
            let lines = file(&sizes, braces);
            let (one, other) = (one.index(lines.len()), other.index(lines.len()));
            // A file that lacks its last lines is what it was before they were written.
            if one < lines.len() - 1 {
                let mut removed = lines.clone();
                removed.remove(one);
                prop_assert!(!breaks(&removed.concat()).is_empty());
            }
            for copy in [lines[other].clone(), b"{\"forged\":{}}\n".to_vec(), b"\n".to_vec()] {
                let mut inserted = lines.clone();
                inserted.insert(one + 1, copy);
                prop_assert!(!breaks(&inserted.concat()).is_empty());
            }
            let mut inserted = lines.clone();
            inserted.insert(0, lines[other].clone());
            prop_assert!(!breaks(&inserted.concat()).is_empty());
            if one != other {
                let mut moved = lines;
                moved.swap(one, other);
                prop_assert!(!breaks(&moved.concat()).is_empty());
            }
        }
    }
}
