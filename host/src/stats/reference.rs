//! Compares with SciPy and statsmodels: `tests/fixtures/scipy` has their results and the script that computed them.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::means::geometric_mean;
use super::signed_rank::{SignedRank, p_value_outside};
use super::*;

#[derive(Deserialize)]
struct Case {
    differences: Vec<f64>,
    p_value: f64,
    estimate: Option<f64>,
    interval: Option<[f64; 2]>,
}

#[derive(Deserialize)]
struct Attained {
    n: usize,
    confidence: f64,
}

#[derive(Deserialize)]
struct Family {
    p_values: Vec<f64>,
    adjusted: Vec<f64>,
}

#[derive(Deserialize)]
struct Means {
    values: Vec<f64>,
    median: f64,
    geometric_mean: f64,
}

#[derive(Deserialize)]
struct Percentile {
    quantile: f64,
    samples: u64,
}

fn reference<T: DeserializeOwned>(key: &str) -> Vec<T> {
    let text = include_str!("../../../tests/fixtures/scipy/reference.json");
    let mut all: Map<String, Value> = serde_json::from_str(text).unwrap();
    serde_json::from_value(all[key].take()).unwrap()
}

#[track_caller]
fn near(ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() <= 1e-12 * theirs.abs().max(1.0), "{ours} is not {theirs}");
}

fn check(case: &Case) {
    let ours = SignedRank::new(&case.differences).unwrap();
    near(p_value_outside(&case.differences, [0.0, 0.0]), case.p_value);
    if let Some(estimate) = case.estimate {
        near(ours.estimate, estimate);
    }
    if let Some([low, high]) = case.interval {
        let interval = ours.interval.unwrap();
        near(interval.low, low);
        near(interval.high, high);
    }
}

#[test]
fn signed_rank_is_scipys() {
    let [untied, tied]: [Vec<Case>; 2] = ["untied", "tied"].map(reference);
    assert!(untied.len() >= 27 && untied.iter().all(|case| case.interval.is_some()));
    assert!(tied.len() >= 20);
    untied.iter().chain(&tied).for_each(check);
}

#[test]
fn many_blocks_are_scipys_approximation() {
    let many: Vec<Case> = reference("many");
    assert!(many.iter().all(|case| case.differences.len() > 200) && many.len() >= 4);
    many.iter().for_each(check);
}

#[test]
fn the_attained_confidence_is_that_of_scipys_test() {
    for Attained { n, confidence } in reference("confidence") {
        let differences: Vec<_> = (0..n).map(|at| at as f64).collect();
        let ours = SignedRank::new(&differences).unwrap().interval.unwrap();
        near(ours.confidence, confidence);
    }
}

#[test]
fn holm_is_that_of_statsmodels() {
    for Family { p_values, adjusted } in reference("holm") {
        holm(&p_values).into_iter().zip(adjusted).for_each(|(ours, theirs)| near(ours, theirs));
    }
}

#[test]
fn means_are_numpys_and_scipys() {
    for Means { values, median: middle, geometric_mean: mean } in reference("means") {
        near(median(&values).unwrap(), middle);
        near(geometric_mean(&values).unwrap(), mean);
    }
}

#[test]
fn percentiles_need_what_the_binomial_distribution_says() {
    for Percentile { quantile, samples } in reference("percentiles") {
        assert_eq!(samples_needed(quantile), Some(samples), "{quantile}");
    }
}
