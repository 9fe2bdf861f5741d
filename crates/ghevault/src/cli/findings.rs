//! `ghevault findings` and `ghevault ack`: snapshots that look like an attack, and who says that they are none.

use super::{Invocation, operate::shown_vault, vault};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output,
};
use clap::Args;
use ghevault_core::{
    quarantine::{self, AssessOptions, Assessment, Finding, Quarantined, Severity, State},
    state::{OddSnapshot, OddState, StateFolder},
    vault::Vault,
};
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write as _};

/// List what looks odd about snapshots, and which of them are in quarantine.
///
/// Each complete snapshot is compared with the last good one before it, by `backup` or else here: rewritten default branches,
/// deleted branches, repositories and datasets that vanished, Git files that are none, new keys and hooks. What is in quarantine is kept, is never
/// `latest`, satisfies no rule of `forget`, and keeps the last good snapshot before it. Exit code 13 while one is.
#[derive(Debug, Args)]
pub struct FindingsArgs {
    /// Only this snapshot: the beginning of an id
    #[arg(value_name = "SNAPSHOT")]
    snapshot: Option<String>,
    /// Only show what is known: compare nothing, write nothing
    #[arg(long)]
    known: bool,
}

/// Say that snapshots in quarantine are no attack, and why.
///
/// The words stay in the vault, signed with this host's seal key. Later snapshots in quarantine are compared again, with the
/// acknowledged one.
#[derive(Debug, Args)]
pub struct AckArgs {
    /// Beginnings of ids
    #[arg(value_name = "SNAPSHOT", required = true)]
    snapshots: Vec<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// One snapshot, for people and programs.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    assessment: Assessment,
    quarantined: bool,
}

/// Lists.
///
/// # Errors
/// The vault cannot be opened; a snapshot is in quarantine.
pub fn run(arguments: &FindingsArgs, invocation: &Invocation) -> CommandResult {
    let opened = vault::open(invocation)?;
    if !arguments.known {
        assess(&opened, invocation)?;
    }
    let wanted = match &arguments.snapshot {
        Some(name) => Some(vault::find(&opened, name)?.seal?),
        None => None,
    };
    let active = quarantine::active(&opened)?;
    let mut rows: Vec<Row> = quarantine::assessments(&opened)?
        .into_values()
        .filter(|one| wanted.as_ref().is_none_or(|seal| seal.hash == one.seal))
        .map(|one| Row { quarantined: active.contains_key(&one.seal), assessment: one })
        .collect();
    rows.sort_by_key(|row| (row.assessment.time, row.assessment.snapshot));
    invocation.screen.result(&rows, || text(&rows));
    let count = rows.iter().filter(|row| row.quarantined).count();
    if count == 0 {
        return Ok(());
    }
    let error = CommandError::new(Kind::Damage, format!("{count} snapshot(s) look like an attack"))
        .hint("Keep the vault as it is. If it was none: `ghevault ack SNAPSHOT --reason TEXT`.");
    output::complain(&error.to_string());
    Err(CommandError::already_reported(Kind::Damage))
}

/// Acknowledges.
///
/// # Errors
/// There is no such snapshot, or it is not in quarantine.
pub fn acknowledge(arguments: &AckArgs, invocation: &Invocation) -> CommandResult {
    let opened = vault::open(invocation)?;
    let key = invocation.seal_key()?;
    let mut done: Vec<Quarantined> = Vec::new();
    for name in &arguments.snapshots {
        let judged = vault::find(&opened, name)?;
        let id = judged.snapshot.id;
        let seal = judged.seal?;
        let now = Timestamp::now();
        done.push(quarantine::acknowledge(&opened, &key, (id, &seal.hash), &arguments.reason, now)?);
    }
    let again = assess(&opened, invocation)?;
    let value = serde_json::json!({ "acknowledged": done, "compared_again": again });
    invocation.screen.result(&value, || {
        let mut text = String::new();
        for one in &done {
            let _ = writeln!(text, "snapshot {} is no longer in quarantine", one.snapshot.short());
        }
        for one in &again {
            text.push_str(&about(one));
        }
        text
    });
    Ok(())
}

