//! Quoting for a POSIX shell.

use std::path::Path;

/// A path as one word.
pub(crate) fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    if !path.is_empty() && path.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c)) {
        return path;
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_back_the_path() {
        for path in ["/a", "/a b/it's $x", "/\"`\\"] {
            let line = format!("printf %s {}", quoted(Path::new(path)));
            let output = Command::new("sh").arg("-c").arg(line).output().unwrap();
            assert_eq!(output.stdout, path.as_bytes());
        }
    }
}
