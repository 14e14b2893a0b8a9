//! Whether two machines are the same.

use serde_json::Value;

use super::environment::SystemProfile;
use crate::first_seen::grouped;
use crate::shell;

/// So much of its memory one machine may have less at another time: a hypervisor takes some of it back, and another start of the system
/// keeps a little more for itself.
const MEMORY: f64 = 0.05;

/// The keys in which two machines differ. Python is not compared: an engine has its own.
pub(crate) fn machine_keys(one: &SystemProfile, other: &SystemProfile) -> Vec<&'static str> {
    let same = [
        ("hostname", one.hostname == other.hostname),
        ("os", one.os == other.os),
        ("arch", one.arch == other.arch),
        ("cpu_model", one.cpu_model == other.cpu_model),
        ("cpu_physical_cores", one.cpu_physical_cores == other.cpu_physical_cores),
        ("memory_gb", same_memory(one.memory_gb, other.memory_gb)),
        ("cpu_logical_cores", one.cpu_logical_cores == other.cpu_logical_cores),
        ("governor", one.governor == other.governor),
        ("smt", same_if_known(&one.smt, &other.smt)),
        ("cpu_quota", same_quota(one, other)),
        ("mitigations", same_if_known(&one.mitigations, &other.mitigations)),
    ];
    same.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
}

/// The keys in which two machines differ or, if they could be one, those that only one of the descriptions has, or that are not quite the
/// same.
pub(crate) fn distinguishing_keys(one: &SystemProfile, other: &SystemProfile) -> Vec<&'static str> {
    let keys = machine_keys(one, other);
    if !keys.is_empty() {
        return keys;
    }
    let of_one = [
        ("memory_gb", one.memory_gb != other.memory_gb),
        ("smt", one.smt != other.smt),
        ("cpu_quota", one.cpu_quota != other.cpu_quota),
        ("mitigations", one.mitigations != other.mitigations),
    ];
    of_one.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

/// The machines that some records describe.
///
/// A description without a key fits all machines that differ in that key alone, and would make one of them. One with an amount of memory
/// between those of two others may fit both, too. So two descriptions are of one machine if whatever fits one of them fits the other, too.
/// Then one that fits two machines is of neither, in whatever order the records are.
#[derive(Default)]
pub(crate) struct Machines<'a> {
    /// In the order in which they first appear, of each the description with the most keys.
    pub(crate) profiles: Vec<&'a SystemProfile>,
    /// All descriptions of each.
    descriptions: Vec<Vec<&'a SystemProfile>>,
}

impl<'a> Machines<'a> {
    pub(crate) fn new(profiles: impl Iterator<Item = &'a SystemProfile>) -> Self {
        let mut described: Vec<&SystemProfile> = Vec::new();
        for profile in profiles {
            if !described.iter().any(|known| distinguishing_keys(known, profile).is_empty()) {
                described.push(profile);
            }
        }
        let fitting = |one: &&SystemProfile| {
            described.iter().map(|other| machine_keys(one, other).is_empty()).collect::<Vec<_>>()
        };
        let machines = grouped(described.iter().map(|one| (fitting(one), *one)));
        let descriptions: Vec<_> = machines.into_iter().map(|(_, descriptions)| descriptions).collect();
        let unknown = |it: &&&SystemProfile| {
            [it.smt.is_none(), it.cpu_quota.is_none(), it.mitigations.is_none()]
                .into_iter()
                .filter(|it| *it)
                .count()
        };
        let fullest = descriptions.iter().filter_map(|of_one| of_one.iter().min_by_key(unknown).copied());
        Self { profiles: fullest.collect(), descriptions }
    }

    /// The place of the machine of one of the descriptions.
    pub(crate) fn place(&self, profile: &SystemProfile) -> Option<usize> {
        let is_it = |known: &&SystemProfile| distinguishing_keys(known, profile).is_empty();
        self.descriptions.iter().position(|of_one| of_one.iter().any(is_it))
    }
}

/// What tells two descriptions apart, with the values of both, for one line of text. What is a list of its own has its key alone.
pub(crate) fn machine_differences(then: &SystemProfile, now: &SystemProfile) -> String {
    let value = |profile: &SystemProfile, key: &str| {
        let profile = serde_json::to_value(profile).unwrap_or_default();
        profile.get(key).filter(|value| !value.is_null()).map_or("none".to_owned(), Value::to_string)
    };
    let of_key = |key| match [then, now].map(|profile| value(profile, key)) {
        [then, now] if then.starts_with('{') || now.starts_with('{') => key.to_owned(),
        [then, now] => format!("{key}: {then} then, {now} now"),
    };
    machine_keys(then, now).into_iter().map(of_key).collect::<Vec<_>>().join("; ")
}

/// Under what conditions machines that differ in these keys count as one; `None` if they differ in more than their name. A new container
/// has a new name, and so has a machine that was renamed: its user can give it the old one, which is `name`.
pub(crate) fn under_one_name(keys: &[impl AsRef<str>], name: Option<&str>) -> Option<String> {
    let differ_in_name = matches!(keys, [key] if key.as_ref() == "hostname");
    let name = shell::quote(name.filter(|_| differ_in_name)?);
    Some(format!(
        "under the host name {name} if it is the same machine (of a container: docker run --hostname {name})"
    ))
}

