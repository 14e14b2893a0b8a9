//! What an installer gets of the user's settings: where packages come from and how to get there, and nothing else. Where
//! packages go, and which ones, is decided here: `target`, `user`, `prefix`, `constraint` and their like are left out.

use std::path::Path;
use std::process::Command;

use crate::answer::answer;
use crate::environment;
use crate::output::{ending, last_lines};
use crate::surroundings::{Variables, restrict};

/// The variables that pip, uv and a build tool get beside the usual ones.
const VARIABLES: Variables = &[
    ("PIP_CERT", "how to get there: certificates that are trusted"),
    ("PIP_CLIENT_CERT", "how to get there: a certificate of the user's"),
    ("PIP_DEFAULT_TIMEOUT", "how to get there: how long to wait"),
    ("PIP_EXTRA_INDEX_URL", "where packages come from"),
    ("PIP_FIND_LINKS", "where packages come from"),
    ("PIP_INDEX_URL", "where packages come from"),
    ("PIP_KEYRING_PROVIDER", "how to get there: where a password is"),
    ("PIP_NO_INDEX", "where packages come from"),
    ("PIP_PROXY", "how to get there"),
    ("PIP_RETRIES", "how to get there: how often to try"),
    ("PIP_TIMEOUT", "how to get there: how long to wait"),
    ("PIP_TRUSTED_HOST", "how to get there: hosts whose certificates are not checked"),
    ("PIP_CACHE_DIR", "where packages that were fetched before are"),
    ("PIP_NO_CACHE_DIR", "the same"),
    ("UV_ALLOW_INSECURE_HOST", "how to get there: hosts whose certificates are not checked"),
    ("UV_INSECURE_HOST", "the same"),
    ("UV_CACHE_DIR", "where packages that were fetched before are"),
    ("UV_NO_CACHE", "the same"),
    ("UV_DEFAULT_INDEX", "where packages come from"),
    ("UV_EXTRA_INDEX_URL", "the same"),
    ("UV_FIND_LINKS", "the same"),
    ("UV_INDEX", "the same"),
    ("UV_INDEX_*", "the same, with the names and passwords for it"),
    ("UV_NO_INDEX", "the same"),
    ("UV_OFFLINE", "the same"),
    ("UV_HTTP_TIMEOUT", "how to get there: how long to wait"),
    ("UV_KEYRING_PROVIDER", "how to get there: where a password is"),
    ("UV_NATIVE_TLS", "how to get there: certificates that are trusted"),
    ("UV_SYSTEM_CERTS", "the same"),
    ("SSL_CERT_DIR", "the same"),
    ("SSL_CERT_FILE", "the same"),
    ("SSL_CLIENT_CERT", "the same"),
    ("REQUESTS_CA_BUNDLE", "the same"),
    ("CURL_CA_BUNDLE", "the same"),
    ("NETRC", "how to get there: where passwords are"),
    ("http_proxy", "how to get there"),
    ("https_proxy", "the same"),
    ("all_proxy", "the same"),
    ("no_proxy", "the same"),
    ("HTTP_PROXY", "the same"),
    ("HTTPS_PROXY", "the same"),
    ("ALL_PROXY", "the same"),
    ("NO_PROXY", "the same"),
    ("XDG_CACHE_HOME", "where packages that were fetched before are"),
    ("XDG_CONFIG_HOME", "where the settings of pip are, of which `of_files` takes the same"),
    ("XDG_CONFIG_DIRS", "the same"),
];

/// The variable that names a file with all of pip's settings.
const CONFIG_FILE: &str = "PIP_CONFIG_FILE";

/// The variable that names a proxy for pip alone.
const PROXY: &str = "PIP_PROXY";

/// So many lines pip has for what is wrong with a file: that it is, how, where, and the text there.
const REASON: usize = 4;

/// Sections of pip's files that count for an installation; a later one takes precedence.
const SECTIONS: [&str; 2] = ["global", "install"];

/// Gives `command` these settings of the environment and no others. pip then reads none of its files.
pub(crate) fn apply(command: &mut Command) {
    restrict(command, VARIABLES);
    // uv would refuse an empty switch.
    let own = |name: &&str| name.starts_with("PIP_") || name.starts_with("UV_");
    for name in VARIABLES.iter().map(|(name, _)| *name).filter(own).filter(|name| !is_set(name)) {
        command.env_remove(name);
    }
    command.env(CONFIG_FILE, "/dev/null");
    command.env("PYTHONUNBUFFERED", "1").env("PYTHONNOUSERSITE", "1");
}

