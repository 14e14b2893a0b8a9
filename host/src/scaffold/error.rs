//! Why no project was written.

use std::io;
use std::path::PathBuf;

use plugin_api::metadata::MAX_NAME;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ScaffoldError {
    #[error("{0:?} is not a valid name for a plugin: a name has 1 to {MAX_NAME} of a-z, 0-9, _ and -")]
    Name(String),
    #[error("--plugin-api: {} does not exist, so this is not a checkout of plugin-api", .0.display())]
    NoCheckout(PathBuf),
    #[error("--plugin-api: a project in C depends on no crate, because it has a copy of the headers")]
    NoCrate,
    #[error("--plugin-api: the path {} is not UTF-8, as a manifest must be", .0.display())]
    NotUtf8(PathBuf),
    #[error("{} exists already, and is not an empty folder", .0.display())]
    Taken(PathBuf),
    #[error("cannot {step} {}: {error}; nothing of the project stays", path.display())]
    System { step: &'static str, path: PathBuf, error: io::Error },
    #[error("{} holds a part of the project, which could not be removed: {error}", folder.display())]
    Partial { folder: PathBuf, error: io::Error },
}
