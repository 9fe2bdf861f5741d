//! `ghevault verify`: proves what is stored.

use super::{Invocation, vault};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output::{self, human},
};
use clap::Args;
use ghevault_core::{
    state::{RunDetails, StateError, StateFolder, VerifyRecord},
    vault::{CheckDepth, SnapshotId, Vault},
    verify::{self, SnapshotReport, Verdict, VerifyOptions, VerifyOutcome, VerifyReport},
};
use std::{collections::BTreeMap, fmt::Write as _};

/// Prove what is stored: seals, presence of everything that the snapshots need, and at depth 2 every byte.
///
/// Exit code 13 when anything is missing, damaged, or not what was sealed (the report says which snapshots, files and
/// repositories it costs); 3 when all that is stored is sound, but a snapshot is partial or not sealed.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// 1: seals, and presence and size of every file that the snapshots need; 2: besides, every byte is read and
    /// authenticated
    #[arg(long, value_name = "1|2", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    depth: u8,
    /// Besides depth 1, read and authenticate one in N packs: others at each run, so that N runs read everything
    #[arg(long, value_name = "1/N", conflicts_with = "depth", value_parser = share)]
    read_data: Option<u32>,
    /// Public seal key (`doctor` shows it) whose seals count; seals of any other key are then broken; several times
    #[arg(long, value_name = "BASE64")]
    seal_key: Vec<String>,
    /// Only these snapshots: `latest`, or the beginning of an id
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,
}

/// Verifies.
///
/// # Errors
/// The vault cannot be opened, something is damaged, or a snapshot is not complete.
pub fn run(arguments: &VerifyArgs, invocation: &Invocation) -> CommandResult {
    let opened = vault::open(invocation)?;
    let turns = Turns::load(opened.id(), invocation)?;
    let depth = match arguments.read_data {
        Some(of) => CheckDepth::Share { turn: turns.next(of), of },
        None if arguments.depth == 2 => CheckDepth::Content,
        None => CheckDepth::Presence,
    };
    let options = VerifyOptions {
        depth,
        snapshots: chosen(&opened, &arguments.snapshots)?,
        trusted_keys: arguments.seal_key.clone(),
    };
    let progress = invocation.screen.progress();
    let report = verify::run(&opened, &options, &*progress)?;
    drop(progress);
    if let CheckDepth::Share { turn, of } = depth {
        turns.done(turn, of, invocation)?;
    }
    if let Err(error) = remember(&report, opened.id(), invocation) {
        // What was proven is in the report; only `advise` will not know of it.
        output::complain(&format!("warning: the proof is not remembered: {error}"));
    }
    invocation.note(RunDetails { depth: Some(report.depth), ..RunDetails::default() });
    invocation.screen.result(&report, || text(&report));
    let (kind, message, hint) = match report.outcome {
        VerifyOutcome::Sound => return Ok(()),
        VerifyOutcome::Incomplete => (
            Kind::Partial,
            "all that is stored is sound, but not every snapshot is sealed as complete".to_owned(),
            "The report names what is missing. Only complete snapshots are `latest`.",
        ),
        VerifyOutcome::Damaged => (
            Kind::Damage,
            format!(
                "{} of {} snapshot(s) cannot be given back as they were sealed",
                report.snapshots.iter().filter(|row| !row.sound || row.verdict == Verdict::Broken).count(),
                report.snapshots.len()
            ),
            "Keep the vault as it is: the other snapshots can be restored. Make a new vault, or copy it from a second place.",
        ),
    };
    output::complain(&CommandError::new(kind, message).hint(hint).to_string());
    Err(CommandError::already_reported(kind))
}

/// The N of `1/N`.
fn share(text: &str) -> Result<u32, String> {
    let of = text.strip_prefix("1/").and_then(|of| of.parse().ok());
    of.filter(|of| (1..=10_000).contains(of)).ok_or_else(|| "it is `1/N`, N from 1 to 10000".to_owned())
}

/// Which share of the packs is read next, by vault and N.
struct Turns {
    vault: String,
    next: BTreeMap<String, u32>,
}

impl Turns {
    const FILE: &str = "read-data.json";

