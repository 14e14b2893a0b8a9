//! The {{name}} backend: what is installed for it, and how it is driven. The work is in `driver.py`.

use python_engine::{Engine, PythonRange, PythonRunner};

#[cfg(test)]
mod tests;

plugin_api::export_runner!(name = "{{name}}", runner = PythonRunner::new(&ENGINE));

static ENGINE: Engine = Engine {
    name: "{{name}}",
    // Empty as long as nothing is to be installed; then `import_check` names one of its modules.
    requirements: include_str!("../requirements.txt"),
    build_requirements: "",
    python: PythonRange::new((3, 9), (3, 14)),
    driver: include_str!("../driver.py"),
    files: &[],
    options: Vec::new,
    import_check: "",
    variables: &[],
};
