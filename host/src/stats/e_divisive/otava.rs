//! The change points of Apache Otava in the same series. `tests/fixtures/otava` has the series, Otava's settings, and what Otava
//! 0.8.0 printed there: `otava analyze --config-file otava.yaml series --since 2020-01-01 --output json > printed.json`.

use serde_json::Value;

use super::change_points;

const SERIES: &str = include_str!("../../../../tests/fixtures/otava/series.csv");
const PRINTED: &str = include_str!("../../../../tests/fixtures/otava/printed.json");

/// The index of each change of a series that Otava printed.
fn of_otava(printed: &Value, name: &str) -> Vec<usize> {
    let changes =
        printed["series"].as_array().unwrap().iter().flat_map(|at| at["changes"].as_array().unwrap());
    let of_series = changes.filter(|change| change["metric"] == name);
    of_series.map(|change| change["index"].as_u64().unwrap() as usize).collect()
}

#[test]
fn the_changes_of_each_series_are_those_of_otava() {
    let printed = serde_json::from_str(PRINTED).unwrap();
    let mut lines = SERIES.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let (names, rows) = (lines.next().unwrap(), lines.collect::<Vec<_>>());
    let mut changes = 0;
    // Before the series stand the time and the run.
    for (column, name) in names.into_iter().enumerate().skip(2) {
        let values: Vec<_> = rows.iter().map(|row| row[column].parse::<f64>().unwrap().ln()).collect();
        let ours: Vec<_> = change_points(&values).into_iter().map(|point| point.index).collect();
        let theirs = of_otava(&printed, name);
        println!("{name}: {ours:?}, Otava: {theirs:?}");
        assert_eq!(ours, theirs, "{name}");
        changes += ours.len();
    }
    assert_eq!(changes, 10);
}
