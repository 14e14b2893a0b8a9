//! The seeds of the data that a comparison or a sweep runs on.

use std::collections::HashMap;

use super::session::{CallError, Fault};
use crate::plan::{DataId, data_seed};

/// Seeds that no backend can know before its trial starts: each is a draw of its own from the system's randomness, and stays in
/// this process's memory until the first trial with it is recorded. All backends of a block get the same.
#[derive(Debug, Default)]
pub(crate) struct DataSeeds {
    /// From which number all seeds are derived, if the user chose one.
    chosen: Option<u64>,
    drawn: HashMap<DataId, u64>,
}

impl DataSeeds {
    /// The seeds of a run that has used those in `recorded`.
    pub(crate) fn new(chosen: Option<u64>, recorded: HashMap<DataId, u64>) -> Self {
        Self { chosen, drawn: recorded }
    }

    /// The seed of `id`.
    pub(crate) fn of(&mut self, id: DataId) -> Result<u64, CallError> {
        if let Some(chosen) = self.chosen {
            return Ok(data_seed(chosen, &id));
        }
        if let Some(drawn) = self.drawn.get(&id) {
            return Ok(*drawn);
        }
        let seed = getrandom::u64().map_err(|error| {
            CallError::new(Fault::Protocol, "seed", format!("the system has no randomness: {error}"))
        })?;
        self.drawn.insert(id, seed);
        Ok(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Purpose;

    fn id(block: u32, point: &str, purpose: Purpose) -> DataId {
        DataId { block, point: point.into(), purpose }
    }

    fn several() -> Vec<DataId> {
        let purposes = [Purpose::Measured, Purpose::WarmUp(0), Purpose::WarmUp(1)];
        let points = purposes.into_iter().flat_map(|purpose| ["a", "b"].map(|point| (point, purpose)));
        points.flat_map(|(point, purpose)| [0, 1].map(|block| id(block, point, purpose))).collect()
    }

    fn seeds(mut of: DataSeeds) -> Vec<u64> {
        let all: Vec<_> = several().into_iter().map(|id| of.of(id).unwrap()).collect();
        // Every backend gets the same.
        assert_eq!(several().into_iter().map(|id| of.of(id).unwrap()).collect::<Vec<_>>(), all);
        all
    }

    #[test]
    fn every_point_block_and_warm_up_has_its_own_seed_and_no_two_runs_have_the_same() {
        let all = [seeds(DataSeeds::default()), seeds(DataSeeds::default())].concat();
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), 2 * several().len());
    }

    #[test]
    fn a_chosen_number_repeats_all_seeds_and_a_recorded_seed_is_kept() {
        let chosen = |number| DataSeeds::new(Some(number), HashMap::new());
        assert_eq!(seeds(chosen(7)), seeds(chosen(7)));
        let all = [seeds(chosen(7)), seeds(chosen(8))].concat();
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), 2 * several().len());
        let recorded = HashMap::from([(id(1, "b", Purpose::WarmUp(0)), 5)]);
        assert_eq!(seeds(DataSeeds::new(None, recorded)).iter().filter(|seed| **seed == 5).count(), 1);
    }
}
