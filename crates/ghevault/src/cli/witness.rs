//! `ghevault witness`: what a vault said about its snapshots, on notice boards of others.

mod boards;
mod http;
mod pulse;
mod report;

use boards::answering;
pub(super) use boards::{opened, published_by_others, trusted, writable};
pub use http::is_plain;

use super::{Invocation, vault};
use crate::error::CommandResult;
use clap::{Args, Subcommand};
use ghevault_core::{
    causes::on_one_line,
    compare::{self, CompareError, VaultSide},
    seal::SealKey,
    state::StateFolder,
    vault::Vault,
    witness::{self, Board, Finding, FindingKind, Judged, Memory, PublicKey, compare_boards, own::Standing},
};
use jiff::Timestamp;
use report::{Report, Row, finish, remember, row};

/// Snapshots whose references are published at most in one run.
const SHEETS_MAX: usize = 50;

/// Publish what the vault holds to notice boards, cosign what other vaults publish, and find what was removed or rewritten.
///
/// A board holds signed hashes, times and commit ids only: no names, no content. Exit code 13 when something does not fit that no normal history
/// explains.
#[derive(Debug, Args)]
pub struct WitnessArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Sign which complete snapshots the vault has and had, and where references pointed, and hang it on the boards.
    ///
    /// Looks first whether vault and boards still show what was published before (as `check` does).
    Publish(BoardArgs),
    /// Look at what other vaults published, compare it with what was seen before, and sign that it was seen.
    Cosign(KeyArgs),
    /// Judge boards by public keys alone: forks, rollbacks, removed, edited, forged and back-dated checkpoints.
    ///
    /// Needs no vault and leaves nothing behind.
    Verify(KeyArgs),
    /// Read where all references point now, and hang that on the boards, signed: a look between two snapshots, which `compare` uses.
    ///
    /// One round trip to the appliance (to each node of a cluster), no snapshot, nothing paused. `schedule.pulse` lets `daemon` do it.
    Pulse(BoardArgs),
    /// All of a round: publish, cosign (if keys of others are known), check. What `daemon` runs.
    Run(KeyArgs),
    /// Compare the vault with what was published of it: snapshots that are gone without `forget`, swapped, back-dated.
    ///
    /// Writes nothing.
    Check(KeyArgs),
}

#[derive(Debug, Args)]
pub(super) struct BoardArgs {
    /// Notice board: dir:PATH or s3://BUCKET/PREFIX; to be read only: read:PLACE, http://HOST:PORT/board; several times [default: witness.board]
    #[arg(long, value_name = "PLACE")]
    board: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    #[command(flatten)]
    pub(super) boards: BoardArgs,
    /// Public seal key (`doctor` shows it), and what to call it; several times [default: witness.keys]
    #[arg(long, value_name = "BASE64[=NAME]")]
    key: Vec<String>,
}

/// Runs the part.
///
/// # Errors
/// A board, the vault or the state folder cannot be used; something does not fit.
pub fn run(arguments: &WitnessArgs, invocation: &Invocation) -> CommandResult {
    let now = Timestamp::now();
    let report = match &arguments.what {
        What::Publish(boards) => {
            let vault = vault::open(invocation)?;
            publish(writable(boards, invocation)?, &vault, invocation, now)?.0
        }
        What::Cosign(keys) => {
            let trusted = trusted(keys, invocation)?;
            cosign(&opened(&keys.boards, invocation)?, &trusted, invocation, now)?
        }
        What::Verify(keys) => {
            let trusted = trusted(keys, invocation)?;
            let mut report = Report::default();
            look(&opened(&keys.boards, invocation)?, &trusted, now, &mut report)?;
            report
        }
        What::Pulse(boards) => return pulse::run(boards, invocation),
        What::Run(keys) => round(keys, invocation, now)?,
        What::Check(keys) => {
            let extra = if keys.key.is_empty() && invocation.settings.witness_keys.is_empty() {
                Vec::new()
            } else {
                trusted(keys, invocation)?
            };
            check(&opened(&keys.boards, invocation)?, extra, invocation, now)?
        }
    };
    // Whoever judges by public keys alone leaves nothing behind.
    if !matches!(arguments.what, What::Verify(_)) {
        remember(&report, !matches!(arguments.what, What::Publish(_)), invocation);
    }
    finish(report, invocation)
}

impl WitnessArgs {
    /// Whether it is a whole round.
    pub const fn is_round(&self) -> bool {
        matches!(self.what, What::Run(_))
    }

