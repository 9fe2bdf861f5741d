//! Which boards there are, and whose keys count.

use super::{BoardArgs, Invocation, KeyArgs, http::HttpBoard};
use crate::error::{CommandError, CommandResult};
use ghevault_core::{
    vault::Vault,
    witness::{self, Board, BoardError, FileName, PublicKey, open_board},
};
use std::collections::BTreeSet;

/// The boards.
pub(in crate::cli) fn opened(
    arguments: &BoardArgs,
    invocation: &Invocation,
) -> CommandResult<Vec<Box<dyn Board>>> {
    let settings = &invocation.settings.witness_boards;
    let places = if arguments.board.is_empty() { settings } else { &arguments.board };
    if places.is_empty() {
        return Err(CommandError::usage("no notice board is named").hint(
            "Give --board dir:PATH, or write `board = [\"dir:PATH\"]` into [witness] of ghevault.toml.",
        ));
    }
    let open = |place: &String| match HttpBoard::open(place.strip_prefix("read:").unwrap_or(place))? {
        Some(board) => Ok(Box::new(board) as Box<dyn Board>),
        None => Ok(open_board(place, &invocation.settings.s3)?),
    };
    places.iter().map(open).collect()
}

/// The boards, of which one at least takes what is published.
pub(in crate::cli) fn writable(
    arguments: &BoardArgs,
    invocation: &Invocation,
) -> CommandResult<Vec<Box<dyn Board>>> {
    let boards = opened(arguments, invocation)?;
    if boards.iter().all(|board| board.is_read_only()) {
        return Err(CommandError::usage("every notice board that is named is there to be read only").hint(
            "Name one more that this host may write to: dir:PATH or s3://BUCKET/PREFIX, without `read:`.",
        ));
    }
    Ok(boards)
}

/// The boards without those of others that do not answer now, and what became of those: that they are away keeps nobody from the own ones.
pub(super) fn answering(boards: Vec<Box<dyn Board>>) -> (Vec<Box<dyn Board>>, Vec<BoardError>) {
    let (mut there, mut away) = (Vec::new(), Vec::new());
    for board in boards {
        if board.is_read_only()
            && let Err(error) = board.origins()
        {
            away.push(error);
        } else {
            there.push(board);
        }
    }
    (there, away)
}

/// The keys that somebody vouched for.
pub(in crate::cli) fn trusted(arguments: &KeyArgs, invocation: &Invocation) -> CommandResult<Vec<PublicKey>> {
    let settings = &invocation.settings.witness_keys;
    let keys = if arguments.key.is_empty() { settings } else { &arguments.key };
    if keys.is_empty() {
        return Err(CommandError::usage("no public seal key is named").hint(
            "Give --key BASE64=NAME, as `ghevault doctor` on the other host shows it, or set `witness.keys`.",
        ));
    }
    keys.iter().map(|key| Ok(PublicKey::parse(key)?)).collect()
}

/// Which checkpoints other vaults have on the boards of the settings (board, origin and name of each); for a backup that waits for its turn.
///
/// # Errors
/// A board cannot be read.
pub(in crate::cli) fn published_by_others(
    vault: &Vault,
    invocation: &Invocation,
) -> CommandResult<BTreeSet<String>> {
    if invocation.settings.witness_boards.is_empty() {
        return Ok(BTreeSet::new());
    }
    let boards = opened(&BoardArgs { board: Vec::new() }, invocation)?;
    let key = PublicKey::parse(&invocation.seal_key()?.public())?;
    let own = witness::origin(vault.id(), &key);
    let mut found = BTreeSet::new();
    for board in &boards {
        let others =
            board.origins()?.into_iter().filter(|origin| *origin != own && witness::is_origin(origin));
        for origin in others {
            let names = board.names(&origin)?;
            let notes = names.iter().filter(|name| matches!(FileName::parse(name), Some(FileName::Note(..))));
            found.extend(notes.map(|name| format!("{}: {origin}/{name}", board.place())));
        }
    }
    Ok(found)
}
