//! Selects checks by patterns.

use super::table::{CHECKS, Check};

/// The checks that `include` matches, or all, without those that `exclude` matches. A pattern is an id, the part of an id before
/// the dot, or has `*` for any characters.
///
/// # Errors
/// The pattern that matches no check.
pub(crate) fn select(include: &[String], exclude: &[String]) -> Result<Vec<&'static Check>, String> {
    let unknown = |pattern: &&String| !CHECKS.iter().any(|check| matches(pattern, check.id));
    if let Some(pattern) = include.iter().chain(exclude).find(unknown) {
        return Err(pattern.clone());
    }
    let any = |patterns: &[String], id: &str| patterns.iter().any(|pattern| matches(pattern, id));
    let included = CHECKS.iter().filter(|check| include.is_empty() || any(include, check.id));
    Ok(included.filter(|check| !any(exclude, check.id)).collect())
}

fn matches(pattern: &str, id: &str) -> bool {
    let group = id.split('.').next().unwrap_or_default();
    pattern == group || fits(pattern, id)
}

/// Whether `text` is `pattern`, in which `*` stands for any characters.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|left| {
            left.char_indices().map(|(at, _)| &left[at..]).chain([""]).any(|left| fits(rest, left))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(include: &[&str], exclude: &[&str]) -> Vec<&'static str> {
        let own = |patterns: &[&str]| patterns.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        select(&own(include), &own(exclude)).unwrap().iter().map(|check| check.id).collect()
    }

    #[test]
    fn a_pattern_is_an_id_a_group_or_has_stars() {
        assert_eq!(ids(&["file.release"], &[]), ["file.release"]);
        assert_eq!(ids(&["file"], &[]), ["file.metadata", "file.release"]);
        assert_eq!(ids(&["f*.rel*"], &[]), ["file.release"]);
        assert_eq!(ids(&["file"], &["*release"]), ["file.metadata"]);
        assert_eq!(ids(&[], &[]).len(), CHECKS.len());
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_an_error() {
        assert_eq!(select(&["fil".into()], &[]).unwrap_err(), "fil");
        assert_eq!(select(&[], &["*.nothing".into()]).unwrap_err(), "*.nothing");
    }

    #[test]
    fn ids_are_unique_and_of_two_parts() {
        let mut seen = std::collections::BTreeSet::new();
        for check in CHECKS.iter() {
            assert!(seen.insert(check.id), "{} comes twice", check.id);
            assert_eq!(check.id.split('.').count(), 2, "{}", check.id);
            assert!(
                check.id.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'.' | b'_')),
                "{}",
                check.id
            );
            assert!(![check.demands, check.rule, check.remedies].contains(&""), "{}", check.id);
        }
    }
}