    /// Whether it is a pulse.
    pub const fn is_pulse(&self) -> bool {
        matches!(self.what, What::Pulse(_))
    }
}

/// Publishes, cosigns and checks.
fn round(keys: &KeyArgs, invocation: &Invocation, now: Timestamp) -> CommandResult<Report> {
    let boards = writable(&keys.boards, invocation)?;
    let (mut report, boards) = publish(boards, &vault::open(invocation)?, invocation, now)?;
    let mut more = Vec::new();
    if !(keys.key.is_empty() && invocation.settings.witness_keys.is_empty()) {
        more.push(cosign(&boards, &trusted(keys, invocation)?, invocation, now)?);
    }
    more.push(check(&boards, Vec::new(), invocation, now)?);
    for one in more {
        report.origins.extend(one.origins);
        report.created.extend(one.created);
        report.findings.extend(one.findings);
        report.remarks.extend(one.remarks);
    }
    Ok(report)
}

/// Judges everything on the boards for which one of the keys speaks.
fn look(
    boards: &[Box<dyn Board>],
    keys: &[PublicKey],
    now: Timestamp,
    report: &mut Report,
) -> CommandResult<Vec<Judged>> {
    let mut all = Vec::new();
    for board in boards {
        let mut strangers = 0;
        for origin in board.origins()?.into_iter().filter(|folder| witness::is_origin(folder)) {
            let Some(key) = keys.iter().find(|key| origin.ends_with(&format!(".{}", key.short()))) else {
                strangers += 1;
                continue;
            };
            let files = witness::shown(boards, &**board, &origin, key)?;
            let judged = witness::judge(&board.place(), &origin, &files, key, keys, now);
            report.findings.extend(judged.findings.iter().cloned());
            report.origins.push(row(&judged, key, keys));
            report.remarks.extend(judged.remarks.iter().map(|text| format!("{origin}: {text}")));
            all.push(judged);
        }
        if strangers > 0 {
            let text = format!("{}: {strangers} origin(s) of keys that were not named", board.place());
            report.remarks.push(text);
        }
    }
    for key in keys {
        let heard = |board: &dyn Board| {
            all.iter().any(|one: &Judged| {
                one.board == board.place()
                    && one.origin.ends_with(&format!(".{}", key.short()))
                    && !(one.notes.is_empty() && one.findings.is_empty())
            })
        };
        // On a board of somebody else only its owner speaks.
        let is_heard = boards.iter().any(|board| heard(&**board));
        for board in boards.iter().filter(|board| !(heard(&***board) || is_heard && board.is_read_only())) {
            report.findings.push(Finding {
                kind: FindingKind::Silent,
                origin: key.name.clone(),
                on: board.place(),
                what: "the board has no checkpoint of this key".to_owned(),
            });
        }
    }
    report.findings.extend(compare_boards(&all));
    Ok(all)
}

/// Publishes to the boards of the settings: what was created, what does not fit, and what was not looked at.
///
/// # Errors
/// A board of this host, the vault or the state folder cannot be used.
pub(super) fn publish_configured(
    vault: &Vault,
    invocation: &Invocation,
) -> CommandResult<(Vec<String>, Vec<Finding>, Vec<String>)> {
    let boards = writable(&BoardArgs { board: Vec::new() }, invocation)?;
    let (report, _) = publish(boards, vault, invocation, Timestamp::now())?;
    remember(&report, false, invocation);
    let away = report.away.iter().map(|error| format!("a board was not looked at: {}", on_one_line(error)));
    Ok((report.created, report.findings, away.collect()))
}

/// The report, and the boards that answer.
fn publish(
    boards: Vec<Box<dyn Board>>,
    vault: &Vault,
    invocation: &Invocation,
    now: Timestamp,
) -> CommandResult<(Report, Vec<Box<dyn Board>>)> {
    let (boards, away) = answering(boards);
    let state = StateFolder::open(&invocation.settings.state)?;
    let key = invocation.seal_key()?;
    let public = PublicKey::parse(&key.public())?;
    let mut memory = Memory::load(&state)?;
    let origin = witness::origin(vault.id(), &public);
    let standing = Standing::of(vault, now)?;
    let done = witness::publish(&boards, &origin, &key, &standing, &mut memory, now)?;
    memory.save(&state)?;
    let mut report = Report { findings: done.findings, away, ..Report::default() };
    report.created =
        done.files.iter().map(|(board, origin, name)| format!("{board}: {origin}/{name}")).collect();
    if invocation.settings.witness_refs {
        report.created.extend(sheets(&boards, vault, &origin, &key)?);
    }
    report.origins = boards
        .iter()
        .filter(|board| !board.is_read_only())
        .map(|board| Row {
            board: board.place(),
            origin: origin.clone(),
            key: public.text.clone(),
            size: done.size,
            time: Some(now),
            cosigned: Vec::new(),
            own: true,
        })
        .collect();
    Ok((report, boards))
}

