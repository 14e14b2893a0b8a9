//! The example whose work runs in MPI ranks, where Open MPI is installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::c_backend::{agrees_with_native, run};
use crate::installed_engine::shapes;
use crate::support::{Place, executable, not_run, repository};

/// The library that the example's makefile makes; `None` without Open MPI.
fn mpi() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = executable().ancestors().nth(2).unwrap().join("mpi_backend");
    if folder.to_str().is_none_or(|path| path.contains(char::is_whitespace)) {
        not_run("the path of the build has a blank, and a makefile has no targets with one");
        return None;
    }
    let built = BUILT.get_or_init(|| {
        let is_there = |program| Command::new(program).arg("--version").output().is_ok();
        if !["mpicc", "mpirun", "make"].into_iter().all(is_there) {
            return None;
        }
        std::fs::create_dir_all(&folder).unwrap();
        let example = repository().join("plugin-api/examples/mpi");
        let out = format!("OUT={}", folder.display());
        let output = Command::new("make").arg("-C").arg(example).arg(out).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(folder.join("libmpi_runner.so"))
    });
    if built.is_none() {
        not_run("Open MPI is not installed");
    }
    built.as_deref()
}

fn place(backend: &Path) -> Place {
    let place = Place::new();
    place.stage(backend);
    place
}

#[test]
fn the_ranks_have_the_answers_of_native() {
    let Some(backend) = mpi() else { return };
    let place = place(backend);
    // Each run starts its ranks: a part of the shapes is enough, and has every workload.
    for words in shapes().step_by(3) {
        let record = agrees_with_native(&place, "mpi", &words);
        let metrics = &record["metadata"]["raw_metrics"];
        let ranks = words.split_once("--parallelism ").unwrap().1.split(' ').next().unwrap();
        assert_eq!(
            (metrics["ranks"].to_string().as_str(), &metrics["late_opens"]),
            (ranks, &0.into()),
            "{record}"
        );
    }
}

#[test]
fn an_open_loop_runs_in_ranks() {
    let Some(backend) = mpi() else { return };
    let ran = run(&place(backend), "mpi", "--workload open_loop --items 200 --parallelism 2 rate=1000");
    // On a busy machine its source is late, and the measurement not valid; the answer is right all the same.
    let record = ran.json();
    assert!(record["metadata"]["checksum"].is_string(), "{}", ran.explain());
    assert_eq!(record["metadata"]["checksum"], record["metadata"]["expected_checksum"], "{}", ran.explain());
}

#[test]
fn a_fault_in_a_rank_is_told_with_its_words() {
    let Some(backend) = mpi() else { return };
    let place = Place::empty();
    place.stage(backend);
    place.stage(crate::installed_engine::samples());
    for (fault, reason) in [("map_fails", "the map said no"), ("fold_panics", "the fold gave up")] {
        let words = format!("--workload faulty --items 2000 --parallelism 3 fault={fault}");
        let record = run(&place, "mpi", &words).code(4).says(reason).json();
        assert_eq!(record["metadata"]["error"]["kind"], "workload", "{record}");
    }
}

#[test]
fn more_nodes_need_a_file_with_the_machines() {
    let Some(backend) = mpi() else { return };
    run(&place(backend), "mpi", "--workload null --nodes 2").code(3).says("hostfile=FILE");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn it_conforms() {
    let Some(backend) = mpi() else { return };
    crate::conformance::file_conforms(backend);
}
