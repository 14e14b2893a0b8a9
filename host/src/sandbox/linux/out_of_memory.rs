//! Which processes the system ends first when memory runs out: those of a worker, then those that watch it, and the host last.

use std::fs;

/// The system ends processes in the order of their scores, which go from -1000 to 1000.
pub(super) const WATCHES: i32 = 500;
pub(super) const WORKER: i32 = 1000;

/// Gives a process, such as `self` or `27`, and those that it starts this score, unless it has a higher one. It takes no right. Where the
/// system refuses it, the process is ended in its turn.
pub(super) fn end_early(process: &str, score: i32) {
    let file = format!("/proc/{process}/oom_score_adj");
    let present = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if present.is_some_and(|present| present < score) {
        let _ = fs::write(file, score.to_string());
    }
}
