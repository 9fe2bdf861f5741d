//! Hanging up: own checkpoints, and cosignatures under those of others.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    board::{Board, BoardError, FileName},
    checkpoint::Checkpoint,
    finding::{Finding, FindingKind},
    judge::{Judged, judge},
    log::Log,
    memory::{Memory, compare_boards},
    note::{NoteError, PublicKey},
    own::Standing,
    seen,
};
use crate::{
    seal::{SealError, SealKey},
    state::StateError,
    vault::VaultError,
};

/// Why a witness could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// A board.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The state folder.
    #[error(transparent)]
    State(#[from] StateError),
    /// A key.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The seal key did not sign.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// What was hung up.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Published {
    /// Files that were created: board, origin, name.
    pub files: Vec<(String, String, String)>,
    /// Entries of the history.
    pub size: usize,
    /// What does not fit, sorted.
    pub findings: Vec<Finding>,
}

/// Publishes what the vault holds to every board that may be written to, after a look at what the boards and this host know of it.
///
/// A removed snapshot does not stop it: the history goes on, and the finding stands. Two histories do.
///
/// # Errors
/// A board cannot be read or written.
pub fn publish(
    boards: &[Box<dyn Board>],
    origin: &str,
    key: &SealKey,
    standing: &Standing,
    memory: &mut Memory,
    now: Timestamp,
) -> Result<Published, WitnessError> {
    let public = PublicKey::parse(&key.public())?;
    let mut done = Published::default();
    let mut all = Vec::new();
    for board in boards {
        let files = seen::shown(boards, &**board, origin, &public)?;
        let judged = judge(&board.place(), origin, &files, &public, std::slice::from_ref(&public), now);
        done.findings.extend(judged.findings.clone());
        done.findings.extend(memory.compare(&judged));
        all.push(judged);
    }
    done.findings.extend(compare_boards(&all));
    let known: Vec<Log> = all.iter().map(|one| one.log.clone()).chain(memory.logs(origin)).collect();
    let base = known.iter().max_by_key(|log| log.size()).cloned().unwrap_or_default();
    let at = all.iter().filter_map(Judged::newest).map(|one| one.checkpoint.time).max();
    done.findings.extend(standing.compare(origin, &public.text, &base, at));
    done.findings.sort();
    done.findings.dedup();
    done.size = base.size();
    if known.iter().any(|log| !log.is_prefix_of(&base)) {
        let what = "what boards show and what this host published are two histories; nothing is published";
        done.findings.push(Finding::new(FindingKind::Fork, origin, "boards", what));
        return Ok(done);
    }
    let news = standing.news(&base);
    let log = base.with(&news);
    done.size = log.size();
    for (board, judged) in boards.iter().zip(&all).filter(|(board, _)| !board.is_read_only()) {
        if judged.log.size() < log.size() {
            let checkpoint = Checkpoint {
                origin: origin.to_owned(),
                size: log.size(),
                root: log.root(),
                time: now,
                after: (judged.log.size(), judged.log.root()),
                entries: log.entries()[judged.log.size()..].to_vec(),
            };
            let name = FileName::note(checkpoint.size, &checkpoint.root);
            if board.create(origin, &name, &checkpoint.sign(key)?.text())? {
                done.files.push((board.place(), origin.to_owned(), name));
            }
        }
        memory.see(&board.place(), origin, &log, now);
    }
    Ok(done)
}

/// Cosigns the newest checkpoint of an origin on one of the boards, if that shows nothing that does not fit and nothing less than before.
///
/// On a board that may only be read nothing is hung up: the cosigned copy goes onto those of the boards that may be written to.
///
/// # Errors
/// A board cannot be written.
pub fn cosign(
    board: &dyn Board,
    boards: &[Box<dyn Board>],
    judged: &Judged,
    key: &SealKey,
    memory: &mut Memory,
    now: Timestamp,
) -> Result<Published, WitnessError> {
    let public = PublicKey::parse(&key.public())?;
    let mut done = Published { size: judged.log.size(), ..Published::default() };
    done.findings.clone_from(&judged.findings);
    done.findings.extend(memory.compare(judged));
    let Some(newest) = judged.newest().filter(|_| done.findings.is_empty()) else { return Ok(done) };
    let name = FileName::cosigned(newest.checkpoint.size, &newest.checkpoint.root, &public.short());
    let (folder, onto): (String, Vec<&dyn Board>) = if board.is_read_only() {
        let own = boards.iter().map(|one| &**one).filter(|one| !one.is_read_only());
        (seen::folder(&judged.origin), own.collect())
    } else {
        (judged.origin.clone(), vec![board])
    };
    for one in onto {
        if one.names(&folder)?.contains(&name) {
            continue;
        }
        let note = newest.note.clone().cosign(key, &public, now)?;
        if one.create(&folder, &name, &note.text())? {
            done.files.push((one.place(), folder.clone(), name.clone()));
        }
    }
    memory.see(&judged.board, &judged.origin, &judged.log, now);
    Ok(done)
}
