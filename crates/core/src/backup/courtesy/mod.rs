//! Waits before a backup begins: while another account is backing up the appliance, and while the appliance has much to do. Both
//! waits have an end; then the backup begins all the same, because an old snapshot is worse than a slow appliance.

mod backlog;

use std::{
    cell::OnceCell,
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use super::CancelToken;
use crate::{
    appliance::{
        channel::{Channel, ChannelError, RemoteCommand},
        gate,
    },
    progress::{Event, Progress},
    state::{StateError, StateFolder},
};

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(5);
/// A gate that is older was left by somebody who died: nobody waits for it.
const LEFT_S: i64 = 6 * 3_600;

/// Longest wait for the checkpoint of somebody whose gate is gone: one that ends without publishing holds nobody up.
const PUBLISH: Duration = Duration::from_mins(2);

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Courtesy {
    /// Longest wait for the backup of another account.
    pub turn: Duration,
    /// Load of the last minute for each processor above which to wait.
    pub load_max: Option<f64>,
    /// Jobs of Git maintenance in the appliance's queues above which to wait.
    pub backlog_max: Option<u64>,
    /// Longest wait for both.
    pub load_wait: Duration,
}

impl Default for Courtesy {
    fn default() -> Self {
        Self { turn: Duration::ZERO, load_max: None, backlog_max: None, load_wait: Duration::from_mins(15) }
    }
}

/// Why the wait was ended early.
#[derive(Debug, thiserror::Error)]
pub enum CourtesyError {
    /// The appliance cannot be asked.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The state folder failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The user ended the run.
    #[error("the backup was cancelled")]
    Cancelled,
}

/// Where to look, and whom to tell.
pub struct Waiting<'a> {
    /// The appliance.
    pub channel: &'a dyn Channel,
    /// Folder of the repositories on it.
    pub repositories: &'a str,
    /// The state folder of this host: a gate of our own that a dead run left is no reason to wait.
    pub state: &'a StateFolder,
    /// Reads the names of the checkpoints that others have published; nothing where nobody publishes, or nobody can look.
    pub published: &'a dyn Fn() -> BTreeSet<String>,
    /// Ends the wait.
    pub cancel: &'a CancelToken,
    /// Whom to tell.
    pub progress: &'a dyn Progress,
}

/// Waits. Returns for how long.
///
/// A backup holds its gate while it reads repositories; its end is seen by the checkpoint that it publishes.
///
/// # Errors
/// The appliance cannot be asked, or the wait was cancelled.
pub fn wait(on: &Waiting<'_>, courtesy: &Courtesy) -> Result<Duration, CourtesyError> {
    let began = Instant::now();
    let before = OnceCell::new();
    let looked = bounded(on, courtesy.turn, "another account is backing up the appliance", || {
        let reason = others(on)?;
        if reason.is_some() {
            before.get_or_init(on.published);
        }
        Ok(reason)
    })?;
    if let Some(before) = before.get().filter(|before| !before.is_empty()) {
        let left = courtesy.turn.saturating_sub(began.elapsed()).min(PUBLISH);
        bounded(on, left, "another account is ending its backup", || {
            let ended = !(on.published)().is_subset(before);
            Ok((!ended).then(|| "its checkpoint is not published yet".to_owned()))
        })?;
    }
    let busy = bounded(on, busy_wait(courtesy), "the appliance has much to do", || busy(on, courtesy))?;
    Ok(if looked || busy { began.elapsed() } else { Duration::ZERO })
}

/// How long to wait for an appliance that has much to do.
fn busy_wait(courtesy: &Courtesy) -> Duration {
    let asked = courtesy.load_max.is_some() || courtesy.backlog_max.is_some();
    if asked { courtesy.load_wait } else { Duration::ZERO }
}

/// What the appliance has to do, in words, if that is more than is wanted.
fn busy(on: &Waiting<'_>, courtesy: &Courtesy) -> Result<Option<String>, CourtesyError> {
    if let Some(most) = courtesy.load_max
        && let Some(load) = load(on.channel)?
        && load > most
    {
        return Ok(Some(format!("its load for each processor is {load:.2}, wanted is {most}")));
    }
    if let Some(most) = courtesy.backlog_max {
        match backlog(on.channel)? {
            Some(jobs) if jobs > most => {
                return Ok(Some(format!("{jobs} jobs of Git maintenance wait, at most {most} are wanted")));
            }
            Some(_) => {}
            None => on.progress.event(Event::Warning {
                text: "the appliance does not tell how many jobs of Git maintenance wait; the backup does not wait for them",
            }),
        }
    }
    Ok(None)
}

/// Looks until there is no reason to wait, or for `most`. Returns whether it waited.
fn bounded(
    on: &Waiting<'_>,
    most: Duration,
    what: &str,
    reason: impl Fn() -> Result<Option<String>, CourtesyError>,
) -> Result<bool, CourtesyError> {
    let until = Instant::now() + most;
    let mut waited = false;
    while !most.is_zero() {
        let Some(why) = reason()? else { break };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            on.progress.event(Event::Warning {
                text: &format!(
                    "{what} after {} s still ({why}); the backup begins all the same",
                    most.as_secs()
                ),
            });
            break;
        }
        if !waited {
            on.progress.event(Event::Warning {
                text: &format!("{what} ({why}); waiting, for at most {} s", most.as_secs()),
            });
        }
        waited = true;
        let pause = Instant::now() + left.min(LOOK);
        while Instant::now() < pause {
            if on.cancel.is_cancelled() {
                return Err(CourtesyError::Cancelled);
            }
            thread::sleep(Duration::from_millis(100).min(pause.saturating_duration_since(Instant::now())));
        }
    }
    Ok(waited)
}

/// The gate of somebody else, in words.
fn others(on: &Waiting<'_>) -> Result<Option<String>, CourtesyError> {
    let Some((mark, age_s)) = gate::status(on.channel, on.repositories)? else { return Ok(None) };
    let ours = on.state.gate()?.is_some_and(|record| record.mark == mark);
    Ok((!ours && age_s < LEFT_S).then(|| format!("maintenance is paused since {age_s} s")))
}

/// The load of the last minute for each processor; nothing where the appliance does not tell.
fn load(channel: &dyn Channel) -> Result<Option<f64>, CourtesyError> {
    let command = RemoteCommand::new("ask for the load", "cat /proc/loadavg; getconf _NPROCESSORS_ONLN");
    let out = channel.run(&command, &[])?;
    Ok(parse(&String::from_utf8_lossy(&out.stdout)))
}

/// Jobs of Git maintenance that wait; nothing where the appliance does not tell.
fn backlog(channel: &dyn Channel) -> Result<Option<u64>, CourtesyError> {
    let command = RemoteCommand::new("ask for the maintenance backlog", "ghe-aqueduct status");
    let out = channel.run(&command, &[])?;
    Ok(if out.exit.status.success() { backlog::parse(&String::from_utf8_lossy(&out.stdout)) } else { None })
}

/// What fuzzing runs.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(text: &str) {
    let _ = (backlog::parse(text), parse(text));
}

fn parse(text: &str) -> Option<f64> {
    let mut lines = text.lines();
    let load: f64 = lines.next()?.split_whitespace().next()?.parse().ok()?;
    let processors: u32 = lines.next()?.trim().parse().ok()?;
    (processors > 0).then(|| load / f64::from(processors))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_load_is_counted_for_each_processor() {
        assert_eq!(parse("3.00 2.00 1.00 1/100 4242\n4\n"), Some(0.75));
        for odd in ["", "x\n4", "1.0 1 1", "1.0 1 1\n0\n"] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
