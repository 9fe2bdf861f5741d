//! How a promotion ended: who the host is now, what stands in its way, and what comes next.

use std::{sync::Arc, thread};

use super::{
    report::{Outcome, PromoteReport},
    run::{Cast, PromoteSettings, open_ours, repositories},
};
use crate::{
    appliance::{
        channel::Channel,
        facts::{self, Facts, Role},
        gate,
    },
    failover::ways::Command,
};

/// Asks the host who it is now, patiently: its services have just started.
pub(super) fn verify(cast: &Cast<'_>, settings: &PromoteSettings, report: &mut PromoteReport) {
    let (asks, pause) = settings.asks;
    let mut told = Err("it was not asked".to_owned());
    for ask in 0..asks.max(1) {
        if ask > 0 {
            thread::sleep(pause);
        }
        told = who(cast, settings);
        // After a lost connection the command may still be at work: a replica may become a primary meanwhile.
        if told.as_ref().is_ok_and(|(_, facts)| facts.role != Role::Replica || !report.lost) {
            break;
        }
    }
    match told {
        Ok((channel, facts)) => {
            (report.role, report.uuid) = (Some(facts.role), Some(facts.uuid.clone()));
            report.maintenance = Some(facts.maintenance);
            let primary = matches!(facts.role, Role::Primary | Role::Standalone);
            report.outcome = match (primary, report.lost) {
                (true, _) => Outcome::Promoted,
                (false, false) => Outcome::Failed,
                (false, true) => Outcome::Unknown,
            };
            if primary {
                if let Some(problem) = &report.problem {
                    report.warnings.push(format!("it is a primary now, but {problem}"));
                }
                if facts.maintenance {
                    report.warnings.push(
                        "it is in maintenance mode: `ghe-maintenance -u` on its admin shell lets users in"
                            .into(),
                    );
                }
                stale_gate(cast, settings, &*channel, &mut report.warnings);
            } else if report.problem.is_none() {
                report.problem =
                    Some("`ghe-repl-promote` ended well, but the host is still a replica".into());
            }
        }
        Err(reason) => {
            report.outcome = Outcome::Unknown;
            let before = report.problem.take().map(|problem| format!("{problem}; ")).unwrap_or_default();
            report.problem = Some(format!("{before}the host cannot be asked who it is now: {reason}"));
        }
    }
}

fn who(cast: &Cast<'_>, settings: &PromoteSettings) -> Result<(Arc<dyn Channel>, Facts), String> {
    let channel = (cast.connect)(&cast.replica).map_err(|error| error.to_string())?;
    let facts = facts::probe(&*channel, &settings.data_root, &cast.replica.to_string());
    facts.map(|facts| (channel, facts)).map_err(|error| error.to_string())
}

/// A gate on the new primary: ours is removed, another's is told.
fn stale_gate(
    cast: &Cast<'_>,
    settings: &PromoteSettings,
    channel: &dyn Channel,
    warnings: &mut Vec<String>,
) {
    let record = cast.state.gate().ok().flatten().filter(|record| !record.holder_lives());
    if let Some(record) = record
        && open_ours(channel, &cast.replica, &record, settings).unwrap_or(false)
    {
        warnings.push("a maintenance gate that an earlier backup had left there was removed".into());
        return;
    }
    if let Ok(Some((_, age_s))) = gate::status(channel, &repositories(settings)) {
        warnings.push(format!(
            "Git maintenance on the new primary has been paused for {age_s} s, not by a backup of this host: \
             `ghevault gate status`"
        ));
    }
}

/// What to do next, by how it ended.
pub(super) fn next(report: &PromoteReport) -> Vec<Command> {
    let host = &report.plan.host;
    let hand = |run: String, why: &str| Command { on: "by hand".into(), run, why: why.into() };
    match report.outcome {
        Outcome::Promoted => report.plan.next.clone(),
        Outcome::Failed => vec![
            hand(
                format!("read what {host} said above, and `ghe-repl-status -v` there"),
                "it is still a replica",
            ),
            Command {
                on: "here".into(),
                run: format!("ghevault advise {host}"),
                why: "look again, then repeat".into(),
            },
            hand(
                "keep the former primary as it is: in maintenance mode, or off".into(),
                "nothing may be written meanwhile",
            ),
        ],
        Outcome::Unknown => vec![
            hand(
                format!(
                    "look at {host}'s console: `ghe-repl-promote` goes on there although the connection ended"
                ),
                "do not start it a second time while it runs: `pgrep -af ghe-repl-promote`",
            ),
            Command {
                on: "here".into(),
                run: format!("ghevault advise {host}"),
                why: "says when it has become a primary; if it is a replica and nothing runs, repeat".into(),
            },
            hand("keep the former primary off".into(), "two primaries would both take writes"),
        ],
    }
}