/// Compares what was not compared yet.
///
/// # Errors
/// The vault or the state folder cannot be used.
pub fn assess(opened: &Vault, invocation: &Invocation) -> CommandResult<Vec<Assessment>> {
    let state = StateFolder::open(&invocation.settings.state)?;
    let scratch = std::env::temp_dir();
    let options = AssessOptions { scratch: Some(&scratch), now: Timestamp::now() };
    let fresh = quarantine::assess(opened, &*invocation.seal_key()?, options)?;
    let vault = invocation.settings.vault.as_deref().map(shown_vault).unwrap_or_default();
    if let Err(error) = note((opened, &vault), &state, &fresh) {
        tracing::warn!("the status page may not show all findings: {}", error.one_line());
    }
    Ok(fresh)
}

/// Writes down for the status page, which opens no vault, what counts for snapshots that look odd.
fn note((opened, vault): (&Vault, &str), state: &StateFolder, fresh: &[Assessment]) -> CommandResult {
    let of_vault = state.odd()?.into_iter().filter(|one| one.vault == vault);
    let mut known: BTreeMap<String, OddSnapshot> = of_vault.map(|one| (one.seal.clone(), one)).collect();
    let odd = |snapshot: String, seal: &str, time, at, findings| OddSnapshot {
        vault: vault.to_owned(),
        snapshot,
        seal: seal.to_owned(),
        time,
        state: OddState::Noted,
        reason: None,
        at,
        findings,
    };
    for one in fresh {
        let lines: Vec<String> = one.findings.iter().map(line).collect();
        known.remove(&one.seal);
        if !lines.is_empty() {
            known.insert(one.seal.clone(), odd(one.snapshot.to_string(), &one.seal, one.time, one.at, lines));
        }
    }
    let states = quarantine::states(opened)?;
    if states.keys().any(|seal| !known.contains_key(seal)) {
        // in quarantine since before this host wrote that down, or by a copy
        let list = opened.snapshots()?;
        for (id, what) in quarantine::quarantined_snapshots(opened, &list)? {
            let time = list.snapshots.iter().find(|one| one.id == id).map_or(what.at, |one| one.time);
            let fresh = || odd(id.to_string(), &what.seal, time, what.at, vec![what.reason.clone()]);
            known.entry(what.seal.clone()).or_insert_with(fresh);
        }
    }
    for (seal, what) in states {
        let Some(one) = known.get_mut(&seal) else { continue };
        one.at = what.at;
        one.state = match what.state {
            State::Quarantined => OddState::Quarantined,
            State::Acknowledged => OddState::Acknowledged,
            State::Cleared => OddState::Cleared,
        };
        one.reason = Some(what.reason).filter(|_| what.state == State::Acknowledged);
    }
    Ok(state.put_odd(vault, known.into_values().collect())?)
}

/// A finding in one line.
fn line(finding: &Finding) -> String {
    format!("{}: {}", finding.kind.word(), finding.what)
}

/// Whether a comparison ended in quarantine.
pub fn is_bad(one: &Assessment) -> bool {
    one.findings.iter().any(|finding| finding.severity == Severity::High)
}

/// What was found, for people.
pub fn about(one: &Assessment) -> String {
    let mut text = String::new();
    for finding in &one.findings {
        let severity = if finding.severity == Severity::High { "HIGH" } else { "low " };
        let _ = writeln!(
            text,
            "{severity} snapshot {}: {}: {}",
            one.snapshot.short(),
            finding.kind.word(),
            finding.what
        );
        for evidence in &finding.evidence {
            let _ = writeln!(text, "       {evidence}");
        }
    }
    text
}

fn text(rows: &[Row]) -> String {
    let mut text: String = rows.iter().map(|row| about(&row.assessment)).collect();
    for row in rows.iter().filter(|row| row.quarantined) {
        let _ = writeln!(text, "snapshot {} is in quarantine", row.assessment.snapshot.short());
    }
    let _ = writeln!(text, "{} snapshot(s) compared", rows.len());
    text
}
