//! Runs a promotion that the guard has planned, and finds out how it ended.
//!
//! `ghe-repl-promote` runs so that it outlives us: its output goes through a reader on the appliance that goes on
//! reading when nobody listens any more, so a lost connection neither stops it nor breaks it by a closed pipe. What the
//! connection did not tell is asked afterwards.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader},
    thread,
    time::{Duration, Instant},
};

use super::{
    aftermath::{next, verify},
    guard::{PromotePlan, Step},
    report::{Outcome, PromoteReport},
};
use crate::{
    appliance::{
        channel::{Channel, ChannelError, RemoteCommand},
        gate,
        quote::quote,
        target::Target,
    },
    failover::{
        observe::{Connect, replication},
        repl_status::Level,
    },
    state::{GateRecord, StateError, StateFolder},
};

/// Lines of `ghe-repl-promote` that are kept.
const LINES: usize = 40;

/// Limits of a promotion.
#[derive(Clone, Debug)]
pub struct PromoteSettings {
    /// Folder of an appliance's data.
    pub data_root: String,
    /// Longest wait for Git operations on the primary to end.
    pub drain: Duration,
    /// Further wait after the last one, for replication (contract §6.4: 30 s).
    pub settle: Duration,
    /// Between two looks at the primary.
    pub look: Duration,
    /// Longest time of `ghe-repl-promote`.
    pub promote: Duration,
    /// Attempts to ask the host who it is afterwards, and the pause between them.
    pub asks: (u32, Duration),
}

impl Default for PromoteSettings {
    fn default() -> Self {
        Self {
            data_root: "/data/user".to_owned(),
            drain: Duration::from_mins(10),
            settle: Duration::from_secs(30),
            look: Duration::from_secs(2),
            promote: Duration::from_mins(90),
            asks: (5, Duration::from_secs(5)),
        }
    }
}

/// Why a promotion did not start. Nothing has been promoted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromoteError {
    /// A host cannot be asked.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// Users still write to the primary.
    #[error("{running} Git operation(s) still run on the primary `{host}` after {after:?}")]
    Busy {
        /// The primary.
        host: String,
        /// How many.
        running: u64,
        /// The limit.
        after: Duration,
    },
    /// The primary did not tell.
    #[error("the primary `{host}` does not tell its running Git operations: {said}")]
    NotTold {
        /// The primary.
        host: String,
        /// What it said.
        said: String,
    },
    /// Replication fell behind meanwhile.
    #[error("replication to `{host}` is {level} now: {}", stores.join(", "))]
    FellBehind {
        /// The replica.
        host: String,
        /// How it is.
        level: &'static str,
        /// What is not in sync.
        stores: Vec<String>,
    },
    /// The journal of gates cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Who takes part, and who is told.
pub struct Cast<'a> {
    /// How hosts are reached.
    pub connect: &'a Connect<'a>,
    /// The replica.
    pub replica: Target,
    /// The primary, if it answers.
    pub primary: Option<Target>,
    /// Our journal.
    pub state: &'a StateFolder,
    /// Takes each line of `ghe-repl-promote`, and of what we do besides.
    pub tell: &'a (dyn Fn(&str) + Sync),
}

/// Runs the plan.
///
/// # Errors
/// It stopped before `ghe-repl-promote` was started. What happens from there on is in the report.
pub fn run(
    plan: &PromotePlan,
    cast: &Cast<'_>,
    settings: &PromoteSettings,
) -> Result<PromoteReport, PromoteError> {
    let mut report = PromoteReport {
        outcome: Outcome::Unknown,
        plan: plan.clone(),
        done: Vec::new(),
        problem: None,
        said: Vec::new(),
        lost: false,
        seconds: 0.0,
        role: None,
        uuid: None,
        maintenance: None,
        warnings: plan.warnings.clone(),
        next: Vec::new(),
    };
    let channel = (cast.connect)(&cast.replica)?;
    for step in &plan.steps {
        match step {
            Step::Drain => drain(cast, settings)?,
            Step::CheckReplication => still_in_sync(&*channel, plan)?,
            Step::HealGate => heal_gates(cast, settings, &*channel, &mut report.warnings)?,
            Step::Promote => {
                let began = Instant::now();
                let ending = promote(&*channel, cast, settings, &mut report.said);
                report.lost = matches!(ending, Ending::Lost(_));
                report.problem = match ending {
                    Ending::Well => None,
                    Ending::Badly(problem) | Ending::Lost(problem) => Some(problem),
                };
                report.seconds = began.elapsed().as_secs_f64();
            }
            Step::Verify => verify(cast, settings, &mut report),
        }
        report.done.push(*step);
    }
    report.next = next(&report);
    Ok(report)
}

/// Waits until no Git operation of users runs on the primary, and a while longer.
fn drain(cast: &Cast<'_>, settings: &PromoteSettings) -> Result<(), PromoteError> {
    let Some(primary) = &cast.primary else { return Ok(()) };
    let host = primary.to_string();
    let channel = (cast.connect)(primary)?;
    // The character class keeps grep from finding itself.
    let script = "ps axo args | grep -Ec '^(sudo .*)?git[ -](upload-pack|receive-pack|upload-archive)( |$)'";
    let until = Instant::now() + settings.drain;
    (cast.tell)(&format!("waiting for Git operations on {host} to end"));
    loop {
        let output = channel.run(&RemoteCommand::new("count Git operations", script), &[])?;
        let text = String::from_utf8_lossy(&output.stdout);
        let running = text.trim().parse::<u64>().map_err(|_| PromoteError::NotTold {
            host: host.clone(),
            said: format!("`{}`, {}", text.trim(), output.exit.status),
        })?;
        if running == 0 {
            break;
        }
        if Instant::now() >= until {
            return Err(PromoteError::Busy { host, running, after: settings.drain });
        }
        thread::sleep(settings.look);
    }
    (cast.tell)(&format!("no Git operation runs; {} s more for replication", settings.settle.as_secs()));
    thread::sleep(settings.settle);
    Ok(())
}

