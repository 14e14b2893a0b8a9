//! Files among the plugins that are not what they seem, and what a listing says of them.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::{Place, hostile, plugin};

/// One line of the table.
pub(super) struct Suspect {
    pub(super) what: &'static str,
    /// Puts it among the plugins, most often as [`SUSPECT`].
    pub(super) make: fn(&Path),
    pub(super) status: &'static str,
    /// Words of the reason.
    pub(super) reason: &'static str,
}

/// The name of the file that is looked for in the listing.
pub(super) const SUSPECT: &str = "libsuspect.so";

const fn rejected(what: &'static str, make: fn(&Path), reason: &'static str) -> Suspect {
    Suspect { what, make, status: "rejected", reason }
}

pub(super) const SUSPECTS: &[Suspect] = &[
    rejected("a text file", |to| write(to, b"I am not a library\n"), "not a shared library"),
    rejected("an empty file", |to| write(to, b""), "the file is empty"),
    rejected("a huge sparse file", sparse, "not a shared library"),
    rejected("a library cut to 64 bytes", |to| write(to, &native()[..64]), "cut short or damaged"),
    rejected(
        "a library cut in half",
        |to| write(to, &native()[..native().len() / 2]),
        "cut short or damaged",
    ),
    rejected(
        "a library without its last byte",
        |to| write(to, &native()[..native().len() - 1]),
        "cut short or damaged",
    ),
    rejected("a folder", |to| std::fs::create_dir(to).unwrap(), "not a regular file"),
    rejected("a FIFO", fifo, "not a regular file"),
    rejected("a link to nowhere", |to| symlink("nowhere", to).unwrap(), "cannot be read"),
    rejected("no read permission", unreadable, "cannot be read"),
    rejected(
        "a library that crashes when opened",
        |to| copy("crashing_library", to),
        "not a crossrun plugin",
    ),
    rejected("a library that hangs when opened", |to| copy("hanging_library", to), "not a crossrun plugin"),
    rejected("another architecture", other_machine, "built for another machine"),
    rejected("the ABI header's magic is wrong", other_magic, "its ABI header is malformed"),
    rejected(
        "no description of its layout",
        |to| copy("no_layout_runner", to),
        "no description of its layout",
    ),
    rejected("a newer major version", |to| patched(to, b"\napi=1.", b"\napi=2."), "plugin-api 2."),
    rejected(
        "another metadata format",
        |to| patched(to, b"crossrun-plugin 1\n", b"crossrun-plugin 9\n"),
        "format 9",
    ),
    rejected("a kind that does not exist", |to| patched(to, b"kind=runner", b"kind=runnet"), "kind"),
    rejected("a name in capitals", |to| patched(to, b"\nname=native\n", b"\nname=NATIVE\n"), "name"),
    rejected("a name with a separator", |to| patched(to, b"\nname=native\n", b"\nname=../etc\n"), "name"),
    rejected("a name with an escape", |to| patched(to, b"\nname=native\n", b"\nname=\x1b[31m \n"), "control"),
    rejected("metadata that is no UTF-8", |to| patched(to, b"\nversion=", b"\nv\xff\xffsion="), "UTF-8"),
    rejected("metadata of 10 MB", long_metadata, "metadata"),
    Suspect {
        what: "the same file twice",
        make: |to| write(to, &native()),
        status: "shadowed",
        reason: "the same file as",
    },
    rejected("two files with one name", another_native, "has the same name"),
];

fn native() -> Vec<u8> {
    std::fs::read(plugin("native_runner")).unwrap()
}

fn write(to: &Path, bytes: &[u8]) {
    std::fs::write(to, bytes).unwrap();
}

fn copy(name: &str, to: &Path) {
    std::fs::copy(hostile(name), to).unwrap();
}

fn sparse(to: &Path) {
    std::fs::File::create(to).unwrap().set_len(256 << 30).unwrap();
}

fn fifo(to: &Path) {
    assert!(Command::new("mkfifo").arg(to).status().unwrap().success());
}

fn unreadable(to: &Path) {
    write(to, &native());
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o000)).unwrap();
}

fn other_machine(to: &Path) {
    let mut bytes = native();
    // The machine in the header of an ELF file: 243 is RISC-V.
    bytes[18..20].copy_from_slice(&243_u16.to_le_bytes());
    write(to, &bytes);
}

fn other_magic(to: &Path) {
    let mut bytes = native();
    let magic = b"abi stable library for Rust     ";
    for at in
        (0..bytes.len() - magic.len()).filter(|at| &bytes[*at..][..magic.len()] == magic).collect::<Vec<_>>()
    {
        bytes[at] = b'A';
    }
    write(to, &bytes);
}

/// The native backend with `needle` replaced by as many other bytes.
fn patched(to: &Path, needle: &[u8], replacement: &[u8]) {
    assert_eq!(needle.len(), replacement.len());
    let mut bytes = native();
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes[at..][..needle.len()].copy_from_slice(replacement);
    write(to, &bytes);
}

fn another_native(to: &Path) {
    let mut bytes = native();
    bytes.push(b'\n');
    write(to, &bytes);
}

/// A library in C with ten million bytes of metadata.
fn long_metadata(to: &Path) {
    let source = "__attribute__((section(\".crossrun\"), used)) static const char metadata[10000000] = \
                  \"crossrun-plugin 1\\nkind=runner\\nname=long\\n\";\n";
    c_library(source, to);
}

pub(super) fn c_library(source: &str, to: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("library.c");
    std::fs::write(&file, source).unwrap();
    let output = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(to).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Workload libraries that fail when they are asked for their workloads, and what is said of them.
pub(super) const LIBRARIES: &[(&str, &str, &str)] = &[
    (
        "a C library with an unresolved symbol",
        "extern int nowhere(void);\nunsigned crossrun_workload_abi_version(void) { return nowhere(); }\n",
        "undefined symbol: nowhere",
    ),
    (
        "a library without the workloads' functions",
        "unsigned crossrun_workload_abi_version(void) { return 0x10000; }\n",
        "does not export crossrun_workload_",
    ),
    (
        "a library of another major version of the C ABI",
        "unsigned crossrun_workload_abi_version(void) { return 0x20000; }\n",
        "another plugin ABI (workload ABI 2.0)",
    ),
];

/// Metadata as a library in C has it.
pub(super) fn c_metadata() -> String {
    let text = "crossrun-plugin 1\\nkind=workloads\\nname=in_c\\nworkloads=nothing\\nversion=0.1.0\\n\
                description=In C\\nlicense=MIT\\napi=1.0.0\\nrustc=none\\ntarget=x86_64-unknown-linux-gnu\\n\
                opt_level=0\\ndebug_assertions=false\\ntarget_features=\\nend\\n";
    format!("__attribute__((section(\".crossrun\"), used)) static const char metadata[] = \"{text}\";\n")
}

/// Stages everything that a listing with a suspect needs.
pub(super) fn place(suspect: &Suspect) -> Place {
    let place = Place::new();
    (suspect.make)(&place.plugins().join(SUSPECT));
    place
}
