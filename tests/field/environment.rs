//! What engines get of the user's environment, and what they say about their surroundings.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::wrappers::wrapped;
use crate::installed_engine::Installed;
use crate::support::{Place, Ran, arguments_in, not_run, plugin};

/// Settings of engines, of Python and of Java that nobody decided on.
const RUBBISH: &str = "CLASSPATH DASK_CONFIG DASK_DISTRIBUTED__COMM__DEFAULT_SCHEME DASK_TEMPORARY_DIRECTORY \
                       HADOOP_CONF_DIR HADOOP_HOME HADOOP_OPTS HADOOP_USER_NAME HIVE_HOME JAVA_OPTS JAVA_TOOL_OPTIONS \
                       JDK_JAVA_OPTIONS _JAVA_OPTIONS KRB5_CONFIG PYSPARK_DRIVER_PYTHON PYSPARK_SUBMIT_ARGS \
                       PYTHONEXECUTABLE PYTHONHASHSEED PYTHONHOME PYTHONOPTIMIZE PYTHONPATH PYTHONSTARTUP PYTHONWARNINGS \
                       RAY_JOB_ID RAY_NAMESPACE RAY_OBJECT_STORE_ALLOW_SLOW_STORAGE RAY_RUNTIME_ENV_HOOK RAY_START_HOOK \
                       RAY_raylet_start_wait_time_s RAY_worker_register_timeout_seconds SAGE_CONFIG SPARK_CONF_DIR \
                       SPARK_DAEMON_JAVA_OPTS SPARK_HOME SPARK_LOCAL_DIRS SPARK_MASTER SPARK_USER YARN_CONF_DIR \
                       http_proxy grpc_proxy";

fn spoilt(mut command: Command) -> Command {
    command.envs(RUBBISH.split(' ').map(|name| (name, "rubbish:/no/such")));
    command
}

fn drive(place: &Place, behaviour: &str, phase: &str) -> Command {
    let extra = format!("--extra behaviour={behaviour} --extra at={phase}");
    place.command(&arguments_in(&format!("run --json --backend driven --workload null --items 9 {extra}")))
}

#[test]
fn a_driver_gets_nothing_that_was_not_decided_on() {
    let place = Place::with_driven();
    let mut command = spoilt(drive(&place, "environment", "open"));
    command.env("OF_NOBODY", "1").env("LC_TIME", "C.UTF-8").env("OMP_NUM_THREADS", "1");
    command.env("MIMALLOC_VERBOSE", "0").env("UBSAN_OPTIONS", "print_stacktrace=1");
    let ran = Ran::of(command).code(4);
    let said = ran.stderr();
    let names: Vec<_> =
        said.split('<').nth(1).and_then(|text| text.split('>').next()).unwrap().split(' ').collect();
    for name in ["PATH", "LC_TIME", "TMPDIR", "OMP_NUM_THREADS", "MIMALLOC_VERBOSE", "UBSAN_OPTIONS"] {
        assert!(names.contains(&name), "{name}: {}", ran.explain());
    }
    // The driver's own folder stands in place of the user's modules.
    for name in RUBBISH.split(' ').filter(|name| *name != "PYTHONPATH").chain(["OF_NOBODY"]) {
        assert!(!names.contains(&name), "{name}: {}", ran.explain());
    }
}

#[test]
fn the_python_that_was_found_runs_and_not_the_one_that_a_variable_names() {
    let place = Place::new();
    place.stage(&plugin("python_runner"));
    let mut command = place.command(&arguments_in("run --json --no-lock --backend python --workload null"));
    command.args(["--items", "9"]).env("PYTHONEXECUTABLE", "/no/such");
    Ran::of(command).verified();
}