fn still_in_sync(channel: &dyn Channel, plan: &PromotePlan) -> Result<(), PromoteError> {
    let status = replication(channel);
    if status.level == Level::Ok {
        return Ok(());
    }
    let level = status.level.word();
    Err(PromoteError::FellBehind { host: plan.host.clone(), level, stores: status.behind() })
}

pub(super) fn repositories(settings: &PromoteSettings) -> String {
    format!("{}/repositories", settings.data_root)
}

/// Removes gates that an earlier run of ours left on hosts that answer. The guard has seen that no run of ours is active.
fn heal_gates(
    cast: &Cast<'_>,
    settings: &PromoteSettings,
    channel: &dyn Channel,
    warnings: &mut Vec<String>,
) -> Result<(), PromoteError> {
    let Some(record) = cast.state.gate()? else { return Ok(()) };
    let mut removed = Vec::new();
    if open_ours(channel, &cast.replica, &record, settings)? {
        removed.push(cast.replica.to_string());
    }
    if let Some(primary) = &cast.primary {
        if open_ours(&*(cast.connect)(primary)?, primary, &record, settings)? {
            removed.push(primary.to_string());
        }
        // Of a primary that is lost the record stays: should the machine come back, its gate can be told.
        cast.state.forget_gate()?;
    }
    for host in removed {
        warnings.push(format!("a maintenance gate that an earlier backup had left on `{host}` was removed"));
    }
    Ok(())
}

/// Opens the gate of a machine, if it is the one of our record; returns whether it was.
pub(super) fn open_ours(
    channel: &dyn Channel,
    host: &Target,
    record: &GateRecord,
    settings: &PromoteSettings,
) -> Result<bool, ChannelError> {
    let Some((mark, _)) = gate::status(channel, &repositories(settings))? else { return Ok(false) };
    let own = channel.run(&RemoteCommand::new("ask for its name", "cat /etc/github/cluster"), &[])?;
    let name = String::from_utf8_lossy(&own.stdout);
    if !record.made(&host.to_string(), name.trim(), &mark) {
        return Ok(false);
    }
    gate::remove(channel, &repositories(settings), &mark)
}

/// The shell around `ghe-repl-promote`: deaf to hang-up, and with a reader that goes on without a listener.
fn script() -> String {
    let inner = "trap '' HUP\nset -o pipefail\n\
                 ghe-repl-promote </dev/null 2>&1 | (trap '' PIPE HUP\n\
                 while IFS= read -r line || [ -n \"$line\" ]; do printf '%s\\n' \"$line\" 2>/dev/null || :; done\n:)";
    format!("exec bash -c {}", quote(inner))
}

/// How a command ended, as far as the connection tells.
enum Ending {
    /// With exit code 0.
    Well,
    /// With another one.
    Badly(String),
    /// Unseen: it may still be running.
    Lost(String),
}

/// Runs the command.
fn promote(
    channel: &dyn Channel,
    cast: &Cast<'_>,
    settings: &PromoteSettings,
    said: &mut Vec<String>,
) -> Ending {
    let mut command = RemoteCommand::bulk("ghe-repl-promote", script(), settings.promote);
    command.deadline = Some(settings.promote);
    command.idle = None;
    let mut kept = VecDeque::with_capacity(LINES);
    let ending = follow(channel, &command, |line| {
        (cast.tell)(line);
        if kept.len() == LINES {
            kept.pop_front();
        }
        kept.push_back(line.to_owned());
    });
    said.extend(kept);
    ending
}

fn follow(channel: &dyn Channel, command: &RemoteCommand, mut line: impl FnMut(&str)) -> Ending {
    let mut running = match channel.start(command) {
        Ok(running) => running,
        Err(error) => return Ending::Lost(error.to_string()),
    };
    drop(running.take_stdin());
    let mut cut = None;
    if let Some(stdout) = running.take_stdout() {
        let mut reader = BufReader::new(stdout);
        let mut raw = Vec::new();
        loop {
            raw.clear();
            match reader.read_until(b'\n', &mut raw) {
                Ok(0) => break,
                Ok(_) => {
                    let text = String::from_utf8_lossy(&raw);
                    let clean: String =
                        text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                    if !clean.trim().is_empty() {
                        line(&clean);
                    }
                }
                Err(error) => {
                    cut = Some(error.to_string());
                    break;
                }
            }
        }
    }
    match (running.wait(), cut) {
        (Ok(exit), None) if exit.status.success() => Ending::Well,
        (Ok(exit), _) if !exit.status.success() => {
            Ending::Badly(format!("`ghe-repl-promote` ended with {}", exit.status))
        }
        (Ok(_), cut) => Ending::Lost(cut.unwrap_or_default()),
        (Err(error), _) => Ending::Lost(error.to_string()),
    }
}
