//! The edges of a graph of tasks, as they cross the border.

use std::ops::Range;

use super::error::WorkloadError;

/// The word of a backend that runs the tasks of a graph by their dependencies, and not in stages.
pub const GRAPH: &str = "graph";

/// A row of a graph, and what its tasks need of the row before.
///
/// Its encoding is little-endian u32: the first point of the row, the number of its points, for the points that were asked for
/// where the inputs of each begin and where those of the last end, and the inputs, which are points of the row before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphRow {
    points: Range<u32>,
    offsets: Vec<u32>,
    inputs: Vec<u32>,
}

impl GraphRow {
    /// Writes the row of these points with the inputs of some of them.
    pub(super) fn encode(points: &Range<u32>, offsets: &[u32], inputs: &[u32], out: &mut Vec<u8>) {
        out.clear();
        let width = points.end.saturating_sub(points.start);
        let words =
            [points.start, width].into_iter().chain(offsets.iter().copied()).chain(inputs.iter().copied());
        out.extend(words.flat_map(u32::to_le_bytes));
    }

    /// Reads a row with the inputs of all its points.
    ///
    /// # Errors
    /// [`WorkloadError::Malformed`] for anything else.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, WorkloadError> {
        let malformed = WorkloadError::Malformed("the edges of a graph are not those of a row");
        let (words, rest) = bytes.as_chunks::<4>();
        let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
        let (Some(first), Some(width), []) = (words.next(), words.next(), rest) else {
            return Err(malformed);
        };
        let Some(end) = first.checked_add(width) else { return Err(malformed) };
        // No more than there are: a width that is not true makes no list of its size.
        let offsets: Vec<_> = words.by_ref().take(width as usize + 1).collect();
        let inputs: Vec<_> = words.collect();
        let ascends = offsets.first() == Some(&0) && offsets.is_sorted();
        // A row without tasks would never be done.
        let is_whole = width > 0
            && offsets.len() == width as usize + 1
            && offsets.last().is_some_and(|last| *last as usize == inputs.len());
        if ascends && is_whole { Ok(Self { points: first..end, offsets, inputs }) } else { Err(malformed) }
    }

    /// The points of the row.
    pub fn points(&self) -> Range<u32> {
        self.points.clone()
    }

    /// How many points the row has.
    pub fn width(&self) -> u32 {
        self.points.end - self.points.start
    }

    /// The points of the row before that the point at `place` needs, of which the first is at place 0; none for a place that there is not.
    pub fn inputs(&self, place: u32) -> &[u32] {
        let ends = self.offsets.get(place as usize).zip(self.offsets.get(place as usize + 1));
        ends.and_then(|(from, to)| self.inputs.get(*from as usize..*to as usize)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_row_comes_back(first in 0_u32..1000, inputs in prop::collection::vec(prop::collection::vec(any::<u32>(), 0..4), 1..9)) {
            let points = first..first + inputs.len() as u32;
            let mut offsets = vec![0];
            inputs.iter().for_each(|of| offsets.push(offsets.last().unwrap() + of.len() as u32));
            let mut encoded = Vec::new();
            GraphRow::encode(&points, &offsets, &inputs.concat(), &mut encoded);
            let row = GraphRow::decode(&encoded).unwrap();
            prop_assert_eq!((row.points(), row.width()), (points, inputs.len() as u32));
            for (place, of) in (0..).zip(&inputs) {
                prop_assert_eq!(row.inputs(place), of);
            }
            prop_assert!(row.inputs(row.width()).is_empty());
            encoded.pop();
            prop_assert!(GraphRow::decode(&encoded).is_err());
        }

        #[test]
        fn any_bytes_are_refused_or_are_a_row(words in prop::collection::vec(0_u32..6, 0..12)) {
            let bytes: Vec<_> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            if let Ok(row) = GraphRow::decode(&bytes) {
                prop_assert_eq!((0..row.width()).map(|place| row.inputs(place).len()).sum::<usize>() + row.width() as usize + 3, words.len());
            }
        }
    }

    #[test]
    fn a_width_that_is_not_true_or_nothing_is_refused() {
        for words in [&[1_u32, u32::MAX - 1, 0, 0][..], &[1, 0, 0]] {
            let bytes: Vec<_> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            assert!(GraphRow::decode(&bytes).is_err());
        }
    }
}
