//! Runs that this daemon did not start: by hand, by another scheduler, or by a daemon that was killed.

use super::{child, keeper::Keeper, relay::log_retry};
use crate::{cli::operate, error::CommandResult};
use ghevault_core::{
    schedule::decide,
    state::{Ledger, RunDetails, RunRecord, RunResult, Started, Task, Trigger},
};
use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;

/// A run that was started so short a time ago may not have shown itself yet.
const SHOWS_ITSELF: SignedDuration = SignedDuration::from_secs(10);
/// Time between SIGTERM and SIGKILL of a run of an earlier daemon that is over its deadline.
const GRACE: SignedDuration = SignedDuration::from_secs(30);

impl Keeper {
    /// The tasks of which a run goes on, and whether one of them is not our child.
    pub(super) fn busy(&self, ledger: &Ledger, now: Timestamp) -> CommandResult<(Vec<Task>, bool)> {
        let (mut busy, mut foreign) = (Vec::new(), false);
        for task in Task::ALL {
            if self.children.contains_key(&task) {
                busy.push(task);
                continue;
            }
            let started = ledger.tasks.get(&task).and_then(|known| known.running.as_ref());
            if let Some(live) = self.state.live_run(task)? {
                busy.push(task);
                foreign = true;
                // Of an earlier daemon: its deadline still holds.
                if started.is_some_and(|started| started.run == live.run) {
                    let deadline = self.with(|shared| shared.settings.operation.deadline);
                    let over = now
                        .duration_since(live.began)
                        .saturating_sub(SignedDuration::try_from(deadline).unwrap_or(SignedDuration::MAX));
                    if over > SignedDuration::ZERO && live.pid != 0 {
                        tracing::warn!(
                            task = task.name(),
                            run = live.run,
                            "the run is over its deadline and is ended"
                        );
                        child::signal(live.pid, if over > GRACE { Signal::KILL } else { Signal::TERM });
                    }
                }
            } else if started.is_some_and(|started| {
                let age = now.duration_since(started.began);
                !age.is_negative() && age < SHOWS_ITSELF && !self.recorded(&started.run).unwrap_or(false)
            }) {
                busy.push(task);
                foreign = true;
            }
        }
        Ok((busy, foreign))
    }

    fn recorded(&self, run: &str) -> CommandResult<bool> {
        Ok(self.state.history()?.runs.iter().rev().any(|record| record.run == run))
    }

    /// A run that was started by an earlier daemon and does not go on: how did it end?
    pub(super) fn settle(
        &self,
        ledger: &mut Ledger,
        task: Task,
        started: &Started,
        now: Timestamp,
    ) -> CommandResult {
        let history = self.state.history()?;
        if let Some(record) = history.runs.iter().rev().find(|record| record.run == started.run) {
            let (result, retry) = decide::ended(ledger, task, record.code, now);
            tracing::info!(
                task = task.name(),
                run = started.run,
                result = result.name(),
                "a run of an earlier daemon has ended"
            );
            log_retry(task, retry);
        } else {
            let retry = decide::lost(ledger, task, now);
            tracing::warn!(task = task.name(), run = started.run, "a run of an earlier daemon is gone");
            log_retry(task, retry);
            let reason = "it was gone after the daemon had been started again";
            self.record(task, started, now, (137, RunResult::Interrupted), reason)?;
        }
        Ok(())
    }

    /// Puts a run into the history that could not do so itself.
    pub(super) fn record(
        &self,
        task: Task,
        started: &Started,
        now: Timestamp,
        (code, result): (u8, RunResult),
        reason: &str,
    ) -> CommandResult {
        let vault = self.with(|shared| shared.settings.vault.as_deref().map(operate::shown_vault));
        let record = RunRecord {
            run: started.run.clone(),
            task,
            began: started.began,
            ended: now.max(started.began),
            result,
            code,
            trigger: if started.attempt > 1 { Trigger::Retry } else { Trigger::Schedule },
            details: RunDetails { reason: Some(reason.to_owned()), vault, ..RunDetails::default() },
        };
        Ok(self.state.record_run(&record)?)
    }
}
