//! Lists of cores, as the system writes them.

/// The cores in a list of the system's, such as `0,4` or `0-1`.
pub(crate) fn listed(list: &str) -> impl Iterator<Item = usize> {
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse::<usize>().ok()?)
    };
    list.split(',').filter_map(range).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cores_has_numbers_and_ranges() {
        let lists = ["0,4\n", "0-1,8-9", ""].map(|list| listed(list).collect::<Vec<_>>());
        assert_eq!(lists, [vec![0, 4], vec![0, 1, 8, 9], vec![]]);
    }
}
