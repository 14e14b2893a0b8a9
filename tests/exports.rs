//! `crossrun report --format` writes the figures of a report for other programs.

use serde_json::Value;

use crate::released::planted::{End, folder, point, trial};
use crate::second_implementation::python_with_duckdb;
use crate::support::{Place, Ran};

/// Seven blocks of a baseline, of a backend that is slower, and of one with a wrong answer.
fn comparison() -> Place {
    let place = Place::empty();
    let of_block = |block: u32| {
        let spread = 1.0 + f64::from(block * 7 % 11) * 0.003;
        let broken = if block == 3 { End::Wrong } else { End::Verified(spread) };
        [
            trial("native", "pipeline", block, End::Verified(spread)),
            trial(
                "slower",
                "pipeline",
                block,
                End::Verified(1.3 * spread * (1.0 + f64::from(block) * 0.0004)),
            ),
            trial("broken", "pipeline", block, broken),
        ]
    };
    folder(&place, "run", &(0..7).flat_map(of_block).collect::<Vec<_>>());
    place
}

fn written(place: &Place, file: &str) -> String {
    std::fs::read_to_string(place.path().join(file)).unwrap()
}

#[test]
fn every_format_is_the_same_on_standard_output_and_in_a_file() {
    let place = comparison();
    for format in ["bencher", "github", "openmetrics", "junit", "csv", "md", "json"] {
        let printed = place.crossrun(&["report", "run", "--format", format]).code(0).stdout();
        let ran = place.crossrun(&["report", "run", "--format", format, "--output", "out"]).code(0);
        assert!(ran.stdout().contains("native"), "the summary is printed: {}", ran.explain());
        assert_eq!(printed, written(&place, "out"), "{format}");
        assert!(printed.contains("native"), "{printed}");
    }
    for (option, format) in [("--csv", "csv"), ("--md", "md")] {
        let text = place.crossrun(&["report", "run", option, "-"]).code(0).stdout();
        assert_eq!(text, place.crossrun(&["report", "run", "--format", format]).code(0).stdout());
    }
}

#[test]
fn sweeps_and_single_runs_beside_a_comparison_leave_its_plan() {
    let place = comparison();
    let plan = r#"{"baseline": "slower", "rigor": "publish", "insist": false}"#;
    std::fs::write(place.path().join("run/plan.json"), plan).unwrap();
    let mut single = trial("native", "pipeline", 0, End::Verified(1.0));
    single["record"]["metadata"]["block"] = Value::Null;
    folder(&place, "single", &[single]);
    folder(&place, "sweep", &[point("native", 0, 1000, 0.5)]);
    for folders in [&["run"][..], &["run", "sweep"], &["single", "run", "sweep"]] {
        let arguments = [&["report", "--json"][..], folders].concat();
        let comparison = place.crossrun(&arguments).code(0).json();
        assert_eq!(comparison["baseline"], "slower", "{folders:?}");
        assert_eq!(comparison["rigor"], "publish", "{folders:?}");
    }
}

#[test]
fn figures_are_those_of_the_comparison_and_only_verified_rows_have_them() {
    let place = comparison();
    let comparison = place.crossrun(&["report", "run", "--json"]).code(0).json();
    let rows = comparison["points"][0]["rows"].as_array().unwrap();
    let row = |backend: &str| rows.iter().find(|row| row["backend"] == backend).unwrap();
    let left_out = "1 row without figures in this export, as not all of it is verified";
    let ran = place
        .crossrun(&["report", "run", "--format", "bencher"])
        .code(0)
        .says(left_out)
        .says("broken/pipeline");
    let metrics: Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!(metrics.as_object().unwrap().len(), 2, "{metrics}");
    for (name, measures) in metrics.as_object().unwrap() {
        let row = row(name.split('/').next().unwrap());
        let (metric, interval) = (&measures["duration-seconds"], &row["median_intervals"]["duration"]);
        assert_eq!(metric["value"], row["duration"]["median"]);
        assert_eq!((&metric["lower_value"], &metric["upper_value"]), (&interval["low"], &interval["high"]));
        assert_eq!(measures["input-items-per-second"]["value"], row["input_rate"]["median"]);
        assert_eq!(measures["speed-ratio"]["value"], row["ratio"]["estimate"]);
    }
    let ran = place.crossrun(&["report", "run", "--format", "github"]).code(0).says(left_out);
    let entries: Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!(entries.as_array().unwrap().len(), 2, "{entries}");
    assert_eq!(
        (&entries[1]["unit"], &entries[1]["value"]),
        (&"seconds".into(), &row("slower")["duration"]["median"])
    );
    let text = place.crossrun(&["report", "run", "--format", "openmetrics"]).code(0).says(left_out).stdout();
    assert!(text.ends_with("# EOF\n") && text.contains("status=\"wrong\"} 1\n"), "{text}");
    // The summary is not among what another program reads, and JUnit has every row.
    let junit = place.crossrun(&["report", "run", "--format", "junit"]).code(0).stdout();
    assert!(junit.starts_with("<?xml") && junit.contains("tests=\"3\" failures=\"1\""), "{junit}");
    assert!(junit.contains("type=\"wrong_answer\""), "{junit}");
}

