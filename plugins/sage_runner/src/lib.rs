//! The sage backend: SAGE's own environments, from the package `isage`, in a Python process of their own.
//!
//! `driver.py` takes a workload's plan through SAGE; [`python_engine`] installs the package and runs the driver.

use plugin_api::Parameter;
use python_engine::{Engine, PythonRange, PythonRunner};

plugin_api::export_runner!(name = "sage", runner = PythonRunner::new(&SAGE));

static SAGE: Engine = Engine {
    name: "sage",
    requirements: include_str!("../requirements.txt"),
    build_requirements: "",
    python: PythonRange::new((3, 11), (3, 13)),
    driver: include_str!("../driver.py"),
    files: &[
        ("cluster.py", include_str!("../cluster.py")),
        ("node.py", include_str!("../node.py")),
        ("pipeline.py", include_str!("../pipeline.py")),
    ],
    options,
    import_check: "sage.runtime",
    variables: &[],
};

fn options() -> Vec<Parameter> {
    vec![
        Parameter::choice(
            "sage_mode",
            "batch: windows of batches through parallel replicas; stream: one batch at a time, in one thread, as an \
             open loop always is",
            &["batch", "stream"],
        ),
        Parameter::choice("sage_environment", "which of SAGE's environments runs it", &["flownet", "local"]),
        Parameter::text(
            "sage_address",
            "the FlowNet nodes that do the work, as host:port[,host:port...]; none: this process",
            "none",
        ),
        Parameter::number("sage_timeout", "seconds that a call to a node may take", 60.0, 0.1, 86400.0),
        Parameter::choice(
            "sage_allow_public",
            "whether nodes may be outside private networks, though FlowNet has neither passwords nor encryption",
            &["false", "true"],
        ),
    ]
}
