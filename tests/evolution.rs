//! Plugins of every version of the API in every host: each pair of a backend and a library of workloads, in Rust, in C and in
//! Python, of API 1.0 (`tests/golden`), of today, and of a version that is to come, which has functions and fields that this one
//! does not know. This host is the newer one for the first and the older one for the last.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::abi_evolution::later;
use crate::c_backend::{compiled, threaded};
use crate::support::{
    Place, Ran, arguments_in, built_outside, cargo_outside, continued, executable, not_run, plugin,
    repository,
};

/// The last commit with API 1.0.
const LAST_OF_1_0: &str = "c79c10537c2113a123b4014802fbb4b1ac4c03d4";

/// A backend, or a library of workloads.
struct Plugin {
    /// The language and the API, as a cell is called.
    what: &'static str,
    file: PathBuf,
    /// Of the backend, or of one of the library's workloads.
    name: &'static str,
}

fn plugin_of(what: &'static str, file: PathBuf, name: &'static str) -> Plugin {
    Plugin { what, file, name }
}

fn golden(name: &str) -> PathBuf {
    repository().join(format!("tests/golden/api_1_0/lib{name}.so"))
}

/// A folder with a copy of what authors in C build with, where the headers are those of a later version.
fn later_headers() -> PathBuf {
    let folder = executable().ancestors().nth(2).unwrap().join("evolution/1.2");
    for (file, changes) in LATER {
        let mut text = fs::read_to_string(repository().join("plugin-api").join(file)).unwrap();
        for (before, after) in *changes {
            assert!(text.contains(before), "{file} has no {before:?}");
            text = text.replacen(before, after, 1);
        }
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Another test may be compiling it: it is put into its place whole.
        let made = tempfile::NamedTempFile::new_in(path.parent().unwrap()).unwrap();
        fs::write(made.path(), text).unwrap();
        made.persist(path).unwrap();
    }
    folder
}

/// The files that a later version changes. Its backend fails where it takes this host for one of its own version.
const LATER: &[(&str, &[(&str, &str)])] = &[
    (
        "include/crossrun.h",
        &[
            ("#define CROSSRUN_API_VERSION \"1.1.0\"", "#define CROSSRUN_API_VERSION \"1.2.0\""),
            ("UINT32_C(0x00010001)", "UINT32_C(0x00010002)"),
            ("} crossrun_workload_functions;", "    int32_t (*later)(void);\n} crossrun_workload_functions;"),
            ("} crossrun_session;", "    const char *later;\n} crossrun_session;"),
            ("} crossrun_run;", "    const char *later;\n} crossrun_run;"),
            (
                "} crossrun_backend_functions;",
                "    int32_t (*later)(void *backend);\n} crossrun_backend_functions;",
            ),
        ],
    ),
    ("include/crossrun_workloads.h", &[("UINT32_C(0x00010001)", "UINT32_C(0x00010002)")]),
    ("include/crossrun_workload_kit.h", &[]),
    ("kit/crossrun_catalogue.h", &[]),
    ("kit/crossrun_emitting.h", &[]),
    ("kit/crossrun_graph.h", &[]),
    ("kit/crossrun_items.h", &[]),
    ("kit/crossrun_json.h", &[]),
    ("kit/crossrun_keyed.h", &[]),
    ("kit/crossrun_open_loop.h", &[]),
    ("kit/crossrun_opening.h", &[]),
    ("kit/crossrun_operators.h", &[]),
    ("kit/crossrun_spec.h", &[]),
    ("kit/crossrun_states.h", &[]),
    ("kit/crossrun_xxh3.h", &[]),
    (
        "kit/crossrun_workload_kit.c",
        &[(
            "CROSSRUN_EXPORT void crossrun_workload_buffer_free",
            "CROSSRUN_EXPORT int32_t crossrun_workload_later(void);\nCROSSRUN_EXPORT int32_t crossrun_workload_later(void) {\n    \
             return CROSSRUN_OK;\n}\n\nCROSSRUN_EXPORT void crossrun_workload_buffer_free",
        )],
    ),
    (
        "examples/c/threaded_backend.c",
        &[
            ("\"threaded\", \"0.1.0\"", "\"later\", \"0.1.0\""),
            (
                "    (void)backend;\n    if (CROSSRUN_HAS",
                "    (void)backend;\n    if (CROSSRUN_CALLABLE(crossrun_workload_functions, run->functions, later)\n        \
                 || CROSSRUN_HAS(crossrun_run, run, later)) {\n        return reply->fail(reply, CROSSRUN_ERROR_INTERNAL, \"later\", NULL);\n    \
                 }\n    if (CROSSRUN_HAS",
            ),
        ],
    ),
    (
        "examples/c/sensors_workload.c",
        &[
            ("\"sensors\", \"0.1.0\"", "\"later_numbers\", \"0.1.0\""),
            ("\"sensor_sums\", &", "\"later_sums\", &"),
            (".name = \"sensor_sums\"", ".name = \"later_sums\""),
        ],
    ),
];

