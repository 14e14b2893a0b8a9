//! What only the backend says of its run: the host does not check it.

use serde_json::{Map, Value};

use super::format::UnifiedRecord;

/// The versions that the host itself knows.
const OF_HOST: [&str; 2] = ["crossrun", "plugin_api"];

/// Whether a version in [`Metadata::versions`](super::Metadata::versions) is the backend's word.
pub(crate) fn is_claimed(version: &str) -> bool {
    !OF_HOST.contains(&version)
}

/// What of a record only the backend says: `nodes 3`, `scheduler "fifo"`, `version of "engine" "9"`.
pub(crate) fn claims(record: &UnifiedRecord) -> Vec<String> {
    let metadata = &record.metadata;
    let nodes = metadata.raw_metrics.get("nodes").map(|nodes| format!("nodes {nodes}"));
    // Of a run without a result the record has the scheduler that was asked for.
    let scheduler = metadata.scheduler_name.as_ref().filter(|_| metadata.worker_elapsed.is_some());
    let scheduler = scheduler.map(|name| format!("scheduler {name:?}"));
    nodes.into_iter().chain(scheduler).chain(claimed_versions(&metadata.versions)).collect()
}

fn claimed_versions(versions: &Map<String, Value>) -> impl Iterator<Item = String> {
    let claimed = versions.iter().filter(|(name, _)| is_claimed(name));
    claimed.map(|(name, version)| format!("version of {name:?} {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::trial::examples;

    #[test]
    fn what_the_backend_reports_is_a_claim_and_what_the_host_knows_is_none() {
        let mut record = examples::verified().record;
        assert_eq!(claims(&record), [r#"scheduler "fifo""#, r#"version of "engine" "9""#]);
        record.metadata.raw_metrics.insert("nodes".into(), 3.into());
        assert_eq!(claims(&record)[0], "nodes 3");
        assert!(claims(&examples::failed().record).is_empty());
    }
}
