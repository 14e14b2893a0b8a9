//! The README of the archive.

use crate::build::Built;

/// What somebody reads who unpacked it.
pub(crate) fn text(built: &Built, glibc: Option<&str>) -> String {
    let Built { version, target, .. } = built;
    let needs = glibc.map_or_else(
        || "It needs no C library of the system's.".to_owned(),
        |glibc| format!("It needs glibc {glibc} or later: `ldd --version` says what there is."),
    );
    format!(
        "# crossrun {version} for {target}

One workload, any runtime: runs it on each backend, verifies the answers, compares the speed. This folder may stand
anywhere, also where nobody can write to it; nothing is installed. {needs}

```
./crossrun backends
./crossrun compare --quick
```

The first lists the backends. What an unavailable one needs stands beside it, with the command that sets it up in a data folder of
yours; the second compares those that are available. Plugins are looked for in `plugins` beside the executable first.

| here | what it is |
|---|---|
| `crossrun` | the host |
| `plugins` | the backends, and the standard workloads |
| `completions` | for bash, zsh and fish |
| `man` | a manual page a command: `man -M man crossrun-compare` |
| `include` | the headers for backends and workloads in C; [doc/plugin-api/ABI.md](doc/plugin-api/ABI.md) is the contract |
| `doc` | the documents; [doc/README.md](doc/README.md) is where to begin |
| `LICENSE-MIT`, `LICENSE-APACHE` | the licences of crossrun, of which you may choose one |
| `THIRD-PARTY.txt` | what is linked in, and its licences |

To have the command everywhere, link to it: `ln -s \"$PWD/crossrun\" ~/.local/bin/`.
"
    )
}