/// Publishes where references pointed.
fn sheets(
    boards: &[Box<dyn Board>],
    vault: &Vault,
    origin: &str,
    key: &SealKey,
) -> CommandResult<Vec<String>> {
    let side = match VaultSide::new(vault, SHEETS_MAX) {
        Err(CompareError::Nothing { .. }) => return Ok(Vec::new()),
        other => other?,
    };
    let mut created = Vec::new();
    for board in boards.iter().filter(|board| !board.is_read_only()) {
        let folder = compare::folder(origin);
        let names = compare::publish_sheets(&**board, origin, &side, key)?;
        created.extend(names.into_iter().map(|name| format!("{}: {folder}/{name}", board.place())));
    }
    Ok(created)
}

fn cosign(
    boards: &[Box<dyn Board>],
    keys: &[PublicKey],
    invocation: &Invocation,
    now: Timestamp,
) -> CommandResult<Report> {
    let state = StateFolder::open(&invocation.settings.state)?;
    let key = invocation.seal_key()?;
    let own = PublicKey::parse(&key.public())?;
    let mut memory = Memory::load(&state)?;
    let others: Vec<PublicKey> = keys.iter().filter(|one| one.text != own.text).cloned().collect();
    let known: Vec<PublicKey> = others.iter().cloned().chain([own]).collect();
    let mut report = Report::default();
    for board in boards {
        // an origin that was seen once and is gone is judged as well, as an empty one
        let mut origins = board.origins()?;
        origins.retain(|folder| witness::is_origin(folder));
        origins.extend(memory.origins(&board.place()).map(str::to_owned));
        origins.sort();
        origins.dedup();
        for origin in origins {
            let speaker = others.iter().find(|key| origin.ends_with(&format!(".{}", key.short())));
            let Some(speaker) = speaker else { continue };
            let files = witness::shown(boards, &**board, &origin, speaker)?;
            let judged = witness::judge(&board.place(), &origin, &files, speaker, &known, now);
            let done = witness::cosign(&**board, boards, &judged, &key, &mut memory, now)?;
            report.origins.push(row(&judged, speaker, &known));
            report.findings.extend(done.findings);
            let created = done.files.iter().map(|(board, origin, name)| format!("{board}: {origin}/{name}"));
            report.created.extend(created);
        }
    }
    memory.save(&state)?;
    Ok(report)
}

fn check(
    boards: &[Box<dyn Board>],
    mut keys: Vec<PublicKey>,
    invocation: &Invocation,
    now: Timestamp,
) -> CommandResult<Report> {
    let vault = vault::open(invocation)?;
    let standing = Standing::of(&vault, now)?;
    let state = StateFolder::open(&invocation.settings.state)?;
    let memory = Memory::load(&state)?;
    if keys.is_empty() {
        keys.push(PublicKey::parse(&invocation.seal_key()?.public())?);
    }
    // Who has cosigned is known by the keys of the settings.
    let mut known = keys.clone();
    for text in &invocation.settings.witness_keys {
        let key = PublicKey::parse(text)?;
        if !known.iter().any(|one| one.text == key.text) {
            known.push(key);
        }
    }
    let mut report = Report::default();
    let mut is_heard = false;
    for board in boards {
        for key in &keys {
            let origin = witness::origin(vault.id(), key);
            let files = witness::shown(boards, &**board, &origin, key)?;
            let judged = witness::judge(&board.place(), &origin, &files, key, &known, now);
            report.findings.extend(memory.compare(&judged));
            if judged.notes.is_empty() && judged.findings.is_empty() {
                continue;
            }
            is_heard = true;
            let at = judged.newest().map(|one| one.checkpoint.time);
            report.findings.extend(judged.findings.iter().cloned());
            report.findings.extend(standing.compare(&origin, &key.text, &judged.log, at));
            report.origins.push(Row { own: true, ..row(&judged, key, &known) });
        }
    }
    if !is_heard {
        report.findings.push(Finding {
            kind: FindingKind::Silent,
            origin: vault.id().to_owned(),
            on: "boards".to_owned(),
            what: "no board has a checkpoint of this vault and these keys".to_owned(),
        });
    }
    Ok(report)
}
