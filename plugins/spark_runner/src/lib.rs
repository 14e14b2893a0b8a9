//! The spark backend: resilient distributed datasets of Apache Spark, in a Java process of this machine or on a cluster
//! that already exists.
//!
//! `driver.py` runs a workload as a job and watches it, `lineage.py` makes Spark's datasets of a plan, `engine.py` starts
//! and stops Spark, `cluster.py` knows its machines, and `crossrun_spark.py` is how a library gets to them.
//! [`python_engine`] installs the package and runs the driver. Java is not installed from here: `java` looks for it.

mod java;

use plugin_api::Parameter;
use python_engine::{Engine, PythonRange, PythonRunner};

plugin_api::export_runner!(name = "spark", runner = PythonRunner::new(&SPARK).needing(java::check));

static SPARK: Engine = Engine {
    name: "spark",
    requirements: include_str!("../requirements.txt"),
    build_requirements: include_str!("../build-requirements.txt"),
    python: PythonRange::new((3, 11), (3, 13)),
    driver: include_str!("../driver.py"),
    files: &[
        ("cluster.py", include_str!("../cluster.py")),
        ("crossrun_spark.py", include_str!("../crossrun_spark.py")),
        ("engine.py", include_str!("../engine.py")),
        ("lineage.py", include_str!("../lineage.py")),
    ],
    options,
    import_check: "pyspark",
    variables: java::VARIABLES,
};

fn options() -> Vec<Parameter> {
    vec![Parameter::text(
        "spark_master",
        "the master of a cluster that already exists, as spark://host:port; none: a Java process of this machine",
        "none",
    )]
}
