//! Advice as people read it: the verdict first, everything on one screen.

use crate::output::human;
use ghevault_core::{
    appliance::facts::Role,
    failover::{
        advise::{Advice, Verdict},
        observe::{Observation, Seen, State},
        ways::{Command, VaultFacts},
    },
};
use std::{fmt::Write as _, time::Duration};

/// The whole advice.
pub fn advice(advice: &Advice, seen: &Observation, vault: &VaultFacts) -> String {
    let mut text = verdict(advice);
    for reason in &advice.reasons {
        let _ = writeln!(text, "  - {reason}");
    }
    text.push_str("\nhosts\n");
    for host in &seen.hosts {
        let _ = writeln!(text, "  {:<22} {}", host.host, state(host));
    }
    let _ = writeln!(text, "  {:<22} {}", "vault", of_vault(vault, seen));
    if let Some(way) = &advice.promote {
        let (from, to) = way.minutes;
        let _ =
            writeln!(text, "\npromote {}: {from} to {to} minutes, loses {}", way.host, way.data_loss.words);
        // What nobody needs now is in --json.
        if matches!(advice.verdict, Verdict::Promote | Verdict::Wait | Verdict::Investigate) {
            text.push_str(&commands(&way.commands));
        }
    }
    if let Some(way) = &advice.restore {
        let verified = match way.verified {
            Some((at, 2)) => format!("every byte verified {}", at.strftime("%Y-%m-%d %H:%MZ")),
            Some((at, _)) => format!("verified {}", at.strftime("%Y-%m-%d %H:%MZ")),
            None => "not verified".to_owned(),
        };
        let _ = writeln!(
            text,
            "\nrestore {} of {}: about {}, loses the last {} ({verified})\n  {}; without the time to install an appliance",
            way.snapshot.id.get(..8).unwrap_or(&way.snapshot.id),
            way.snapshot.time.strftime("%Y-%m-%d %H:%MZ"),
            human::duration(Duration::from_secs(way.seconds)),
            human::duration(Duration::from_secs(way.data_loss_seconds)),
            way.estimate,
        );
        if matches!(advice.verdict, Verdict::Restore | Verdict::Investigate) {
            text.push_str(&commands(&way.commands));
        }
    }
    if advice.verdict != Verdict::NothingToDo && !advice.traps.is_empty() {
        text.push_str("\ntraps\n");
        for trap in &advice.traps {
            let _ = writeln!(text, "  {}: {}", trap.name, trap.text);
        }
    }
    text
}

fn verdict(advice: &Advice) -> String {
    let host = advice.host.as_deref().unwrap_or_default();
    match advice.verdict {
        Verdict::NothingToDo => "NOTHING TO DO\n".to_owned(),
        Verdict::Promote => format!("PROMOTE {host}\n"),
        Verdict::Restore => "RESTORE\n".to_owned(),
        Verdict::Wait => "WAIT\n".to_owned(),
        Verdict::Investigate => "INVESTIGATE before you do anything\n".to_owned(),
    }
}

/// Commands of a runbook, numbered.
pub fn commands(commands: &[Command]) -> String {
    let mut text = String::new();
    for (index, command) in commands.iter().enumerate() {
        let on = if command.on == "here" { String::new() } else { format!("[{}] ", command.on) };
        let _ = writeln!(text, "  {}. {on}{}\n       {}", index + 1, command.run, command.why);
    }
    text
}

fn state(seen: &Seen) -> String {
    let node = match &seen.state {
        State::Unreachable { reason } => return format!("unreachable: {reason}"),
        State::Unclear { reason, .. } => return format!("unclear: {reason}"),
        State::Answers(node) => node,
    };
    let role = match node.role {
        Role::Standalone => "standalone",
        Role::Primary => "primary",
        Role::Replica => "replica",
        Role::Cluster => "cluster node",
    };
    let mut text = format!("{role}, release {}", node.version_text);
    if !node.configured {
        text += ", not configured";
    }
    if node.maintenance {
        text += ", in maintenance mode";
    }
    if let Some(status) = &node.replication {
        let whose = if node.role == Role::Primary { "replicas" } else { "replication" };
        let _ = write!(text, ", {whose} {}", status.level.word());
        let behind = status.behind();
        if !behind.is_empty() {
            let _ = write!(text, " ({})", behind.join(", "));
        }
    }
    if let Some(age) = node.gate_age_s {
        let _ = write!(text, ", Git maintenance paused for {age} s");
    }
    text
}

fn of_vault(vault: &VaultFacts, seen: &Observation) -> String {
    if let Some(problem) = &vault.problem {
        return format!("unknown: {problem}");
    }
    let Some(newest) = &vault.newest else { return "no complete snapshot".to_owned() };
    let age = u64::try_from(seen.at.as_second() - newest.time.as_second()).unwrap_or(0);
    format!(
        "newest complete snapshot {} of {}, {} old, release {}",
        newest.id.get(..8).unwrap_or(&newest.id),
        newest.host,
        human::duration(Duration::from_secs(age)),
        newest.version
    )
}
