//! A backend on an engine that is published as source only: an archive among the tests' fixtures, and what builds it.

use python_engine::{Engine, PythonRange, PythonRunner};

plugin_api::export_runner!(name = "built", runner = PythonRunner::new(&BUILT));

static BUILT: Engine = Engine {
    name: "built",
    requirements: "tiny-engine==2.0 \\\n    --hash=sha256:208dbd13071e2909262dd3dec83c3d082255ff661d2cf02f5979a347a3ee20b6\n",
    build_requirements: "tiny-builder==1.0 \\\n    --hash=sha256:76d34af2458e39de4000482409a32e71091c3f0971cd5c9548101026a7d1ff73\n",
    python: PythonRange::new((3, 9), (3, 14)),
    driver: include_str!("../../provisioned_runner/driver.py"),
    files: &[("serial.py", include_str!("../../driven_runner/serial.py"))],
    options: Vec::new,
    import_check: "tiny_engine",
    variables: &[],
};
