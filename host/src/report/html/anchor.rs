//! The ids of the page, which links lead to. The id of a cell depends on its point and its label only, so a link to it leads to the
//! same cell of the next page too.

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};

/// How many bytes of the hash are in an id. Each byte is two characters, and a page of 1000 rows has some 8000 links.
const BYTES: usize = 4;

/// The ids that a page has.
#[derive(Default)]
pub(super) struct Anchors(HashSet<String>);

impl Anchors {
    /// The id of what these names stand for, after a letter: `c5f1d03b2`. Equal names get a number at the end.
    pub(super) fn add(&mut self, letter: char, names: &[&str]) -> String {
        let mut hash = Sha256::new();
        for name in names {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
        }
        let digits = hex::encode(&hash.finalize()[..BYTES]);
        let ids = (1u32..).map(|number| match number {
            1 => format!("{letter}{digits}"),
            _ => format!("{letter}{digits}-{number}"),
        });
        let id = ids.into_iter().find(|id| !self.0.contains(id)).unwrap_or_default();
        self.0.insert(id.clone());
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_the_names_only_and_is_unique() {
        let mut anchors = Anchors::default();
        let id = anchors.add('c', &["pipeline/items=1000", "alpha"]);
        assert_eq!(id, Anchors::default().add('c', &["pipeline/items=1000", "alpha"]));
        assert_eq!(anchors.add('c', &["pipeline/items=1000", "alpha"]), format!("{id}-2"));
        assert_ne!(Anchors::default().add('c', &["ab", "c"]), Anchors::default().add('c', &["a", "bc"]));
    }
}
