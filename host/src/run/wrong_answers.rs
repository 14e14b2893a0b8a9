//! The wrong answers to work of too many items for a serial run: whether another backend gives the same.

use std::collections::{HashMap, HashSet};

use plugin_api::workload::Outcome as Answer;

#[derive(Debug, Default)]
pub(super) struct WrongAnswers {
    /// The first wrong answer to each work, by its data, and the backend that gave it.
    first: HashMap<String, (String, Answer)>,
    /// The data of which a backend gave the right answer: neither the workload nor its oracle is at fault there.
    right: HashSet<String>,
}

impl WrongAnswers {
    /// Notes that a backend gave the right answer to the work with this `data`.
    pub(super) fn add_right(&mut self, data: String) {
        self.right.insert(data);
    }

    /// Notes a wrong answer of `backend`. Returns the other backend that gave the same before, unless one gave the right one.
    pub(super) fn add(&mut self, data: String, backend: &str, wrong: &Answer) -> Option<&str> {
        if self.right.contains(&data) {
            return None;
        }
        let (other, answer) = self.first.entry(data).or_insert_with(|| (backend.to_owned(), wrong.clone()));
        let is_same = (answer.count, &answer.checksum) == (wrong.count, &wrong.checksum);
        (is_same && other.as_str() != backend).then_some(other.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_backend_with_the_same_answer_is_told_where_none_has_the_right_one() {
        let wrong = |count| Answer { count, checksum: String::new(), waiting_seconds: None, latency: None };
        let mut answers = WrongAnswers::default();
        let mut add = |backend, count| answers.add("one".into(), backend, &wrong(count)).map(str::to_owned);
        assert_eq!((add("a", 1), add("a", 1), add("b", 2)), (None, None, None));
        assert_eq!(add("b", 1).as_deref(), Some("a"));
        answers.add_right("other".into());
        assert_eq!(answers.add("one".into(), "c", &wrong(1)), Some("a"));
        answers.add_right("one".into());
        assert_eq!(answers.add("one".into(), "c", &wrong(1)), None);
    }
}
