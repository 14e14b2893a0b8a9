//! A backend on an engine that has to be installed: a wheel among the tests' fixtures.

use python_engine::{Engine, PythonRange, PythonRunner};

plugin_api::export_runner!(name = "provisioned", runner = PythonRunner::new(&PROVISIONED));

static PROVISIONED: Engine = Engine {
    name: "provisioned",
    requirements: "tiny-engine==1.0 \\\n    --hash=sha256:c959773c4c3b8963e7b7141659adae6b3fb97e489b65dddbcb9a07fbf3d2f19b\n",
    build_requirements: "",
    python: PythonRange::new((3, 9), (3, 14)),
    driver: include_str!("../driver.py"),
    files: &[("serial.py", include_str!("../../driven_runner/serial.py"))],
    options: Vec::new,
    import_check: "tiny_engine",
    variables: &[],
};
