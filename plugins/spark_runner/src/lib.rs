//! The spark backend: resilient distributed datasets of Apache Spark, in a Java process of this machine or on a cluster
//! that already exists.
//!
//! `driver.py` runs a workload as a job and watches it, `lineage.py` makes Spark's datasets of a plan, `engine.py` starts
//! and stops Spark, `cluster.py` knows its machines, and `crossrun_spark.py` is how a library gets to them.
//! [`python_engine`] installs the package and runs the driver. Java is not installed from here: `java` looks for it.

mod java;

use plugin_api::{
    Availability, ErrorKind, Parameter, RunContext, RunResult, RunnerError, Session, SetupContext,
    SetupRequest, WorkloadRunner, WorkloadSpec,
};
use python_engine::{Engine, PythonRange, PythonRunner};

plugin_api::export_runner!(name = "spark", runner = SparkRunner::new());

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

/// A backend on a Python engine that needs Java too.
struct SparkRunner(PythonRunner);

impl SparkRunner {
    const fn new() -> Self {
        Self(PythonRunner::new(&SPARK))
    }
}

impl WorkloadRunner for SparkRunner {
    fn backend_name(&self) -> &str {
        self.0.backend_name()
    }

    fn is_available(&self) -> Availability {
        match self.0.is_available() {
            Availability::Available => java::ask().map_or_else(
                |unfit| Availability::Unavailable { reason: unfit.to_string(), remedy: unfit.remedy() },
                |()| Availability::Available,
            ),
            unavailable @ Availability::Unavailable { .. } => unavailable,
        }
    }

    fn options(&self) -> Vec<Parameter> {
        self.0.options()
    }

    fn open(&mut self, session: &Session) -> Result<(), RunnerError> {
        java::ask().map_err(|unfit| {
            RunnerError::new(ErrorKind::Unavailable, unfit.to_string()).with_remedy(unfit.remedy())
        })?;
        self.0.open(session)
    }

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        self.0.run(spec, context)
    }

    fn close(&mut self) -> Result<(), RunnerError> {
        self.0.close()
    }

    fn setup(&mut self, request: &SetupRequest, context: &SetupContext) -> Result<(), RunnerError> {
        self.0.setup(request, context)
    }
}
