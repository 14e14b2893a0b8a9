//! The graphs whose tasks sweeps measured.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::compare::group::by_options;
use crate::metg::ITERATIONS;
use crate::plan::defaults::{COMPUTING, TASK_GRAPH};
use crate::run::task_graph::{Form, TaskGraph};
use crate::text::json_text;

/// The parameter that every swept graph has.
const WIDTH: &str = "width";
/// The keys of `extra` that are fields of their own, or that a sweep sets.
const KNOWN: [&str; 7] = ["batch_size", "form", ITERATIONS, "output_bytes", "pattern", "radix", WIDTH];

/// A graph whose tasks are measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SweptGraph {
    /// The workload that the graph is of.
    pub workload: String,
    /// Absent where the workload has no such parameter, as are the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// How many inputs a task has; absent where the pattern alone decides that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radix: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
    /// The other options of workload and backend.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Json>,
    pub width: u64,
    pub steps: u64,
    /// How it ran; absent if no trial of it began. Figures of two forms are never of one row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
}

impl SweptGraph {
    /// The graph of a trial of `workload` with these options, before anything is known of its run; `None` if its tasks are independent.
    pub(crate) fn planned(workload: &str, extra: &Map<String, Json>) -> Option<Self> {
        let number = |key: &str| extra.get(key).and_then(Json::as_u64);
        let width = number(WIDTH).filter(|_| workload != COMPUTING)?;
        let others = extra.iter().filter(|(key, _)| !KNOWN.contains(&key.as_str()));
        Some(Self {
            workload: workload.into(),
            pattern: extra.get("pattern").and_then(Json::as_str).map(str::to_owned),
            radix: number("radix"),
            output_bytes: number("output_bytes"),
            settings: others.map(|(key, value)| (key.clone(), value.clone())).collect(),
            width,
            steps: 0,
            form: None,
        })
    }

    /// The graph as it ran, with so many tasks.
    pub(super) fn ran(self, tasks: u64, graph: Option<TaskGraph>) -> Self {
        Self {
            steps: tasks / self.width.max(1),
            output_bytes: self.output_bytes.or(graph.map(|graph| graph.output_bytes)),
            form: graph.map(|graph| graph.form),
            ..self
        }
    }

    /// The pattern, with the radix if it has one: `nearest(3)`.
    pub(super) fn shape(&self) -> Option<String> {
        let radix = self.radix.map_or_else(String::new, |radix| format!("({radix})"));
        self.pattern.as_ref().map(|pattern| format!("{pattern}{radix}"))
    }
}

impl Ord for SweptGraph {
    fn cmp(&self, other: &Self) -> Ordering {
        let named = |it: &Self| (it.workload.clone(), it.pattern.clone(), it.radix, it.output_bytes);
        let size = |it: &Self| (it.width, it.steps, it.form);
        named(self)
            .cmp(&named(other))
            .then_with(|| by_options(&self.settings, &other.settings))
            .then_with(|| size(self).cmp(&size(other)))
    }
}

impl PartialOrd for SweptGraph {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What tells it from others of a run, but for its size: `nearest(3) 64 B`, `mine shift=2 8 B, stages`. The default workload has no name.
impl fmt::Display for SweptGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workload = Some(self.workload.clone()).filter(|name| name != TASK_GRAPH);
        let radix = self.radix.filter(|_| self.pattern.is_none()).map(|radix| format!("radix={radix}"));
        let setting = |(key, value): (&String, &Json)| format!("{key}={}", json_text(value));
        let bytes = self.output_bytes.map(|bytes| format!("{bytes} B"));
        let before = workload.into_iter().chain(self.shape()).chain(radix);
        let words: Vec<_> = before.chain(self.settings.iter().map(setting)).chain(bytes).collect();
        let form = if self.form == Some(Form::Stages) { ", stages" } else { "" };
        write!(f, "{}{form}", words.join(" "))
    }
}
