//! The plan of a workload: its stages.

use serde::{Deserialize, Serialize};

/// What a stage does to the items that reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// Makes the items. The first stage, and no other.
    Source,
    /// Makes one item from each item.
    Map,
    /// Keeps an item as it is, or drops it.
    Filter,
    /// Makes any number of items from each item.
    FlatMap,
    /// Folds all items of one key into one state, and emits the states when the input has ended.
    KeyedReduce,
    /// Takes the items. The last stage, and no other.
    Sink,
}

/// One stage of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// What it does.
    pub kind: StageKind,
    /// Its name, for people.
    pub name: String,
}

/// The size of a graph of tasks, of which each needs the outputs of tasks of the step before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphShape {
    /// How many rows of tasks there are, one after the other.
    pub steps: u64,
    /// The largest number of tasks of a row: no more can run at once.
    pub width: u64,
    /// How many bytes a task's output has, if another task needs it.
    pub output_bytes: u64,
    /// Whether the user asked for the stages: the host then grants no backend the word `graph`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stages_only: bool,
    /// Whether the steps are `total_items` divided by the workload's parameter `width`: the host then rounds the items down to whole
    /// rows, if there are items for one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole_rows: bool,
    /// The stage of which a call for one item runs the kernel of a task, and nothing that depends on the inputs: `crossrun metg`
    /// times it. `None` if no stage is that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_stage: Option<usize>,
}

/// A chain of stages, from the source to the sink. A stage's number is its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The stages in order.
    pub stages: Vec<Stage>,
    /// Whether items arrive when they are due ([`Workload::due`](super::Workload::due)) rather than when they are
    /// requested. Opening the workload sets it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open_loop: bool,
    /// The graph of tasks that the stages run, if they run one: how `total_items` was rounded to rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph: Option<GraphShape>,
}

impl Plan {
    /// A plan with only a source and a sink.
    pub fn new() -> Self {
        let source = Stage { kind: StageKind::Source, name: "source".into() };
        let sink = Stage { kind: StageKind::Sink, name: "sink".into() };
        Self { stages: vec![source, sink], open_loop: false, graph: None }
    }

    /// Adds a stage before the sink.
    #[must_use]
    pub fn then(mut self, kind: StageKind, name: impl Into<String>) -> Self {
        let sink = self.sink();
        self.stages.insert(sink, Stage { kind, name: name.into() });
        self
    }

    /// Says which graph of tasks the stages run.
    #[must_use]
    pub fn with_graph(self, shape: GraphShape) -> Self {
        Self { graph: Some(shape), ..self }
    }

    /// Whether it has stages between source and sink. A graph of tasks without them runs only by its tasks.
    pub fn has_stages(&self) -> bool {
        self.sink() > 1
    }

    /// Whether one of its stages is a keyed reduction.
    pub fn has_reduction(&self) -> bool {
        self.stages.iter().any(|stage| stage.kind == StageKind::KeyedReduce)
    }

    /// Whether it is an open loop with a keyed reduction. The results of that are due before the input ends, so a backend that runs
    /// it closes reductions while the input goes on.
    pub fn has_due_results(&self) -> bool {
        self.open_loop && self.has_reduction()
    }

    /// The number of the sink.
    pub fn sink(&self) -> usize {
        self.stages.len().saturating_sub(1)
    }

    /// What stage number `stage` does, if there is one.
    pub fn kind(&self, stage: usize) -> Option<StageKind> {
        self.stages.get(stage).map(|stage| stage.kind)
    }

    /// The first stage at or after `from` that is not a map, filter or flat map: how far `run_stages` may fuse.
    pub fn end_of_chain(&self, from: usize) -> usize {
        let stateless =
            |stage: &&Stage| matches!(stage.kind, StageKind::Map | StageKind::Filter | StageKind::FlatMap);
        from + self.stages.iter().skip(from).take_while(stateless).count()
    }

    /// Whether it is a source, any stages between, and a sink.
    pub fn is_well_formed(&self) -> bool {
        use StageKind::{Sink, Source};
        match self.stages.as_slice() {
            [first, inner @ .., last] => {
                first.kind == Source
                    && last.kind == Sink
                    && inner.iter().all(|stage| !matches!(stage.kind, Source | Sink))
            }
            _ => false,
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_come_between_source_and_sink() {
        let plan = Plan::new().then(StageKind::Map, "a").then(StageKind::Filter, "b");
        let names: Vec<_> = plan.stages.iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(names, ["source", "a", "b", "sink"]);
        assert!(plan.is_well_formed());
        assert!(!plan.then(StageKind::Sink, "another").is_well_formed());
    }

    #[test]
    fn a_chain_ends_at_a_keyed_reduce_or_the_sink() {
        let plan = Plan::new()
            .then(StageKind::Map, "a")
            .then(StageKind::KeyedReduce, "b")
            .then(StageKind::FlatMap, "c");
        assert_eq!(plan.end_of_chain(1), 2);
        assert_eq!(plan.end_of_chain(2), 2);
        assert_eq!(plan.end_of_chain(3), 4);
    }
}
