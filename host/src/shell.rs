//! Quoting for a POSIX shell.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::text::single_line;

/// A command line in which each word is quoted if it has to be.
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

/// The command of crossrun that does `verb` with a file or a folder.
pub(crate) fn about(verb: &str, file: &Path) -> String {
    command("crossrun", [OsStr::new(verb), path(file).as_os_str()])
}

/// One argument, quoted if it has to be.
pub(crate) fn quote(argument: impl AsRef<OsStr>) -> String {
    quoted(argument.as_ref(), is_plain)
}

/// Commands of which some begin with `sudo`, as this user gives them: root needs none, and a container need not have one.
pub(crate) fn as_root(commands: &str) -> String {
    let is_root = rustix::process::geteuid().is_root();
    if is_root { commands.replace("sudo ", "") } else { commands.to_owned() }
}

/// The command that shows what there is in place of a path that is missing: the names in the nearest folder above it. Of a folder that
/// this user may not list, it shows whose that is.
pub(crate) fn look_beside(missing: &Path) -> String {
    let folders = || missing.ancestors().filter(|folder| folder.is_dir());
    if let Some(closed) = folders().next().filter(|folder| is_closed(folder)) {
        return command("ls", [PathBuf::from("-ld"), path(closed)]);
    }
    let folder = folders().find(|folder| *folder != missing).unwrap_or(Path::new("."));
    command("ls", [path(folder)])
}

/// The command that lets this user read what is theirs, or whom to ask for that.
pub(crate) fn permit(closed: &Path) -> String {
    permit_own(closed).unwrap_or_else(|| "ask its owner for the permission to read it".to_owned())
}

/// The command that lets this user read what is theirs; none for what is another user's.
pub(crate) fn permit_own(closed: &Path) -> Option<String> {
    let user = rustix::process::geteuid().as_raw();
    let is_own = closed.metadata().is_ok_and(|status| status.uid() == user);
    is_own.then(|| command("chmod", [PathBuf::from("u+rX"), path(closed)]))
}

fn is_closed(folder: &Path) -> bool {
    folder.read_dir().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// The folder of a file, as a command names it.
pub(crate) fn folder_of(file: &Path) -> Option<&Path> {
    let here = |folder: &Path| folder.as_os_str().is_empty();
    file.parent().map(|folder| if here(folder) { Path::new(".") } else { folder })
}

/// A path like this one at which there is nothing yet: a command would replace what is there.
pub(crate) fn free_path(path: &Path) -> PathBuf {
    let numbered = |number: u32| {
        let mut name = path.file_stem().unwrap_or_default().to_owned();
        name.push(format!("-{number}"));
        if let Some(extension) = path.extension() {
            name.push(".");
            name.push(extension);
        }
        path.with_file_name(name)
    };
    let mut paths = std::iter::once(path.to_owned()).chain((1..).map(numbered));
    paths.find(|path| path.symlink_metadata().is_err()).unwrap_or_default()
}

/// A path as a word that no program takes for an option.
pub(crate) fn path(path: &Path) -> PathBuf {
    let is_like_an_option = path.as_os_str().as_bytes().starts_with(b"-");
    if is_like_an_option { Path::new(".").join(path) } else { path.to_owned() }
}

fn quoted(word: &OsStr, plain: fn(char) -> bool) -> String {
    match word.to_str() {
        Some(word) if !word.is_empty() && word.chars().all(plain) => word.to_owned(),
        Some(word) if single_line(word) == word => in_quotes(word),
        _ => escaped(word.as_bytes()),
    }
}

fn in_quotes(word: &str) -> String {
    // Within single quotes everything but a single quote stands for itself.
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A word with bytes that cannot be printed, or not in one line.
fn escaped(word: &[u8]) -> String {
    let byte = |byte: &u8| match byte {
        b'/' | b'.' | b'_' => char::from(*byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("\\{byte:03o}"),
    };
    let text: String = word.iter().map(byte).collect();
    // A substitution takes ends of lines at its end away. The other notation is not known to every shell.
    if word.ends_with(b"\n") { format!("$'{text}'") } else { format!("\"$(printf '{text}')\"") }
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
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::process::Command;

    use proptest::prelude::*;

    /// What a shell prints that runs a line.
    fn printed(line: &str) -> Vec<u8> {
        // Not every `sh` knows this notation, which stands for ends of lines.
        let shell = if line.contains("$'") { "bash" } else { "sh" };
        let output = Command::new(shell).arg("-c").arg(line).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        output.stdout
    }

    /// The words that a shell reads from a line.
    fn parsed(line: &str) -> Vec<String> {
        let words = String::from_utf8(printed(line)).unwrap();
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
    fn a_word_that_cannot_be_printed_is_read_back_too() {
        for word in [
            b"/tmp/d\xe9 %s' -\\x".as_slice(),
            b"-\x01\xff",
            b"two\nlines",
            b"at its end\n",
            b"\xe9 '\\\n\n",
            b"\n",
            "\u{202e}".as_bytes(),
        ] {
            let line = super::command("printf", [OsStr::new("%s"), OsStr::from_bytes(word)]);
            assert!(!line.contains(|c: char| !c.is_ascii() || c.is_ascii_control()), "{line}");
            assert_eq!(printed(&line), word, "{line}");
        }
    }

    #[test]
    fn a_path_is_no_option() {
        for (given, word) in [("-x/y", "./-x/y"), ("x", "x"), ("/-x", "/-x"), ("./-x", "./-x")] {
            assert_eq!(super::path(Path::new(given)), Path::new(word));
        }
    }

    #[test]
    fn a_path_is_free_if_nothing_is_there_and_a_file_has_a_folder_wherever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(super::free_path(&at("a.lock")), at("a.lock"));
        std::fs::write(at("a.lock"), "").unwrap();
        symlink("nowhere", at("a-1.lock")).unwrap();
        assert_eq!(super::free_path(&at("a.lock")), at("a-2.lock"));
        std::fs::write(at("out"), "").unwrap();
        assert_eq!(super::free_path(&at("out")), at("out-1"));
        for (file, folder) in [("x", "."), ("a/x", "a"), ("./x", "."), ("/x", "/")] {
            assert_eq!(super::folder_of(Path::new(file)), Some(Path::new(folder)));
        }
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
