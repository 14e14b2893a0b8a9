//! Where the files of the archive are once a package has installed them below a prefix, such as `/usr` or a virtual environment.

use std::path::{Path, PathBuf};

/// The path below the prefix of the file that is at `path` in the archive; nothing for what a package does not install.
pub(crate) fn path(path: &Path) -> Option<PathBuf> {
    let mut parts = path.iter();
    let first = parts.next()?.to_str()?;
    let rest = parts.as_path();
    let name = path.file_name()?;
    Some(match first {
        "crossrun" => "bin/crossrun".into(),
        "plugins" => Path::new("lib/crossrun/plugins").join(rest),
        "completions" => completions(rest.iter().next()?.to_str()?)?.join(name),
        "man" => Path::new("share/man").join(rest),
        "include" => Path::new("include/crossrun").join(rest),
        // It describes the unpacked archive; and the documents have the licences too.
        "README.md" | "LICENSE-MIT" | "LICENSE-APACHE" => return None,
        "doc" => Path::new("share/doc/crossrun").join(rest),
        _ => Path::new("share/doc/crossrun").join(path),
    })
}

/// Where a shell looks for completions.
fn completions(shell: &str) -> Option<&'static Path> {
    Some(Path::new(match shell {
        "bash" => "share/bash-completion/completions",
        "zsh" => "share/zsh/site-functions",
        "fish" => "share/fish/vendor_completions.d",
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_file_has_its_place() {
        for (file, expected) in [
            ("crossrun", Some("bin/crossrun")),
            ("plugins/libnative_runner.so", Some("lib/crossrun/plugins/libnative_runner.so")),
            ("completions/zsh/_crossrun", Some("share/zsh/site-functions/_crossrun")),
            ("man/man1/crossrun.1", Some("share/man/man1/crossrun.1")),
            ("include/crossrun.h", Some("include/crossrun/crossrun.h")),
            ("doc/docs/method.md", Some("share/doc/crossrun/docs/method.md")),
            ("doc/LICENSE-MIT", Some("share/doc/crossrun/LICENSE-MIT")),
            ("LICENSE-MIT", None),
            ("README.md", None),
        ] {
            assert_eq!(path(Path::new(file)), expected.map(PathBuf::from), "{file}");
        }
    }
}
