//! What a worker does for each request.

mod backend;
mod checks;
mod judging;
mod opening;
mod run;

use super::bounds;
use super::protocol::{Reply, Request, VERSION};
use super::state::{Failure, Worker};

impl Worker {
    pub fn handle(&mut self, request: Request) -> Reply {
        answer(self, request).unwrap_or_else(|Failure { error, refused }| Reply::Failed {
            error: bounds::error(error),
            refused,
        })
    }
}

fn answer(worker: &mut Worker, request: Request) -> Result<Reply, Failure> {
    match request {
        Request::Hello { .. } => Ok(Reply::Hello { version: VERSION }),
        Request::LoadRunner { library } => backend::load_runner(worker, &library),
        Request::Cheat { cheat } => Ok(backend::cheat(worker, cheat)),
        Request::Probe => backend::probe(worker),
        Request::Setup { request, folders } => backend::setup(worker, &request, folders),
        Request::Open { session } => backend::open(worker, &session),
        Request::Close => backend::close(worker),
        Request::Run { spec, library, folders, timeout_seconds } => {
            run::run(worker, &spec, &library, folders, timeout_seconds)
        }
        Request::Catalogue { library } => judging::catalogue(worker, &library),
        Request::Expect { spec, library } => judging::expect(worker, &spec, &library),
        Request::Judge { spec, library, sink_state } => judging::judge(worker, &spec, &library, &sink_state),
        Request::Canary { seconds } => Ok(judging::canary(seconds)),
        Request::Time { spec, library, stage, seconds } => {
            judging::time(worker, &spec, &library, stage, seconds)
        }
        Request::Redirect { stdout } => checks::redirect(&stdout),
        Request::Snapshot => Ok(checks::snapshot()),
        Request::Serial { spec, library } => checks::serial(worker, &spec, &library),
        Request::Malformed { spec, library, rounds } => {
            checks::give_malformed(worker, &spec, &library, rounds)
        }
        // Nothing is under way: the call that was to be cancelled has just ended by itself.
        Request::Cancel => Ok(Reply::Done),
    }
}
