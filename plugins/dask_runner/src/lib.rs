//! The dask backend: futures of Dask's distributed scheduler, on worker processes of this machine or on a cluster that
//! already exists.
//!
//! `driver.py` takes a workload's plan through Dask, `crossrun_dask.py` is what its workers run, and `shipment.py` brings
//! both the library and the code to the workers of a cluster; [`python_engine`] does the rest.

use plugin_api::Parameter;
use python_engine::{Engine, PythonRange, PythonRunner};

plugin_api::export_runner!(name = "dask", runner = PythonRunner::new(&DASK));

static DASK: Engine = Engine {
    name: "dask",
    requirements: include_str!("../requirements.txt"),
    build_requirements: "",
    python: PythonRange::new((3, 11), (3, 14)),
    driver: include_str!("../driver.py"),
    files: &[
        ("crossrun_dask.py", include_str!("../crossrun_dask.py")),
        ("shipment.py", include_str!("../shipment.py")),
    ],
    options,
    import_check: "distributed",
};

fn options() -> Vec<Parameter> {
    vec![Parameter::text(
        "dask_address",
        "the scheduler of a cluster that already exists, as tcp://host:port; none: worker processes of this machine",
        "none",
    )]
}