/// A run of an installed engine in a spoilt environment.
fn is_verified_in_a_spoilt_environment(engine: &'static str) {
    let engine = Installed::new(engine);
    Ran::of(spoilt(engine.run_command(engine.name, "--workload word_count --items 2000"))).verified();
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn ray_runs_in_a_spoilt_environment() {
    is_verified_in_a_spoilt_environment("ray");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn spark_runs_in_a_spoilt_environment() {
    is_verified_in_a_spoilt_environment("spark");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn dask_runs_in_a_spoilt_environment() {
    is_verified_in_a_spoilt_environment("dask");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn sage_runs_in_a_spoilt_environment() {
    is_verified_in_a_spoilt_environment("sage");
}

/// Runs of an installed engine in folders whose names are no UTF-8, or have a blank or a comma, and with relative ones.
fn is_verified_in_odd_folders(engine: &'static str) {
    let engine = Installed::new(engine);
    let odd = |name: &str| {
        let folder = engine.place.path().join(OsStr::from_bytes(&[name.as_bytes(), b"\xe9"].concat()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    };
    // A path that is longer is replaced by one below `/tmp`.
    let short =
        |prefix: &str| tempfile::Builder::new().prefix(prefix).rand_bytes(4).tempdir_in("/tmp").unwrap();
    let (blank, comma, plain) = (short("a b"), short("a, b"), short("w"));
    let run = |temporary: &Path, working: &Path| {
        let mut command = engine.run_command(engine.name, "--workload word_count --items 2000");
        command.env("TMPDIR", temporary).env("HOME", odd("h")).current_dir(working);
        Ran::of(command).verified();
    };
    std::fs::create_dir_all(odd("w").join("t")).unwrap();
    for temporary in [odd("t").as_path(), Path::new("t"), blank.path()] {
        run(temporary, &odd("w"));
    }
    // What follows a comma would be a folder in this one.
    run(comma.path(), plain.path());
    let made: Vec<_> = std::fs::read_dir(plain.path()).unwrap().flatten().map(|it| it.file_name()).collect();
    assert_eq!(made, ["results"]);
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn ray_runs_in_odd_folders() {
    is_verified_in_odd_folders("ray");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn spark_runs_in_odd_folders() {
    is_verified_in_odd_folders("spark");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn dask_runs_in_odd_folders() {
    is_verified_in_odd_folders("dask");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn sage_runs_in_odd_folders() {
    is_verified_in_odd_folders("sage");
}

/// A run of an installed engine in a folder that has modules of these names, which are no concern of its processes.
fn is_verified_beside_modules(engine: &'static str, names: &[&str]) {
    let engine = Installed::new(engine);
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        std::fs::write(folder.path().join(format!("{name}.py")), "raise SystemExit('of the user')\n")
            .unwrap();
    }
    let mut command = engine.run_command(engine.name, "--workload word_count --items 2000");
    command.current_dir(folder.path());
    Ran::of(command).verified();
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn ray_runs_beside_modules_that_are_called_as_those_of_its_driver() {
    is_verified_beside_modules("ray", &["cluster", "driver", "engine", "environment", "member"]);
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn spark_runs_beside_modules_that_are_called_as_those_of_python() {
    is_verified_beside_modules("spark", &["queue", "random", "signal", "socket", "struct", "types"]);
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn ray_says_that_the_shared_memory_is_small() {
    let ray = Installed::new("ray");
    let mut command = ray.run_command("ray", "--workload word_count --items 2000");
    command.env("CROSSRUN_NAMESPACES", "off");
    let script = "mount -t tmpfs -o size=64m tmpfs /dev/shm || exit 99; exec \"$@\"";
    let ran =
        Ran::of(wrapped("unshare", &["--mount", "--map-root-user", "sh", "-c", script, "sh"], &command));
    if ran.output.status.code() == Some(99) || ran.stderr().contains("unshare: ") {
        return not_run("this user may not mount");
    }
    let record = ran.verified();
    let warnings = record["metadata"]["warnings"].to_string();
    assert!(warnings.contains("The object store is using"), "{warnings}");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn spark_runs_for_a_user_whose_number_has_no_name() {
    let spark = Installed::new("spark");
    let options = ["--user", "--map-user=54321", "--map-group=54321"];
    let can = Command::new("unshare").args(options).arg("true").output();
    if !can.is_ok_and(|ran| ran.status.success()) {
        return not_run("this user may not have a user namespace");
    }
    let mut command = spark.run_command("spark", "--workload word_count --items 2000");
    for variable in ["USER", "LOGNAME", "SPARK_USER"] {
        command.env_remove(variable);
    }
    Ran::of(wrapped("unshare", &options, &command)).verified();
}

#[test]
fn the_last_error_of_an_engines_own_process_is_in_the_message() {
    for (phase, code) in [("open", 3), ("run", 4)] {
        let ran = Ran::of(drive(&Place::with_driven(), "fail_in_child", phase));
        assert!(
            matches!(ran.output.status.code(), Some(found) if found == code || found == 4),
            "{}",
            ran.explain()
        );
        let said = ran.stderr();
        let words = "the engine's last error: Exception in thread \"main\" java.lang.Error: no room";
        assert!(said.contains("a part of it ended") && said.contains(words), "{}", ran.explain());
    }
}

#[test]
fn a_failure_that_says_everything_gets_no_second_error() {
    let ran = Ran::of(drive(&Place::with_driven(), "raise", "run")).code(4);
    assert!(!ran.stderr().contains("last error"), "{}", ran.explain());
}

#[test]
fn what_an_engine_warns_of_when_it_starts_is_in_the_record_and_in_the_summary() {
    let place = Place::with_driven();
    let record: Value = Ran::of(drive(&place, "warn", "open")).code(0).json();
    let warnings = record["metadata"]["warnings"].to_string();
    assert!(warnings.contains("the engine warned: the shared memory is small"), "{warnings}");
    let run = "run --backend driven --workload null --items 9 --extra behaviour=warn --extra at=open";
    let ran = place.run(run).code(0);
    let (said, printed) = (ran.stderr(), ran.stdout());
    assert!(format!("{said}{printed}").contains("the shared memory is small"), "{}", ran.explain());
}
