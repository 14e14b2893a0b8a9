//! Whether two machines are the same.

use serde_json::Value;

use super::environment::SystemProfile;

/// The keys in which two machines differ. Python is not compared: an engine has its own.
pub(crate) fn machine_keys(one: &SystemProfile, other: &SystemProfile) -> Vec<&'static str> {
    let same = [
        ("hostname", one.hostname == other.hostname),
        ("os", one.os == other.os),
        ("arch", one.arch == other.arch),
        ("cpu_model", one.cpu_model == other.cpu_model),
        ("cpu_physical_cores", one.cpu_physical_cores == other.cpu_physical_cores),
        ("memory_gb", one.memory_gb == other.memory_gb),
        ("cpu_logical_cores", one.cpu_logical_cores == other.cpu_logical_cores),
        ("governor", one.governor == other.governor),
        ("smt", same_if_known(&one.smt, &other.smt)),
        ("cpu_quota", same_quota(one, other)),
        ("mitigations", same_if_known(&one.mitigations, &other.mitigations)),
    ];
    same.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
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
