//! The default size of a workload of which options are varied: all of its points have one.

use serde_json::{Map, Value};

use super::defaults::{SIZED_BY, Size, default_size};
use super::matrix::{Variation, WorkloadChoice};

/// The default sizes of the points of a workload.
pub(crate) struct CommonSize {
    sizes: Vec<Size>,
}

impl CommonSize {
    /// That of `workload` with `options`, of which some are varied.
    pub(crate) fn of(workload: &str, options: &Map<String, Value>, vary: &[Variation], quick: bool) -> Self {
        let points = WorkloadChoice { vary: decisive(vary).cloned().collect(), ..WorkloadChoice::default() };
        let points = points.combinations(options);
        Self { sizes: points.iter().map(|options| default_size(workload, options, quick)).collect() }
    }

    /// Whether all points have one default number of items.
    pub(crate) fn has_one_number_of_items(&self) -> bool {
        self.sizes.windows(2).all(|pair| pair[0].0 == pair[1].0)
    }

    /// Whether all points have one default for this option.
    pub(crate) fn has_one(&self, option: &str) -> bool {
        self.sizes.windows(2).all(|pair| pair[0].1.get(option) == pair[1].1.get(option))
    }

    /// The least of each number. For the events of a schedule no batch is too small.
    pub(crate) fn least(self) -> Size {
        self.sizes.into_iter().reduce(least_of).unwrap_or_default()
    }
}

/// Those of `vary` that decide the default size of a workload.
pub(crate) fn decisive(vary: &[Variation]) -> impl Iterator<Item = &Variation> {
    vary.iter().filter(|variation| SIZED_BY.contains(&variation.key.as_str()))
}

fn least_of((items, mut extra): Size, (other_items, other): Size) -> Size {
    for (key, value) in other {
        if extra.get(&key).is_none_or(|known| value.as_u64() < known.as_u64()) {
            extra.insert(key, value);
        }
    }
    (items.min(other_items), extra)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn points_have_one_number_of_items_unless_what_is_varied_decides_it() {
        let vary = |key: &str, values: Value| Variation {
            key: key.into(),
            values: values.as_array().cloned().unwrap_or_default(),
        };
        let options = Map::from_iter([("arrivals".to_owned(), json!("poisson"))]);
        let common = |vary: &[Variation]| CommonSize::of("nexmark_q7", &options, vary, false);
        assert!(common(&[]).has_one_number_of_items());
        assert!(common(&[vary("window_ms", json!([1, 2]))]).has_one_number_of_items());
        let rates = || common(&[vary("arrival_rate", json!([2000, 50_000]))]);
        assert!(!rates().has_one_number_of_items());
        let (items, extra) = rates().least();
        assert_eq!((items, &extra["batch_size"], &extra["rate"]), (8000, &json!(2), &json!(20)));
        let schedules = [vary("arrivals", json!(["on_demand", "poisson"]))];
        let mixed = || CommonSize::of("nexmark_q7", &Map::new(), &schedules, false);
        assert!(!mixed().has_one_number_of_items());
        assert_eq!(mixed().least().1["batch_size"], 10);
        let kernels = [vary("kernel", json!(["busy", "memory"]))];
        let graphs = CommonSize::of("task_graph", &Map::new(), &kernels, false);
        assert!(graphs.has_one_number_of_items() && graphs.has_one("batch_size") && !graphs.has_one("iters"));
        assert!(CommonSize::of("null", &Map::new(), &schedules, false).has_one_number_of_items());
    }
}
