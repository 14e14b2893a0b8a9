//! Workloads in C: what an author writes on top of the kit keeps the whole contract of a workload library.

mod calls;
mod closing;
#[path = "../plugin-api/tests/handles/mod.rs"]
mod handles;
mod libraries;
#[path = "../plugin-api/tests/nulls/mod.rs"]
mod nulls;
mod open_loops;

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::c_backend::{agrees_with_native, compiled, run, threaded, watermark};
use crate::field::wrappers;
use crate::session::judged;
use crate::support::{Place, Ran, not_run, plugin, repository};
use libraries::{
    ARRIVING, EMPTY, KIT, WINDOWS, arriving, choosing, faulty_windows, lazy, numbers, sensors, windows,
};

fn place() -> Place {
    let place = Place::new();
    for file in [numbers(), sensors(), threaded()] {
        place.stage(file);
    }
    place.stage(&plugin("python_runner"));
    place
}

#[test]
fn every_backend_runs_them_verified() {
    let place = place();
    for backend in ["threaded", "python"] {
        for workload in ["even_multiples factor=7", "sensor_sums sensors=20"] {
            for how in
                ["--parallelism 1 batch_size=1 fusion=off", "--parallelism 3 batch_size=64 fusion=auto"]
            {
                agrees_with_native(&place, backend, &format!("--items 500 --workload {workload} {how}"));
            }
        }
    }
}

#[test]
fn an_open_loop_is_measured_on_every_backend() {
    let place = place();
    place.stage(arriving());
    for backend in ["native", "threaded", "python"] {
        for how in ["--parallelism 1 batch_size=1 fusion=off", "--parallelism 2 batch_size=8 fusion=auto"] {
            // All items are due within a moment, so that no machine is too busy to make them in time.
            let words = format!("--items 400 --workload arriving period_us=1 {how}");
            let record = run(&place, backend, &words).code(0).json();
            judged(&record).unwrap();
            for which in ["scheduled", "service", "generator_lag"] {
                assert_eq!(
                    record["metadata"]["open_loop"][which]["samples"], 200,
                    "{backend} {how}: {record}"
                );
            }
        }
    }
    run(&place, "native", "--workload reducing")
        .code(2)
        .says("follows from watermarks, which it does not use");
}

#[test]
fn an_open_loop_of_an_author_is_compared_without_batches_and_a_quick_one_has_as_many_items() {
    let place = Place::new();
    place.stage(arriving());
    let points = |more: &str| {
        let compare = "compare --backends native --workloads arriving,closed --dry-run";
        place.run(&format!("{compare} {more}")).code(0).stdout()
    };
    let point = |name: &str, items: u64| format!("{name}/items={items}/parallelism=2/scheduler=default");
    for (how, items) in [("--blocks 1", 10_000), ("--quick", 2_500)] {
        let told = points(how);
        assert!(told.contains(&format!("{}\n", point("arriving", 10_000))), "{told}");
        assert!(told.contains(&format!("{}/batch_size=100\n", point("closed", items))), "{told}");
    }
    let given = points("--items 70 --extra batch_size=9");
    for name in ["arriving", "closed"] {
        assert!(given.contains(&format!("{}/batch_size=9\n", point(name, 70))), "{given}");
    }
}

#[test]
fn what_has_ended_closes_on_backends_with_watermarks_and_has_a_latency_in_an_open_loop() {
    let place = place();
    place.stage(windows());
    place.stage(watermark());
    for backend in ["native", "python", "watermark", "threaded"] {
        for how in ["--parallelism 1 batch_size=1", "--parallelism 3 batch_size=64"] {
            let words = format!("--items 900 --workload windows window=10 {how}");
            let record = agrees_with_native(&place, backend, &words);
            let closes = record["metadata"]["raw_metrics"]["closes"] == true;
            assert_eq!(closes, backend != "threaded", "{record}");
        }
    }
    for backend in ["native", "python", "watermark"] {
        let words = "--items 400 --workload arriving_windows window=10 --parallelism 2 batch_size=8";
        let record = run(&place, backend, words).code(0).json();
        judged(&record).unwrap();
        let metadata = &record["metadata"];
        let samples = ["scheduled", "service", "generator_lag"]
            .map(|which| metadata["open_loop"][which]["samples"].as_u64());
        assert_eq!(samples, [metadata["results_count"].as_u64(), None, None], "{record}");
    }
    run(&place, "threaded", "--workload arriving_windows").code(4).says("unsupported: needs watermarks");
    place.stage(faulty_windows());
    run(&place, "native", "--workload dropping --items 10").code(4).says("is a map, but made");
    run(&place, "watermark", "--workload keeping --items 100").code(4).says("but kept what ended at time");
}

