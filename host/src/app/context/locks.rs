//! The locks that a command waits for.

use std::fs::{File, TryLockError};
use std::time::{Duration, Instant};

use super::{Context, WRITABLE};
use crate::app::ui::Ui;
use crate::app::{Exit, Problem};
use crate::record::{MeasurementLock, RecordError, file_lock, measurement_lock};
use crate::regular_file;
use crate::text::with_remedy;

impl Context {
    /// Waits for the measurement lock, if it is `wanted`. Where the system has none, that is reported, and the measurement goes on.
    pub(crate) fn measurement_lock(
        &self,
        wanted: bool,
        ui: &mut Ui,
    ) -> Result<Option<MeasurementLock>, Problem> {
        if !wanted {
            return Ok(None);
        }
        // Said also by --quiet: nothing else tells for what such a command waits.
        let waiting = |holder: &str| {
            ui.warning(&format!("waiting until no other measurement runs ({holder})"));
            self.forget_shared_files();
        };
        let path = measurement_lock::path();
        match MeasurementLock::acquire_waiting(&path, waiting, || self.interrupt().is_set()) {
            Ok(Some(lock)) => Ok(Some(lock)),
            Ok(None) => Err(Problem::new(Exit::Interrupted, "interrupted while another measurement ran")),
            Err(error) => {
                let why = match error {
                    RecordError::File { path, error, .. } => format!("{}: {error}", path.display()),
                    other => other.to_string(),
                };
                let why = format!(
                    "there is no measurement lock, and another measurement may run at the same time: {why}"
                );
                ui.warning(&with_remedy(&why, Some("export CROSSRUN_LOCK_FILE=FILE")));
                Ok(None)
            }
        }
    }

    /// Waits for the lock on the set-up of `name`: two set-ups of one backend at once would write the same files.
    pub(crate) fn setup_lock(&self, name: &str) -> Result<File, Problem> {
        let path = self.data_dir.join(format!("setup-{name}.lock"));
        let cannot = |error: std::io::Error| {
            let message = format!("cannot lock {}: {error}", path.display());
            Problem { exit: Exit::SetupFailed, ..Problem::of_file(&error, message, WRITABLE) }
        };
        let file = regular_file::open(&path, File::options().append(true).create(true)).map_err(cannot)?;
        let (since, mut said) = (Instant::now(), false);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) if file_lock::has_no_locks(&error) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(cannot(error)),
                Err(TryLockError::WouldBlock) if self.interrupt().is_set() => {
                    return Err(Problem::new(Exit::Interrupted, "interrupted while another set-up ran"));
                }
                Err(TryLockError::WouldBlock) => {
                    if since.elapsed() > Duration::from_secs(1) && !std::mem::replace(&mut said, true) {
                        log::warn!(
                            "waiting until another set-up of {name} has ended ({})",
                            file_lock::holder(&file)
                        );
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }
}
