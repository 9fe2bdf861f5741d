//! `ghevault snapshots`: what stands in the vault, and what each snapshot is worth.

use super::{
    Invocation,
    vault::{self, Judged},
};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output::{
        human,
        table::{self, Align},
    },
};
use clap::Args;
use ghevault_core::{
    quarantine::{self, Quarantined},
    retention::{self, Hold},
    seal::Manifest,
    vault::{SnapshotId, VaultError},
};
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write as _};

/// The holds that count, by snapshot.
type Holds = BTreeMap<SnapshotId, Hold>;

/// What is in quarantine, by snapshot.
type InQuarantine = BTreeMap<SnapshotId, Quarantined>;

/// List the snapshots of the vault.
///
/// `complete` and `partial` are what the sealed manifest says; a `part` waits for `backup --join`; `unsealed` was not made by ghevault; `broken` has a seal
/// that does not fit (exit code 13). Holds and quarantines are shown with
/// their reasons.
#[derive(Debug, Args)]
pub struct SnapshotsArgs {}

/// One snapshot as JSON; the names of restic's `snapshots --json` where there is such a thing.
#[derive(Debug, Serialize)]
struct SnapshotRow<'a> {
    id: String,
    short_id: String,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    tree: String,
    hostname: &'a str,
    tags: &'a [String],
    paths: &'a [String],
    program_version: &'a str,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seal_problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<&'a Hold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine: Option<&'a Quarantined>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<&'a Manifest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<PartRow<'a>>,
}

/// Which part of a sharded run a snapshot is.
#[derive(Debug, Serialize)]
struct PartRow<'a> {
    run: &'a str,
    index: u32,
    count: u32,
    routes: u64,
    whole: bool,
}

/// Lists.
///
/// # Errors
/// The vault cannot be opened; a snapshot or a seal is damaged.
pub fn run(_: &SnapshotsArgs, invocation: &Invocation) -> CommandResult {
    let opened = vault::open(invocation)?;
    let list = opened.snapshots()?;
    let holds = retention::active_holds(&opened, Timestamp::now())?;
    let quarantined = quarantine::quarantined_snapshots(&opened, &list)?;
    let damaged = list.damaged.clone();
    let judged = vault::judge(list);
    let mut rows: Vec<serde_json::Value> =
        judged.iter().filter_map(|one| serde_json::to_value(row(one, &holds, &quarantined)).ok()).collect();
    rows.extend(damaged.iter().map(|(id, reason)| {
        serde_json::json!({ "id": id.to_string(), "short_id": id.short(), "outcome": "damaged", "problem": reason.to_string() })
    }));
    invocation.screen.result(&rows, || text(&judged, &damaged, &holds, &quarantined));
    let broken: Vec<String> =
        judged.iter().filter(|one| one.verdict() == "broken").map(|one| one.snapshot.id.short()).collect();
    if broken.is_empty() && damaged.is_empty() {
        return Ok(());
    }
    let error = CommandError::new(
        Kind::Damage,
        format!("{} snapshot(s) cannot be read, {} have a broken seal", damaged.len(), broken.len()),
    )
    .hint("Keep the vault as it is and run `ghevault verify`.");
    if invocation.screen.json {
        crate::output::complain(&error.to_string());
        return Err(CommandError::already_reported(Kind::Damage));
    }
    Err(error)
}

/// A snapshot as JSON.
fn row<'a>(judged: &'a Judged, holds: &'a Holds, quarantined: &'a InQuarantine) -> SnapshotRow<'a> {
    let snapshot = &judged.snapshot;
    SnapshotRow {
        id: snapshot.id.to_string(),
        short_id: snapshot.id.short(),
        time: snapshot.time.to_string(),
        parent: snapshot.parent.map(|id| id.to_string()),
        tree: ghevault_core::vault::tree_hex(&snapshot.tree),
        hostname: &snapshot.hostname,
        tags: &snapshot.tags,
        paths: &snapshot.paths,
        program_version: &snapshot.program_version,
        outcome: judged.verdict(),
        seal_problem: match &judged.part {
            Some(Ok(_)) => None,
            Some(Err(why)) => Some(why.to_string()),
            None => judged.seal.as_ref().err().map(ToString::to_string),
        },
        hold: holds.get(&snapshot.id),
        quarantine: quarantined.get(&snapshot.id),
        manifest: judged.seal.as_ref().ok().map(|seal| &seal.manifest),
        part: judged.part.as_ref().and_then(|part| part.as_ref().ok()).map(|part| PartRow {
            run: &part.record.run,
            index: part.record.index,
            count: part.record.count,
            routes: part.record.routes,
            whole: part.record.is_whole(),
        }),
    }
}

/// What a snapshot is worth; of a part also which it is.
fn word(judged: &Judged) -> String {
    match &judged.part {
        Some(Ok(part)) => {
            let whole = if part.record.is_whole() { "" } else { ", not whole" };
            format!("part {} of run {}{whole}", part.record.place(), part.record.run)
        }
        _ => judged.verdict().to_owned(),
    }
}

/// The table for people.
fn text(
    judged: &[Judged],
    damaged: &[(SnapshotId, VaultError)],
    holds: &Holds,
    quarantined: &InQuarantine,
) -> String {
    if judged.is_empty() && damaged.is_empty() {
        return "the vault is empty".to_owned();
    }
    let lines: Vec<[String; 7]> = judged
        .iter()
        .map(|one| {
            let manifest = one.seal.as_ref().ok().map(|seal| &seal.manifest);
            let of = |what: fn(&Manifest) -> String| manifest.map(what).unwrap_or_default();
            [
                one.snapshot.id.short(),
                one.snapshot.time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
                one.snapshot.hostname.clone(),
                of(|manifest| manifest.version.clone()),
                of(|manifest| human::bytes(manifest.datasets.values().map(|dataset| dataset.bytes).sum())),
                of(|manifest| human::seconds(manifest.seconds)),
                std::iter::once(word(one))
                    .chain(quarantined.get(&one.snapshot.id).map(Quarantined::words))
                    .chain(holds.get(&one.snapshot.id).map(Hold::words))
                    .collect::<Vec<_>>()
                    .join(", "),
            ]
        })
        .collect();
    let columns = [
        ("id", Align::Left),
        ("time", Align::Left),
        ("appliance", Align::Left),
        ("release", Align::Left),
        ("size", Align::Right),
        ("took", Align::Right),
        ("worth", Align::Left),
    ];
    let mut text = table::render(columns, &lines);
    for (id, reason) in damaged {
        let _ = writeln!(text, "{}  damaged: {reason}", id.short());
    }
    text
}