#[test]
fn outputs_that_would_destroy_something_are_refused() {
    let place = comparison();
    let records = written(&place, "run/trials.jsonl");
    let report = |more: &[&str]| place.crossrun(&[&["report", "run"], more].concat());
    report(&["--output", "out"]).code(2).says("--format");
    report(&["--format", "xml"]).code(2).says("openmetrics");
    report(&["--format", "junit", "--output", "run/trials.jsonl"]).code(2).says("holds the records");
    report(&["--format", "junit", "--md", "-"])
        .code(2)
        .says("standard output can take one of the reports only");
    report(&["--format", "junit", "--json"]).code(2).says("standard output");
    report(&["--format", "junit", "--output", "one", "--md", "one"])
        .code(2)
        .says("two reports have the name one");
    report(&["--format", "junit", "--output", "."]).code(2).says("cannot write");
    assert_eq!(written(&place, "run/trials.jsonl"), records);
    // A link stays, and what it leads to is written.
    std::os::unix::fs::symlink("real", place.path().join("link")).unwrap();
    report(&["--format", "junit", "--output", "link"]).code(0);
    assert!(place.path().join("link").is_symlink() && written(&place, "real").starts_with("<?xml"));
}

#[test]
fn sweeps_have_their_own_figures() {
    let place = Place::empty();
    let mut points = Vec::new();
    for block in 0..6 {
        for iterations in [64, 256, 1024, 4096, 16_384] {
            let kernel = f64::from(iterations);
            let spread = 1.0 + f64::from(block * 7 % 11) * 0.003;
            points.push(point("value", block, iterations, kernel / (kernel + 500.0 * spread)));
            points.push(point("failed", block, iterations, if iterations == 64 { 0.0 } else { 0.5 }));
        }
    }
    folder(&place, "sweeps", &points);
    let ran = place.crossrun(&["report", "sweeps", "--format", "bencher"]).code(0).says("failed/metg");
    let metrics: Value = serde_json::from_str(&ran.stdout()).unwrap();
    let metg = &metrics["value/metg/cores=2"]["metg-seconds"];
    assert!(metg["lower_value"].as_f64() < metg["value"].as_f64(), "{metrics}");
    assert!(metg["value"].as_f64() < metg["upper_value"].as_f64(), "{metrics}");
    for format in ["github", "openmetrics", "junit", "md", "json"] {
        assert!(!place.crossrun(&["report", "sweeps", "--format", format]).code(0).stdout().is_empty());
    }
    place.crossrun(&["report", "sweeps", "--format", "csv"]).code(2).says("--format csv is for comparisons");
}

/// Reads the records as lines and as Parquet, and prints what DuckDB finds in both, and the types of some columns.
const BOTH: &str = "import duckdb, json
def rows(columns, source):
    return duckdb.sql(f'SELECT {columns} FROM {source} ORDER BY ALL').fetchall()
columns = 'backend, workload, run_id, seed, parallelism, throughput, duration_seconds, success_rate, config_hash'
inner = ', '.join(f'record.{column}' for column in columns.split(', '))
lines = rows(f'{inner}, epoch_us(record.timestamp::TIMESTAMPTZ), kind, status, record.metadata.block, record.metadata.error.kind,'
    ' record.metadata.resources.cpu_seconds', \"read_json('run/trials.jsonl', sample_size = -1)\")
table = rows(f'{columns}, epoch_us(timestamp), kind, status, block, error_kind, cpu_seconds', \"'trials.parquet'\")
types = duckdb.sql(\"SELECT seed, duration_seconds, timestamp, locked, status FROM 'trials.parquet'\").types
print(json.dumps({'same': lines == table, 'rows': len(table), 'types': [str(it) for it in types], 'first': str([lines[0], table[0]])}))";

#[test]
#[cfg_attr(not(all_engines), ignore = "installs DuckDB: CROSSRUN_TEST_ENGINES=all")]
fn duckdb_reads_in_parquet_what_it_reads_in_the_records() {
    let place = comparison();
    place.crossrun(&["report", "run", "--format", "parquet", "--output", "trials.parquet"]).code(0);
    let mut python = python_with_duckdb();
    python.args(["-c", BOTH]).current_dir(place.path());
    let found = Ran::of(python).code(0).json();
    assert_eq!((&found["same"], &found["rows"]), (&true.into(), &21.into()), "{found}");
    let types = ["UBIGINT", "DOUBLE", "TIMESTAMP WITH TIME ZONE", "BOOLEAN", "VARCHAR"];
    assert_eq!(found["types"], serde_json::json!(types));
}

#[test]
fn parquet_is_the_same_on_standard_output_and_has_the_trials_of_sweeps_too() {
    let place = comparison();
    let mut printed = place.command(&["report", "run", "--format", "parquet"]);
    let printed = printed.output().unwrap();
    assert!(printed.status.success());
    let ran = place.crossrun(&["report", "run", "--format", "parquet", "--output", "trials.parquet"]).code(0);
    assert!(ran.stdout().contains("native"), "the summary is printed: {}", ran.explain());
    let written = std::fs::read(place.path().join("trials.parquet")).unwrap();
    assert_eq!(printed.stdout, written);
    assert!(written.starts_with(b"PAR1") && written.ends_with(b"PAR1"));
    let sweep: Vec<_> = [1000, 100_000].map(|iterations| point("native", 0, iterations, 0.5)).into();
    folder(&place, "sweep", &sweep);
    let ran = place.crossrun(&["report", "run", "sweep", "--format", "parquet", "--output", "both"]).code(0);
    ran.says("2 trials of METG sweeps are left out: a report of their own, and the Parquet file shows them");
    place.crossrun(&["report", "sweep", "--format", "parquet", "--output", "swept"]).code(0);
    let mut warm_up = trial("native", "pipeline", 0, End::Verified(1.0));
    warm_up["kind"] = "warmup".into();
    folder(&place, "warmed", &[warm_up]);
    let ran = place.crossrun(&["report", "warmed", "sweep"]).code(0);
    ran.says("1 warm-up of a comparison without a measured trial is left out");
    let size = |file: &str| place.path().join(file).metadata().unwrap().len();
    assert!(size("both") > size("trials.parquet") && size("swept") > 1000);
}
