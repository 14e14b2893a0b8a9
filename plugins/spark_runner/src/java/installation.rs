//! Which command installs a Java, by the system and its package manager.

use std::fs;

use python_engine::sudo;

/// What a system says of itself.
#[derive(Default)]
struct System<'s> {
    /// The release of Debian that it is made of.
    debian: Option<&'s str>,
    /// Its name, as Fedora has it and what is made of that.
    name: &'s str,
    is_mac: bool,
}

/// A command that installs a Java here; `has` says whether there is a program of this name. Nothing where no such command is known.
pub(super) fn command(has: impl Fn(&str) -> bool) -> Option<String> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let (debian, name) = (read("/etc/debian_version"), read("/etc/system-release").unwrap_or_default());
    let system = System { debian: debian.as_deref(), name: &name, is_mac: cfg!(target_os = "macos") };
    command_on(&system, sudo(), has)
}

/// The same on any system, where `sudo` is what a command of root's begins with.
fn command_on(system: &System<'_>, sudo: &str, has: impl Fn(&str) -> bool) -> Option<String> {
    if let Some(version) = system.debian {
        // Images for containers come without lists of packages.
        let package = debian_package(version.trim());
        return Some(format!("{sudo}apt update && {sudo}apt install {package}"));
    }
    if system.is_mac {
        return Some("brew install openjdk@17".to_owned());
    }
    let of_fedora = match system.name.contains("Amazon") {
        true => "java-21-amazon-corretto-headless",
        false => "java-21-openjdk-headless",
    };
    // The first two have to be told to fetch the lists of packages, the others do that by themselves.
    let managers = [
        ("pacman", "-Syu", "jre-openjdk-headless"),
        ("apk", "add --no-cache", "openjdk17-jre-headless"),
        ("zypper", "install", "java-17-openjdk-headless"),
        ("dnf", "install", of_fedora),
        ("microdnf", "install", of_fedora),
        ("yum", "install", of_fedora),
    ];
    let (manager, words, package) = managers.into_iter().find(|(manager, ..)| has(manager))?;
    Some(format!("{sudo}{manager} {words} {package}"))
}

/// Debian 13, and what is made of it, has no Java 17 any more. Earlier releases have it, but not always as their default.
fn debian_package(version: &str) -> &'static str {
    let (name, number) = (version.split('/').next().unwrap_or_default(), version.split('.').next());
    let is_older = number.and_then(|number| number.parse().ok()).is_some_and(|number: u32| number < 13);
    match is_older || ["buster", "bullseye", "bookworm"].contains(&name) {
        true => "openjdk-17-jre-headless",
        false => "default-jre-headless",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_one_that_the_release_has_and_that_is_new_enough() {
        for (version, package) in [
            ("11.9", "openjdk-17-jre-headless"),
            ("12.5", "openjdk-17-jre-headless"),
            ("bookworm/sid", "openjdk-17-jre-headless"),
            ("13.1", "default-jre-headless"),
            ("trixie/sid", "default-jre-headless"),
            ("forky/sid", "default-jre-headless"),
        ] {
            assert_eq!(debian_package(version), package, "{version}");
        }
    }

    #[test]
    fn every_system_has_a_command_that_works_also_in_a_new_container() {
        let debian = System { debian: Some("12.5\n"), ..System::default() };
        let mac = System { is_mac: true, ..System::default() };
        let named = |name| System { name, ..System::default() };
        let [fedora, amazon] =
            ["Fedora release 41 (Forty One)\n", "Amazon Linux release 2023 (Amazon Linux)\n"];
        let of_debian = "sudo apt update && sudo apt install openjdk-17-jre-headless";
        for (system, programs, expected) in [
            (debian, &["apt", "dnf"][..], Some(of_debian)),
            (mac, &[], Some("brew install openjdk@17")),
            (named(""), &["pacman"], Some("sudo pacman -Syu jre-openjdk-headless")),
            (named(""), &["apk"], Some("sudo apk add --no-cache openjdk17-jre-headless")),
            (named(""), &["zypper"], Some("sudo zypper install java-17-openjdk-headless")),
            (named(fedora), &["yum", "dnf"], Some("sudo dnf install java-21-openjdk-headless")),
            (named(fedora), &["yum", "microdnf"], Some("sudo microdnf install java-21-openjdk-headless")),
            (named(fedora), &["yum"], Some("sudo yum install java-21-openjdk-headless")),
            (named(amazon), &["dnf"], Some("sudo dnf install java-21-amazon-corretto-headless")),
            (named(""), &["emerge"], None),
        ] {
            let found = command_on(&system, "sudo ", |program| programs.contains(&program));
            assert_eq!(found.as_deref(), expected, "{programs:?}");
        }
    }

    #[test]
    fn root_needs_no_sudo() {
        let debian = System { debian: Some("13.1"), ..System::default() };
        let found = command_on(&debian, "", |_| false);
        assert_eq!(found.as_deref(), Some("apt update && apt install default-jre-headless"));
    }
}
