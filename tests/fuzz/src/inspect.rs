//! The bytes of a file, or of its metadata section, to `inspect`.

use std::fs::File;
use std::io::{Seek, Write};

use crossrun::internals::plugin::Description;
use crossrun::internals::plugin::{Kind, Metadata, Rejection, inspect, sha256_of};

/// A file that ends so is as long as this says, but for a hole: nothing may be read as a whole that need not be.
const HOLE: &[u8] = b"+hole";
const LENGTH_WITH_HOLE: u64 = 256 << 20;

/// What must hold for any bytes.
pub fn check(data: &[u8]) {
    if let Some(metadata) = sane(Metadata::parse(data)) {
        assert_written_again(&metadata);
    }
    let file = file_with(data);
    let found = inspect(file.path());
    assert_eq!(inspect(file.path()), found);
    let found = sane(found);
    let described = sane(Description::of(file.path(), false));
    if let Some(described) = described {
        assert_eq!(described.reason.is_none(), found.is_some());
        serde_json::to_vec(&described).unwrap();
    } else {
        assert!(found.is_none());
    }
    if let Some(found) = found {
        assert_written_again(&found.metadata);
        let whole = found.identify().unwrap();
        assert_eq!((whole.metadata, whole.sha256), (found.metadata, sha256_of(&found.path).unwrap()));
    }
}

fn file_with(data: &[u8]) -> tempfile::NamedTempFile {
    // In memory where there is such a folder: a disk would be what is measured.
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let mut file = tempfile::NamedTempFile::new_in(folder).unwrap();
    file.write_all(data).unwrap();
    if data.ends_with(HOLE) {
        lengthen(file.as_file_mut());
    }
    file
}

fn lengthen(file: &mut File) {
    file.set_len(LENGTH_WITH_HOLE).unwrap();
    file.rewind().unwrap();
}

/// What was found, or nothing: then the reason must be fit to be shown.
fn sane<T>(found: Result<T, Rejection>) -> Option<T> {
    found
        .inspect_err(|Rejection { reason, remedy }| {
            super::assert_printable(reason);
            remedy.iter().for_each(|remedy| super::assert_printable(remedy));
        })
        .ok()
}

/// No escape sequence gets through, and the text that says the same is read as the same.
fn assert_written_again(metadata: &Metadata) {
    let Metadata { name, version, description, license, api, target, opt_level, .. } = metadata;
    let abi = serde_json::json!(metadata.abi);
    let abi = abi.as_str().unwrap();
    let (compiler, compiler_name) = (metadata.compiler.0, &metadata.compiler.1);
    let (kind, workloads) = match &metadata.kind {
        Kind::Runner => ("runner", String::new()),
        Kind::Workloads(names) => ("workloads", format!("workloads={}\n", names.join(","))),
    };
    let (assertions, features) = (metadata.debug_assertions, &metadata.target_features);
    let text = format!(
        "crossrun-plugin 1\nkind={kind}\nname={name}\n{workloads}version={version}\ndescription={description}\n\
         license={license}\napi={api}\nabi={abi}\n{compiler}={compiler_name}\ntarget={target}\nopt_level={opt_level}\n\
         debug_assertions={assertions}\ntarget_features={features}\nend\n"
    );
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    assert_eq!(Metadata::parse(text.as_bytes()).as_ref(), Ok(metadata));
}
