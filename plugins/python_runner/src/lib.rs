//! The python backend: a thread pool of Python's standard library, which needs nothing installed but Python itself. Beside
//! an engine in Python it tells what of the cost is the language's own.
//!
//! `driver.py` maps the stages onto the pool; [`python_engine`] does the rest.

use python_engine::{Engine, PythonRange, PythonRunner};

plugin_api::export_runner!(
    name = "python",
    runner = PythonRunner::new(&PYTHON).supporting(&["graph", "watermarks"])
);

static PYTHON: Engine = Engine {
    name: "python",
    requirements: "",
    build_requirements: "",
    python: PythonRange::new((3, 9), (3, 14)),
    driver: include_str!("../driver.py"),
    files: &[],
    options: Vec::new,
    import_check: "",
    variables: &[],
};
