//! Requests to the backend: loading it, and its life but for the runs.

use std::sync::Arc;

use plugin_api::{Session, SetupContext, SetupRequest};

use crate::worker::cheating_backend::{Cheat, CheatingBackend};
use crate::worker::protocol::{Folders, LibraryFile, Reply};
use crate::worker::state::{Failure, Worker};
use crate::worker::{bounds, load};

pub(super) fn load_runner(worker: &mut Worker, library: &LibraryFile) -> Result<Reply, Failure> {
    let runner = load::runner(library, Arc::clone(&worker.host), worker.log_level)?;
    let (name, options) = (bounds::name(runner.backend_name().to_owned()), runner.options());
    worker.runner = Some(runner);
    Ok(Reply::Loaded { name, options })
}

pub(super) fn cheat(worker: &mut Worker, cheat: Cheat) -> Reply {
    worker.runner = Some(Box::new(CheatingBackend::new(cheat)));
    Reply::Done
}

pub(super) fn probe(worker: &mut Worker) -> Result<Reply, Failure> {
    Ok(Reply::Probed { availability: bounds::availability(worker.runner()?.is_available()) })
}

pub(super) fn setup(worker: &mut Worker, request: &SetupRequest, folders: Folders) -> Result<Reply, Failure> {
    let context = SetupContext::new(Arc::clone(&worker.host), folders.data_dir, folders.log_dir);
    worker.runner()?.setup(request, &context)?;
    Ok(Reply::Done)
}

pub(super) fn open(worker: &mut Worker, session: &Session) -> Result<Reply, Failure> {
    worker.runner()?.open(session)?;
    Ok(Reply::Done)
}

pub(super) fn close(worker: &mut Worker) -> Result<Reply, Failure> {
    worker.runner()?.close()?;
    Ok(Reply::Done)
}
