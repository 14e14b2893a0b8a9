//! The README of the archive.

use crate::build::Built;

/// The text of the README, for a user who has unpacked the archive.
pub(crate) fn text(built: &Built, glibc: Option<&str>) -> String {
    let Built { version, target, .. } = built;
    let needs = glibc.map_or_else(
        || "It needs no C library of the system.".to_owned(),
        |glibc| {
            format!("It needs glibc {glibc} or later: `ldd --version` prints the version of this machine.")
        },
    );
    format!(
        "# crossrun {version} for {target}

crossrun runs one workload on several runtimes, verifies the answers, and compares the speed. This folder may be
anywhere, also where nobody can write. Nothing has to be installed. {needs}

```
./crossrun backends
./crossrun compare --quick
```

The first command lists the backends; if one is unavailable, the reason has the command that sets it up in your data folder. The
second compares the backends that are available. crossrun looks for plugins in `plugins` beside the executable first.

| here | what it is |
|---|---|
| `crossrun` | the host |
| `plugins` | the backends, and the standard workloads |
| `completions` | for bash, zsh and fish |
| `man` | a manual page for each command: `man -M man crossrun-compare` |
| `include` | the headers for backends and workloads in C; [doc/plugin-api/ABI.md](doc/plugin-api/ABI.md) is the contract |
| `doc` | the documents; [doc/docs/README.md](doc/docs/README.md) is the index |
| `LICENSE-MIT`, `LICENSE-APACHE` | the licences of crossrun, of which you may choose one |
| `THIRD-PARTY.txt` | what is linked in, and its licences |

To have the command everywhere, link to it: `ln -s \"$PWD/crossrun\" ~/.local/bin/`.
"
    )
}
