//! The dask backend: futures of Dask's distributed scheduler, on worker processes of this machine or on a cluster that
//! already exists.
//!
//! `engine.py` submits the tasks of a plan to the workers of `cluster.py`, `crossrun_dask.py` is what they import;
//! [`python_engine`] installs the package and runs the driver.

use plugin_api::Parameter;
use python_engine::{Engine, PythonRange, PythonRunner};

plugin_api::export_runner!(
    name = "dask",
    runner = PythonRunner::new(&DASK).supporting(&["graph", "watermarks"])
);

static DASK: Engine = Engine {
    name: "dask",
    requirements: include_str!("../requirements.txt"),
    build_requirements: "",
    python: PythonRange::new((3, 11), (3, 14)),
    driver: include_str!("../driver.py"),
    files: &[
        ("cluster.py", include_str!("../cluster.py")),
        ("crossrun_dask.py", include_str!("../crossrun_dask.py")),
        ("engine.py", include_str!("../engine.py")),
        ("shipment.py", include_str!("../shipment.py")),
        ("environment.py", include_str!("../environment.py")),
    ],
    options,
    import_check: "distributed",
    variables: &[],
};

fn options() -> Vec<Parameter> {
    vec![Parameter::text(
        "dask_address",
        "the scheduler of a cluster that already exists, as tcp://host:port; none: worker processes of this machine",
        "none",
    )]
}