#[test]
fn a_library_with_watermarks_conforms() {
    crate::conformance::file_conforms(windows());
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn what_a_library_prepares_once_in_each_thread_is_no_work_of_the_reference() {
    let place = Place::new();
    place.stage(lazy());
    for workload in ["lazy", "lazy_keys"] {
        let words = format!("--items 1000 --workload {workload} --parallelism 1 batch_size=100");
        let record = run(&place, "native", &words).code(0).json();
        judged(&record).unwrap();
        // Each thread prepares for 0.2 s of CPU time; an item takes less than a microsecond.
        let seconds = record["metadata"]["reference_cpu_seconds"].as_f64().unwrap();
        assert!(seconds < 0.1, "{record}");
    }
}

#[test]
fn a_choice_may_be_what_json_takes_for_no_text() {
    let place = Place::new();
    place.stage(choosing());
    let shown = place.run("workloads show choosing --items 1 --extra sync=false --extra width=2").code(0);
    assert_eq!(shown.stdout().trim_end(), "{\"hex\":\"6e00000000000000\"}");
    run(&place, "native", "--workload choosing sync=true width=1").verified();
    let remedy = "is not one of true, false, as choosing needs it; try: --extra sync=true";
    run(&place, "native", "--workload choosing sync=1").code(2).says(remedy);
    for wrong in ["width=3", "width=[2]"] {
        run(&place, "native", &format!("--workload choosing {wrong}")).code(2).says("is not one of 1, 2");
    }
}

#[test]
fn a_range_without_ends_is_listed_with_the_largest_numbers() {
    let place = Place::new();
    place.stage(choosing());
    let listed = place.run("workloads choosing --json").code(0).json();
    let parameters = listed["parameters"].as_array().unwrap();
    let domain = &parameters.iter().find(|it| it["name"] == "limit").unwrap()["domain"];
    assert_eq!(
        (domain["min"].as_f64(), domain["max"].as_f64()),
        (Some(f64::MIN), Some(f64::MAX)),
        "{listed}"
    );
    for limit in ["", " limit=-1e300", " limit=1e300"] {
        run(&place, "native", &format!("--workload choosing{limit}")).verified();
    }
}

#[test]
fn an_author_writes_less_than_sixty_lines() {
    let text =
        std::fs::read_to_string(repository().join("plugin-api/examples/c/minimal_workload.c")).unwrap();
    assert!(text.lines().count() < 60, "{}", text.lines().count());
}

#[test]
fn it_is_listed_and_inspected_like_any_other_library() {
    let place = place();
    let entry = place.crossrun(&["workloads", "sensor_sums", "--json"]).code(0).json();
    assert!(entry.to_string().contains("how many sensors there are"), "{entry}");
    let file = place.plugins().join(numbers().file_name().unwrap());
    let described = place.crossrun(&["backends", "inspect", "--json", file.to_str().unwrap()]).code(0).json();
    assert_eq!((&described["kind"], &described["name"]), (&json!("workloads"), &json!("numbers")));
    assert_eq!(described["workloads"], json!(["even_multiples"]));
    assert_eq!(described["build"].get("abi"), None);
    run(&place, "native", "--workload sensor_sums sensors=0")
        .code(2)
        .says("a whole number from 1 to 1000000");
}

/// A program in C that calls the library through its exported functions, under the sanitizers where the compiler has
/// them: what leaks or reads beyond its bytes ends it.
#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_caller_in_c_finds_no_leak_and_no_stray_access() {
    let folder = tempfile::tempdir().unwrap();
    let sanitized = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let has_sanitizers = |options: &[&str]| {
        let probe = folder.path().join("probe.c");
        std::fs::write(&probe, "int main(void) { return 0; }\n").unwrap();
        let program = folder.path().join("probe");
        let output = Command::new("cc").args(options).arg(&probe).arg("-o").arg(&program).output().unwrap();
        output.status.success() && Command::new(&program).status().unwrap().success()
    };
    let options: &[&str] = if has_sanitizers(&sanitized) {
        &sanitized
    } else {
        not_run("the C compiler has no sanitizers, so that nobody looks for leaks and stray accesses");
        &["-O1"]
    };
    let build = |arguments: &[&str], to: &str| {
        let to = folder.path().join(to);
        let mut command = Command::new("cc");
        command.args(["-std=c11", "-Wall", "-Wextra", "-Werror"]).args(options).args(arguments);
        command.arg("-I").arg(repository().join("plugin-api/include")).arg("-o").arg(&to).arg("-ldl");
        let output = command.current_dir(repository()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        to
    };
    let program = build(&["tests/fixtures/c/run_workload.c"], "run_workload");
    for (name, workload, extra, code) in [
        ("minimal", "even_multiples", r#"{"factor": 9}"#, 0),
        ("sensors", "sensor_sums", r#"{"sensors": 50}"#, 0),
        ("sensors", "sensor_sums", r#"{"sensors": "many"}"#, 2),
        ("sensors", "sensor_sums", r#"{"sensors": 5"#, 2),
        ("sensors", "nosuch", "{}", 2),
        ("arriving", "arriving", r#"{"period_us": 1}"#, 0),
        ("arriving", "reducing", "{}", 2),
        ("empty", "empty", "{}", 0),
        ("grid", "cheapest_way", r#"{"width": 40}"#, 0),
        ("grid", "cheapest_way", r#"{"width": 0}"#, 2),
        ("windows", "windows", r#"{"window": 10}"#, 0),
        ("windows", "arriving_windows", r#"{"window": 30}"#, 0),
    ] {
        let example = format!("plugin-api/examples/c/{name}_workload.c");
        let (source, word) = match name {
            "arriving" => (ARRIVING, None),
            "empty" => (EMPTY, None),
            "windows" => (WINDOWS, Some("watermarks")),
            "grid" => (example.as_str(), Some("graph")),
            _ => (example.as_str(), None),
        };
        let library = build(&["-shared", "-fPIC", source, KIT], &format!("lib{name}.so"));
        let mut command = Command::new(&program);
        command.arg(&library).args([workload, "3000", "64", extra]).args(word);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("Sanitizer"), "{said}");
        assert_eq!(output.status.code(), Some(code), "{workload} {extra}: {said}");
    }
}

/// The library of the example without a part of its definition.
fn without(part: &str, name: &str) -> PathBuf {
    let text = std::fs::read_to_string(repository().join(format!("plugin-api/examples/c/{name}_workload.c")))
        .unwrap();
    assert!(text.contains(part), "{part}");
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("lacking.c");
    std::fs::write(&source, text.replace(part, "")).unwrap();
    let kit = repository().join(KIT);
    let include = format!("-I{}", repository().join("plugin-api/include").display());
    let arguments = [kit.to_str().unwrap(), &include, "-Wno-unused"];
    let letters: String = part.chars().filter(char::is_ascii_alphanumeric).collect();
    compiled(source.to_str().unwrap(), &format!("lacking_{letters}"), &arguments)
}

#[test]
fn a_definition_in_which_something_was_forgotten_is_told_by_name() {
    for (part, says) in [
        (
            " .description = \"Multiplies random numbers and keeps the even ones\",",
            "the definition of workload \"even_multiples\" lacks .description",
        ),
        (" .parameter_count = 1,", "lacks .parameters with their parameter_count"),
        (" .stages = STAGES,", "lacks .stages with their stage_count"),
    ] {
        let place = Place::new();
        let file = place.stage(&without(part, "minimal"));
        let ran = place.crossrun(&["backends", "check", file.to_str().unwrap(), "--json"]);
        let report = ran.json();
        let found = report["checks"].as_array().unwrap().iter().find(|it| it["id"] == "library.catalogue");
        assert_eq!(found.unwrap()["outcome"], "failed", "{}", ran.explain());
        assert!(found.unwrap().to_string().contains(&says.replace('"', "\\\"")), "{}", ran.explain());
    }
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_workload_that_lacks_a_function_is_refused_with_its_name() {
    for (part, example, workload, says) in [
        (
            ".source = source, ",
            "minimal",
            "even_multiples",
            "lacks the function source, which every workload needs",
        ),
        (
            ", .oracle = oracle",
            "minimal",
            "even_multiples",
            "lacks the function oracle, which every workload needs",
        ),
        (
            ".apply = apply, ",
            "minimal",
            "even_multiples",
            "lacks the function apply, which its stage \"multiply\" needs",
        ),
        (
            ".merge = add, ",
            "sensors",
            "sensor_sums",
            "lacks the function merge, which its stage \"sum\" needs",
        ),
        (".inputs = inputs, ", "grid", "cheapest_way", "lacks the function inputs, which its graph needs"),
        (", .needs = \"graph\"", "grid", "cheapest_way", "add .needs = \"graph\""),
    ] {
        let place = Place::new();
        place.stage(&without(part, example));
        run(&place, "native", &format!("--workload {workload}")).code(2).says(says);
    }
}

/// The kit with a C library whose decimal point has two bytes, as in the locale of Persian, which few machines have.
#[test]
fn numbers_are_read_and_written_where_the_decimal_point_has_several_bytes() {
    let source = repository().join("tests/fixtures/c/decimal_point.c");
    let [include, kit] = ["include", "kit"].map(|folder| repository().join("plugin-api").join(folder));
    let options = ["-pthread", "-I", include.to_str().unwrap(), "-I", kit.to_str().unwrap()];
    let program =
        wrappers::compiled("decimal_point", &std::fs::read_to_string(source).unwrap(), &options).unwrap();
    let ran = Ran::of(Command::new(program)).code(0);
    assert_eq!(ran.stdout(), "1.5 -0.25 3 1500 0.10000000000000001\n");
}
