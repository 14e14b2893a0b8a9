//! The cheats that alter files of the host, and not what a run returns.

use super::attempt::Ended;
use super::error::SelfTestError;
use super::table::How;
use super::trials::{Trials, computing, trial};
use crate::plan::Purpose;
use crate::record::{Access, Conditions, Recorder, SystemProfile};
use crate::run::event::Event;
use crate::run::session::{CallError, Isolation};
use crate::worker::cheat::Cheat;

/// The number of items of a run.
const ITEMS: u64 = 20;

/// Records two runs as a comparison does. The second alters the record of the first.
pub(super) fn alter_records(trials: &mut Trials) -> Result<Ended, SelfTestError> {
    let folder = trials.data_dir().join("records");
    let mut recorder = Recorder::open(&folder, Access::Exclusive, conditions(trials))?;
    let mut engine = trials.open(Cheat::AlterRecords, &computing(ITEMS))?;
    let mut last = None;
    for number in 0..2 {
        let spec = trials.with_data(&computing(ITEMS), "records", 0, Purpose::WarmUp(number))?;
        let result = trials.run(&mut engine, &spec)?;
        recorder.note(&Event::Finished(&trial(&spec), &result))?;
        last = Some(result);
    }
    engine.close(&mut |_| ());
    let within = format!("{}/", folder.display());
    let altered = recorder.writer.check()?;
    let altered: Vec<_> = altered.iter().map(|altered| altered.to_string().replace(&within, "")).collect();
    let is_right_now = recorder.writer.check()?.is_empty();
    Ok(match last {
        Some(_) if is_right_now && !altered.is_empty() => {
            Ended { how: How::Altered, reason: altered.join("; ") }
        }
        Some(result) => Ended::of(Cheat::AlterRecords, &result),
        None => return Err(CallError::unexpected("run").into()),
    })
}

fn conditions(trials: &Trials) -> Conditions {
    let setting = &trials.executor.setting;
    Conditions {
        participants: setting.participants.clone(),
        system_profile: SystemProfile::default(),
        isolation: Isolation::Process,
        locked: false,
        lock_file: None,
        cores: None,
        log_dir: setting.folders.log_dir.clone(),
        command: Box::new(|_| String::new()),
        full_command: None,
        data_seed_chosen: false,
        sweeps: None,
    }
}

/// Runs the cheat, and then, with a judge and a memory of its own, an honest backend on the same data.
pub(super) fn poison_judge(trials: &mut Trials) -> Result<Ended, CallError> {
    let spec = trials.with_data(&computing(ITEMS), "poison", 0, Purpose::Measured)?;
    trials.run_alone(Cheat::PoisonJudge, &spec)?;
    let mut later = trials.anew();
    let honest = later.run_alone(Cheat::None, &spec);
    later.executor.end();
    let ended = Ended::of(Cheat::None, &honest?);
    Ok(match ended.how {
        How::Believed => Ended {
            how: How::GainedNothing,
            reason: "an honest run on the same data was verified afterwards".into(),
        },
        _ => Ended { how: How::Believed, reason: format!("an honest run was not: {}", ended.reason) },
    })
}