    fn load(vault: &str, invocation: &Invocation) -> CommandResult<Self> {
        let state = StateFolder::open(&invocation.settings.state)?;
        Ok(Self { vault: vault.to_owned(), next: state.recall(Self::FILE)?.unwrap_or_default() })
    }

    fn key(&self, of: u32) -> String {
        format!("{}/{of}", self.vault)
    }

    fn next(&self, of: u32) -> u32 {
        self.next.get(&self.key(of)).copied().unwrap_or_default() % of
    }

    fn done(mut self, turn: u32, of: u32, invocation: &Invocation) -> CommandResult {
        self.next.insert(self.key(of), (turn + 1) % of);
        Ok(StateFolder::open(&invocation.settings.state)?.keep(Self::FILE, &self.next)?)
    }
}

/// Writes down which snapshots are proven, and takes back what is no longer true.
fn remember(report: &VerifyReport, vault: &str, invocation: &Invocation) -> Result<(), StateError> {
    let state = StateFolder::open(&invocation.settings.state)?;
    let at = jiff::Timestamp::now();
    let (good, bad): (Vec<&SnapshotReport>, Vec<_>) =
        report.snapshots.iter().partition(|row| row.sound && row.verdict == Verdict::Sealed);
    let bad: Vec<String> = bad.iter().map(|row| row.snapshot.to_string()).collect();
    state.forget_verified(vault, &bad)?;
    let proofs: Vec<VerifyRecord> = good
        .iter()
        .map(|row| VerifyRecord {
            vault: vault.to_owned(),
            snapshot: row.snapshot.to_string(),
            depth: report.depth,
            at,
        })
        .collect();
    state.record_verified(&proofs)
}

/// The ids of the named snapshots; nothing when none is named.
fn chosen(vault: &Vault, names: &[String]) -> CommandResult<Option<Vec<SnapshotId>>> {
    if names.is_empty() {
        return Ok(None);
    }
    let ids = names.iter().map(|name| Ok(vault::find(vault, name)?.snapshot.id));
    ids.collect::<CommandResult<Vec<SnapshotId>>>().map(Some)
}

/// The result for people.
fn text(report: &VerifyReport) -> String {
    let mut text = String::new();
    for row in &report.snapshots {
        text.push_str(&snapshot_text(row));
    }
    for damage in &report.check.damages {
        let _ = writeln!(text, "damaged {}: {}", damage.file, damage.why);
    }
    let read = match &report.read_data {
        Some(share) => format!("everything was looked for, and share {share} of all packs was read"),
        None if report.depth == 2 => "every byte was read".to_owned(),
        None => "everything was looked for".to_owned(),
    };
    let verdict = match report.outcome {
        VerifyOutcome::Sound => "all is there and sealed as complete",
        VerifyOutcome::Incomplete => "all is there, but not everything is sealed as complete",
        VerifyOutcome::Damaged => "DAMAGED",
    };
    let _ = writeln!(
        text,
        "{verdict}: {} snapshots, {} folders, {} packs, {}; {read}",
        human::count(report.check.snapshots),
        human::count(report.check.trees),
        human::count(report.check.packs),
        human::bytes(report.check.bytes)
    );
    text
}

/// What is to be said about one snapshot; nothing about a good one.
fn snapshot_text(row: &SnapshotReport) -> String {
    let mut text = String::new();
    let id = row.snapshot.short();
    let word = match row.verdict {
        Verdict::Sealed => "sealed",
        Verdict::Partial => "partial",
        Verdict::Part => "a part of a sharded run",
        Verdict::Unsealed => "unsealed",
        Verdict::Broken => "broken",
    };
    for line in &row.reasons {
        let _ = writeln!(text, "snapshot {id} is {word}: {line}");
    }
    for remark in &row.remarks {
        let _ = writeln!(text, "snapshot {id}: {remark}");
    }
    for repository in &row.damaged_repositories {
        let name = repository.name.as_deref().unwrap_or(&repository.path);
        let _ = writeln!(text, "snapshot {id} has lost {} file(s) of repository {name}", repository.files);
    }
    for path in &row.damaged {
        let _ = writeln!(text, "snapshot {id} has lost {}: {}", path.path, path.why);
    }
    if row.more_damaged {
        let _ = writeln!(text, "snapshot {id} has lost more than is listed");
    }
    text
}