/// Whether a variable of the environment says something. An empty one does not, as a Dockerfile or a CI system makes of one that it was
/// not given: pip passes over it.
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// The same settings from pip's files, as variables. Those of the environment take precedence and are left out. Asks the pip of
/// the environment in `folder`, which knows its files.
///
/// # Errors
/// Why pip does not say, such as a file that it cannot parse: without them, packages would come from elsewhere.
pub(crate) fn of_files(folder: &Path) -> Result<Vec<(String, String)>, String> {
    let mut command = Command::new(environment::python(folder));
    command.args(["-I", "-m", "pip", "config", "list"]);
    restrict(&mut command, &[(CONFIG_FILE, "where the settings are"), ("XDG_CONFIG_*", "the same")]);
    // A file may be on a disk that does not answer.
    let listed = answer(&mut command).map_err(|error| error.to_string())?;
    if !listed.status.success() {
        let said = last_lines(&String::from_utf8_lossy(&listed.stderr), REASON);
        return Err(if said.is_empty() { ending(listed.status) } else { said });
    }
    let found = selected(&String::from_utf8_lossy(&listed.stdout));
    Ok(found.into_iter().filter(|(name, _)| !is_set(name)).collect())
}

/// The settings that count, of lines such as `global.index-url='https://…'`.
fn selected(listed: &str) -> Vec<(String, String)> {
    let of_section = |section: &'static str| {
        listed.lines().filter_map(move |line| {
            let (key, value) = line.strip_prefix(section)?.strip_prefix('.')?.split_once('=')?;
            let name = format!("PIP_{}", key.to_uppercase().replace('-', "_"));
            let (counts, value) = (VARIABLES.iter().any(|(known, _)| *known == name), unquoted(value));
            // pip passes over empty values here too.
            (counts && !value.is_empty()).then_some((name, value))
        })
    };
    SECTIONS.into_iter().flat_map(of_section).collect()
}

/// The text that Python prints in quotation marks. Between several values pip puts a line's end; in a variable it is a blank.
fn unquoted(text: &str) -> String {
    let mut characters = text.trim().trim_matches(['\'', '"']).chars();
    let mut plain = String::new();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n' | 'r' | 't') | None => plain.push(' '),
                Some(escaped) => plain.push(escaped),
            },
            other => plain.push(other),
        }
    }
    plain.trim().to_owned()
}

/// The variables of the environment that name the proxy of an installer. There are none if a file of pip's names it, which pip prefers.
pub(crate) fn proxies(installer: &Command) -> Vec<String> {
    proxies_of(installer, is_set)
}

/// The same, where `is_set` knows the environment.
fn proxies_of(installer: &Command, is_set: impl Fn(&str) -> bool) -> Vec<String> {
    let has_one = installer.get_envs().any(|(name, value)| name == PROXY && value.is_some());
    if has_one && !is_set(PROXY) {
        return Vec::new();
    }
    let names = VARIABLES.iter().map(|(name, _)| *name);
    let proxies = names
        .filter(|name| name.to_lowercase().ends_with("_proxy") && !name.eq_ignore_ascii_case("no_proxy"));
    proxies.filter(|name| is_set(name)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_pips_files_only_the_way_to_packages_counts() {
        let listed = ":env:.index-url='https://env'\nglobal.cert='/etc/it\\'s.pem'\nglobal.extra-index-url='\\nhttps://a\\nhttps://b'\n\
                      global.index-url='https://general'\nglobal.target='/tmp/t'\ninstall.constraint='c.txt'\n\
                      install.index-url=\"https://special\"\ninstall.user='true'\ninstall.cert=''\nfreeze.timeout='10'\nrubbish\n";
        let found = selected(listed);
        let expected = [
            ("PIP_CERT", "/etc/it's.pem"),
            ("PIP_EXTRA_INDEX_URL", "https://a https://b"),
            ("PIP_INDEX_URL", "https://general"),
            ("PIP_INDEX_URL", "https://special"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_proxy_of_a_file_is_in_no_variable_of_the_environment() {
        let mut installer = Command::new("pip");
        let general = |name: &str| name == "HTTPS_PROXY";
        assert_eq!(proxies_of(&installer, general), ["HTTPS_PROXY"]);
        installer.env(PROXY, "http://127.0.0.1:1");
        assert!(proxies_of(&installer, general).is_empty());
        assert_eq!(proxies_of(&installer, |name| general(name) || name == PROXY), [PROXY, "HTTPS_PROXY"]);
    }

    #[test]
    fn every_variable_has_a_reason_and_none_says_where_to_or_what() {
        for (name, reason) in VARIABLES {
            assert!(!reason.is_empty(), "{name}");
            for word in ["TARGET", "USER", "PREFIX", "ROOT", "CONSTRAINT", "REQUIRE", "PYTHON"] {
                assert!(!name.contains(word), "{name}");
            }
        }
    }
}