/// A plugin in C, from the sources and with the headers in `folder`.
fn in_c(folder: &Path, source: &str, name: &str) -> PathBuf {
    let [include, kit] = ["include", "kit/crossrun_workload_kit.c"].map(|path| folder.join(path));
    let source = folder.join("examples/c").join(source);
    // Before the headers of the repository.
    let mut arguments = vec!["-iquote", include.to_str().unwrap()];
    if name.ends_with("numbers") {
        arguments.push(kit.to_str().unwrap());
    }
    compiled(source.to_str().unwrap(), name, &arguments)
}

fn backends() -> Vec<Plugin> {
    vec![
        plugin_of("Rust 1.0", golden("golden_runner"), "golden_rust"),
        plugin_of("C 1.0", golden("golden_backend"), "golden_c"),
        plugin_of("Python 1.0", golden("golden_python"), "golden_python"),
        plugin_of("Rust 1.1", plugin("native_runner"), "native"),
        plugin_of("C 1.1", threaded().into(), "threaded"),
        plugin_of("Python 1.1", plugin("python_runner"), "python"),
        plugin_of("Rust 1.2", later().native.clone(), "native"),
        plugin_of("C 1.2", in_c(&later_headers(), "threaded_backend.c", "later"), "later"),
        plugin_of("Python 1.2", later().python.clone(), "python"),
    ]
}

fn libraries() -> Vec<Plugin> {
    let now = repository().join("plugin-api");
    vec![
        plugin_of("Rust 1.0", golden("golden_workloads"), "golden_reduce"),
        plugin_of("C 1.0", golden("golden_numbers"), "golden_sums"),
        plugin_of("Rust 1.1", plugin("standard_workloads"), "word_count"),
        plugin_of("C 1.1", in_c(&now, "sensors_workload.c", "numbers"), "sensor_sums"),
        plugin_of("Rust 1.2", later().workloads.clone(), "later_reduce"),
        plugin_of("C 1.2", in_c(&later_headers(), "sensors_workload.c", "later_numbers"), "later_sums"),
    ]
}

/// The cells of a host.
const CELLS: usize = 9 * 6;

/// Runs every library on every backend in a host, in one session for each backend, and gives how many cells were verified.
fn verified(api_of_host: &str, host: &Path, backends: &[Plugin], libraries: &[Plugin]) -> usize {
    let mut cells = 0;
    for backend in backends {
        let place = Place::empty();
        place.stage_as(&backend.file, "libbackend_runner.so");
        for (number, library) in libraries.iter().enumerate() {
            place.stage_as(&library.file, &format!("libworkloads_{number}.so"));
        }
        let workloads: Vec<_> = libraries.iter().map(|library| library.name).collect();
        let words = format!(
            "compare --backends {} --workloads {} --items 60 --quick --insist --no-lock --run-id cells",
            backend.name,
            workloads.join(",")
        );
        let here = place.command(&arguments_in(&words));
        let ran = Ran::of(continued(Command::new(host), &here)).code(0);
        let records = place.records("cells", "unified_results.jsonl");
        for library in libraries {
            let cell = format!(
                "host {api_of_host}, backend {} ({}), workloads {}",
                backend.what, backend.name, library.what
            );
            let own: Vec<_> = records.iter().filter(|record| record["workload"] == library.name).collect();
            assert!(!own.is_empty(), "{cell} has no record: {}", ran.explain());
            for record in own {
                assert_eq!(record["metadata"]["verified"], true, "{cell}: {record}");
                // Only a host that knows `prepare` times it.
                let prepares = record["metadata"]["phases"]["prepare_seconds"].is_number();
                assert!(api_of_host != "1.0" || !prepares, "{cell} ran in another host: {record}");
            }
            println!("verified: {cell}");
            cells += 1;
        }
    }
    cells
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn every_backend_runs_every_library_whatever_their_versions() {
    assert_eq!(verified("1.1", executable(), &backends(), &libraries()), CELLS);
}

/// The host of API 1.0, built from its own sources; none if they are not here.
fn old_host() -> Option<PathBuf> {
    let folder = executable().ancestors().nth(2).unwrap().join("evolution/1.0");
    let mut archive = Command::new("git");
    archive.args(["archive", LAST_OF_1_0]).current_dir(repository());
    let archive = archive.output().ok().filter(|output| output.status.success())?.stdout;
    fs::create_dir_all(&folder).unwrap();
    let packed = tempfile::NamedTempFile::new().unwrap();
    fs::write(packed.path(), archive).unwrap();
    let unpacked = Command::new("tar").arg("-xf").arg(packed.path()).arg("-C").arg(&folder).status().unwrap();
    assert!(unpacked.success());
    cargo_outside(&folder, &["build", "--quiet", "--locked", "-p", "crossrun"]);
    Some(built_outside("crossrun"))
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
#[ignore = "builds the host of API 1.0: .ci/run --full"]
fn the_host_of_api_1_0_runs_plugins_of_every_version() {
    let Some(host) = old_host() else {
        return not_run(&format!("the repository has no commit {LAST_OF_1_0}: git fetch --unshallow"));
    };
    assert_eq!(verified("1.0", &host, &backends(), &libraries()), CELLS);
}
