//! A backend on plain Python whose driver does what it is told to in `extra.behaviour`.

use plugin_api::Parameter;
use python_engine::{Engine, PythonRange, PythonRunner};

plugin_api::export_runner!(name = "driven", runner = PythonRunner::new(&DRIVEN));

static DRIVEN: Engine = Engine {
    name: "driven",
    requirements: "",
    build_requirements: "",
    python: PythonRange::new((3, 9), (3, 14)),
    driver: include_str!("../driver.py"),
    files: &[("serial.py", include_str!("../serial.py"))],
    options: || {
        let behaviour = Parameter::text("behaviour", "what it does", "none");
        let phase = Parameter::choice("at", "when it does it", &["run", "open", "close"]);
        vec![behaviour, phase]
    },
    import_check: "",
    variables: &[],
};
