//! The ray backend: Ray's own tasks and actors, from the package `ray`, in a Python process of their own.
//!
//! `driver.py` takes a workload's plan through Ray; [`python_engine`] installs the package and runs the driver.

use plugin_api::Parameter;
use python_engine::{Engine, PythonRange, PythonRunner};

plugin_api::export_runner!(
    name = "ray",
    runner = PythonRunner::new(&RAY).supporting(&["graph", "watermarks"])
);

static RAY: Engine = Engine {
    name: "ray",
    requirements: include_str!("../requirements.txt"),
    build_requirements: "",
    python: PythonRange::new((3, 10), (3, 14)),
    driver: include_str!("../driver.py"),
    files: &[
        ("cluster.py", include_str!("../cluster.py")),
        ("crossrun_ray.py", include_str!("../crossrun_ray.py")),
        ("member.py", include_str!("../member.py")),
        ("environment.py", include_str!("../environment.py")),
    ],
    options,
    import_check: "ray",
    variables: &[
        ("RAY_ADDRESS", "the cluster that ray_address=auto stands for"),
        ("RAY_AUTH_MODE", "whether the cluster asks for a token"),
        ("RAY_AUTH_TOKEN", "the cluster's token"),
        ("RAY_AUTH_TOKEN_PATH", "the same"),
        ("RAY_USE_TLS", "whether the cluster encrypts, which Ray knows by its environment only"),
        ("RAY_TLS_*", "the certificates for that"),
        ("RAY_USAGE_STATS_ENABLED", "the user may send statistics to Ray's makers; they are off otherwise"),
        ("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "the user may have Ray listen on all interfaces"),
    ],
};

fn options() -> Vec<Parameter> {
    vec![
        Parameter::choice(
            "ray_idiom",
            "actors: a pool that keeps its states; tasks: stateless, and retried when a node is lost; auto: tasks for \
             batches of 100000 items or more, actors otherwise",
            &["auto", "actors", "tasks"],
        ),
        Parameter::text(
            "ray_address",
            "a cluster that already runs, as host:port; auto: the one that RAY_ADDRESS names",
            "none",
        ),
    ]
}
