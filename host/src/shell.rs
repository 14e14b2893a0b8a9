//! Quoting for a POSIX shell.

use std::ffi::OsStr;

/// A command line in which each word is quoted if it has to be. Bytes that are not UTF-8 are replaced by U+FFFD: such a
/// line can be read, but not executed.
pub(crate) fn command<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
) -> String {
    let mut line = quoted(program.as_ref(), is_plain_in_a_program);
    for argument in arguments {
        line.push(' ');
        line.push_str(&quote(argument.as_ref()));
    }
    line
}

/// One argument, quoted if it has to be.
pub(crate) fn quote(argument: impl AsRef<OsStr>) -> String {
    quoted(argument.as_ref(), is_plain)
}

fn quoted(word: &OsStr, plain: fn(char) -> bool) -> String {
    let word = word.to_string_lossy();
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    // Within single quotes everything but a single quote stands for itself.
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A character that no shell treats specially.
fn is_plain(c: char) -> bool {
    is_plain_in_a_program(c) || c == '='
}

/// In the first word, `=` would make the word an assignment.
fn is_plain_in_a_program(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-./:,@%+".contains(c)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use proptest::prelude::*;

    /// The words that a shell reads from a line.
    fn parsed(line: &str) -> Vec<String> {
        let output = Command::new("sh").arg("-c").arg(line).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        let words = String::from_utf8(output.stdout).unwrap();
        words.split_terminator('\0').map(str::to_owned).collect()
    }

    #[test]
    fn plain_words_stay_as_they_are_and_others_are_quoted() {
        let words = ["run", "--extra", "iters=5", "a b", "", "it's", "$HOME", "~", "*", "--items=1e6"];
        let line = super::command("target/release/crossrun", words);
        let expected =
            r"target/release/crossrun run --extra iters=5 'a b' '' 'it'\''s' '$HOME' '~' '*' --items=1e6";
        assert_eq!(line, expected);
    }

    #[test]
    fn a_program_with_an_equals_sign_is_not_an_assignment() {
        let folder = tempfile::tempdir().unwrap();
        symlink("/bin/echo", folder.path().join("a=b")).unwrap();
        let line =
            format!("cd {} && PATH=. && {}", folder.path().display(), super::command("a=b", ["x\0"; 0]));
        let output = Command::new("sh").arg("-c").arg(line).output().unwrap();
        assert_eq!(output.stdout, b"\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_back_the_same_words(words in proptest::collection::vec("[^\0]{0,12}", 1..8)) {
            let line = super::command("printf", [r"%s\0".to_owned()].iter().chain(&words));
            prop_assert_eq!(parsed(&line), words);
        }
    }
}