fn same_memory(one: Option<f64>, other: Option<f64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() <= MEMORY * one.max(other),
        _ => one == other,
    }
}

/// Records of earlier versions do not have these keys.
fn same_if_known<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
    one.as_ref().zip(other.as_ref()).is_none_or(|(one, other)| one == other)
}

/// A quota is absent without a limit too. Then the mitigations say whether the record is from a version that looked for a quota.
fn same_quota(one: &SystemProfile, other: &SystemProfile) -> bool {
    let looked = one.mitigations.is_some() && other.mitigations.is_some();
    if looked { one.cpu_quota == other.cpu_quota } else { same_if_known(&one.cpu_quota, &other.cpu_quota) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A machine on which mitigations are on, off, or not recorded.
    fn with_mitigations(are: Option<&str>) -> SystemProfile {
        let mitigations = are.map(|are| BTreeMap::from([("spectre_v1".to_owned(), are.to_owned())]));
        SystemProfile { mitigations, ..SystemProfile::default() }
    }

    /// The number of machines, and which of these descriptions are of one.
    fn machines_of(profiles: &[&SystemProfile]) -> (usize, Vec<usize>) {
        let machines = Machines::new(profiles.iter().copied());
        (machines.profiles.len(), profiles.iter().map(|profile| machines.place(profile).unwrap()).collect())
    }

    #[test]
    fn a_description_that_fits_two_machines_is_of_neither_in_whatever_order() {
        let all = [None, Some("on"), Some("off")].map(with_mitigations);
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            assert_eq!(machines_of(&order.map(|place| &all[place])), (3, vec![0, 1, 2]), "{order:?}");
        }
        assert_eq!(distinguishing_keys(&all[0], &all[1]), ["mitigations"]);
    }

    #[test]
    fn a_description_that_fits_one_machine_is_of_it_in_whatever_order() {
        let (old, on) = (with_mitigations(None), with_mitigations(Some("on")));
        for order in [[&old, &on, &old], [&on, &old, &on]] {
            assert_eq!(machines_of(&order), (1, vec![0; 3]));
            assert_eq!(Machines::new(order.into_iter()).profiles, [&on]);
        }
        // Beside a description with more keys, and another machine.
        let (smt, other) = (
            SystemProfile { smt: Some(true), ..on.clone() },
            SystemProfile { hostname: Some("b".into()), ..on.clone() },
        );
        for order in [[&old, &on, &smt, &other], [&other, &smt, &on, &old]] {
            assert_eq!(machines_of(&order).0, 2);
        }
    }

    #[test]
    fn a_machine_whose_memory_differs_a_little_at_another_time_is_the_same() {
        let with = |memory_gb| SystemProfile { memory_gb, ..SystemProfile::default() };
        let [first, second, third, none] = [Some(15.62), Some(15.0), Some(14.4), None].map(with);
        assert!(machine_keys(&first, &second).is_empty());
        for [one, other] in [[&first, &third], [&first, &none]] {
            assert_eq!(machine_keys(one, other), ["memory_gb"]);
        }
        assert_eq!(machine_differences(&first, &second), "");
        for order in [[&first, &second, &first], [&second, &first, &second]] {
            assert_eq!(machines_of(&order), (1, vec![0; 3]));
        }
        // One that fits two others is of neither.
        for order in [[&first, &second, &third], [&second, &third, &first], [&third, &first, &second]] {
            assert_eq!(machines_of(&order), (3, vec![0, 1, 2]));
        }
    }

    #[test]
    fn machines_that_differ_in_their_name_alone_count_as_one_under_one_name() {
        let told = under_one_name(&["hostname"], Some("a b")).unwrap();
        assert!(told.ends_with("(of a container: docker run --hostname 'a b')"), "{told}");
        assert_eq!(under_one_name(&["hostname"], None), None);
        assert_eq!(under_one_name(&["governor"], Some("a")), None);
        assert_eq!(under_one_name(&["hostname", "governor"], Some("a")), None);
    }

    #[test]
    fn a_key_that_an_earlier_version_did_not_record_is_no_difference() {
        let old = SystemProfile::default();
        let new = SystemProfile {
            smt: Some(true),
            cpu_quota: Some(1.5),
            mitigations: Some(BTreeMap::new()),
            ..SystemProfile::default()
        };
        assert!(machine_keys(&old, &new).is_empty());
        let other = SystemProfile { smt: Some(false), cpu_quota: None, ..new.clone() };
        assert_eq!(machine_keys(&new, &other), ["smt", "cpu_quota"]);
        let listed = |cpu| Some(BTreeMap::from([(String::from(cpu), String::new())]));
        let other = SystemProfile { hostname: Some("b".into()), mitigations: listed("x"), ..other };
        let differences = "hostname: none then, \"b\" now; smt: true then, false now; cpu_quota: 1.5 then, none now; mitigations";
        assert_eq!(machine_differences(&new, &other), differences);
    }
}
