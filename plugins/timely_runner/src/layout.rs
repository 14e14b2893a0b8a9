//! Which operators a plan becomes.

use plugin_api::{Fusion, Plan, StageKind};

/// The operators of one worker, in order. Every worker has the same.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The source makes items and takes them through the stages `1..source_to`.
    pub(crate) source_to: usize,
    /// What lies between the source and the sink.
    pub(crate) nodes: Vec<Node>,
}

/// An operator between the source and the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// Takes batches through the stages `from..to`.
    Chain { from: usize, to: usize },
    /// Folds what comes for the reduction `stage`, and emits it at the end.
    Reduce { stage: usize },
}

impl Layout {
    /// With fusion a chain is one operator, together with the source if it begins there; without, each stage is one.
    pub(crate) fn of(plan: &Plan, fusion: Fusion) -> Self {
        let source_to = match fusion {
            Fusion::Auto => plan.end_of_chain(1),
            Fusion::Off => 1,
        };
        let (mut nodes, mut from) = (Vec::new(), source_to);
        while from < plan.sink() {
            let to = match fusion {
                Fusion::Auto => plan.end_of_chain(from),
                Fusion::Off => from + 1,
            };
            if plan.kind(from) == Some(StageKind::KeyedReduce) {
                nodes.push(Node::Reduce { stage: from });
                from += 1;
            } else {
                nodes.push(Node::Chain { from, to });
                from = to;
            }
        }
        Self { source_to, nodes }
    }

    /// The operators' names, from the source to the sink.
    pub(crate) fn names(&self, plan: &Plan) -> Vec<String> {
        let source = std::iter::once(self.source_name(plan));
        let nodes = self.nodes.iter().map(|node| node.name(plan));
        source.chain(nodes).chain([joined(plan, plan.sink(), plan.sink() + 1)]).collect()
    }

    /// The name of the source with what it does beside.
    pub(crate) fn source_name(&self, plan: &Plan) -> String {
        joined(plan, 0, self.source_to)
    }
}

impl Node {
    /// The names of its stages.
    pub(crate) fn name(self, plan: &Plan) -> String {
        match self {
            Self::Chain { from, to } => joined(plan, from, to),
            Self::Reduce { stage } => joined(plan, stage, stage + 1),
        }
    }
}

fn joined(plan: &Plan, from: usize, to: usize) -> String {
    let names = plan.stages.iter().take(to).skip(from).map(|stage| stage.name.as_str());
    names.collect::<Vec<_>>().join(" + ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan() -> Plan {
        Plan::new()
            .then(StageKind::Map, "a")
            .then(StageKind::Filter, "b")
            .then(StageKind::KeyedReduce, "c")
            .then(StageKind::FlatMap, "d")
            .then(StageKind::Map, "e")
    }

    #[test]
    fn with_fusion_a_chain_is_one_operator_and_without_each_stage_is() {
        let names = |fusion| Layout::of(&plan(), fusion).names(&plan());
        assert_eq!(names(Fusion::Auto), ["source + a + b", "c", "d + e", "sink"]);
        assert_eq!(names(Fusion::Off), ["source", "a", "b", "c", "d", "e", "sink"]);
    }

    #[test]
    fn a_plan_without_stages_is_a_source_and_a_sink() {
        for fusion in [Fusion::Auto, Fusion::Off] {
            assert_eq!(Layout::of(&Plan::new(), fusion), Layout { source_to: 1, nodes: Vec::new() });
        }
    }

    proptest! {
        #[test]
        fn every_stage_is_in_one_operator_and_in_order(
            kinds in prop::collection::vec(prop::sample::select(
                vec![StageKind::Map, StageKind::Filter, StageKind::FlatMap, StageKind::KeyedReduce]), 0..8)
        ) {
            let plan = kinds.iter().enumerate().fold(Plan::new(), |plan, (at, kind)| plan.then(*kind, at.to_string()));
            let all: Vec<_> = plan.stages.iter().map(|stage| stage.name.clone()).collect();
            for fusion in [Fusion::Auto, Fusion::Off] {
                let names = Layout::of(&plan, fusion).names(&plan).join(" + ");
                prop_assert_eq!(names.split(" + ").collect::<Vec<_>>(), all.clone());
            }
        }
    }
}
