//! Cosignatures for what stands on a board that may only be read: they hang on the cosigner's own board, in a folder beside its origins.

use std::collections::BTreeSet;

use super::{
    board::{Board, BoardError, BoardFile, FileName},
    checkpoint::Checkpoint,
    note::{Note, PublicKey},
};

/// What the folder's name ends with.
const FOLDER: &str = ".seen";
/// What the name of a folder with ref sheets ends with.
pub const REFS: &str = ".refs";

/// The folder for cosigned copies of the checkpoints of an origin.
pub(super) fn folder(origin: &str) -> String {
    format!("{origin}{FOLDER}")
}

/// Whether a folder of a board is that of an origin: its checkpoints, not copies of them, nor ref sheets.
#[must_use]
pub fn is_origin(name: &str) -> bool {
    !name.ends_with(FOLDER) && !name.ends_with(REFS)
}

/// What a board shows of an origin: its own files, and cosigned copies of its checkpoints from all of the boards.
///
/// A copy whose checkpoint stands on another of the boards, but not on this one, is left out: an origin may be behind on one of its boards.
/// Copies that the origin's key did not sign are left out, too, so that nobody can say anything of it but itself.
///
/// # Errors
/// A board cannot be read.
pub fn shown(
    boards: &[Box<dyn Board>],
    board: &dyn Board,
    origin: &str,
    key: &PublicKey,
) -> Result<Vec<BoardFile>, BoardError> {
    // Copies first: what is hung up in between would else look like one that was taken off.
    let mut copies = Vec::new();
    for one in boards {
        let files = one.files(&folder(origin))?;
        copies.extend(files.into_iter().filter_map(|file| Some((note_of(&file, origin, key)?, file))));
    }
    let mut files = board.files(origin)?;
    if copies.is_empty() {
        return Ok(files);
    }
    let here: BTreeSet<String> = files.iter().map(|file| file.name.clone()).collect();
    let mut elsewhere = BTreeSet::new();
    for one in boards.iter().filter(|one| one.place() != board.place()) {
        elsewhere.extend(one.names(origin)?);
    }
    copies.retain(|(note, copy)| {
        !here.contains(&copy.name) && (here.contains(note) || !elsewhere.contains(note))
    });
    files.extend(copies.into_iter().map(|(_, copy)| copy));
    Ok(files)
}

/// The name of the checkpoint of which a file is a copy; `None` when it is no copy of one of this origin, signed by its key, under the right name.
fn note_of(file: &BoardFile, origin: &str, key: &PublicKey) -> Option<String> {
    let Some(FileName::Cosigned(size, root, _)) = FileName::parse(&file.name) else { return None };
    let note = Note::parse(&file.text).ok()?;
    let checkpoint = Checkpoint::parse(&note.body).ok()?;
    let is_named = checkpoint.size == size && hex::encode(checkpoint.root) == root;
    let is_good = is_named && checkpoint.origin == origin && note.signed_by(origin, key).is_ok();
    is_good.then(|| FileName::note(checkpoint.size, &checkpoint.root))
}
