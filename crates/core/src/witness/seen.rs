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

/// What a board shows of an origin: its own files, and from all of the boards cosigned copies of its newest checkpoint and of those that it
/// does not have.
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
    let folder = folder(origin);
    // Copies first: what is hung up in between would else look like one that was taken off.
    let mut copies = Vec::new();
    for one in boards {
        let named = one.names(&folder)?.into_iter().filter_map(|name| Some((note_of(&name)?, one, name)));
        copies.extend(named);
    }
    let mut files = board.files(origin)?;
    if copies.is_empty() {
        return Ok(files);
    }
    let here: BTreeSet<String> = files.iter().map(|file| file.name.clone()).collect();
    let newest = here.iter().rfind(|name| matches!(FileName::parse(name), Some(FileName::Note(..))));
    let mut elsewhere = BTreeSet::new();
    for one in boards.iter().filter(|one| one.place() != board.place()) {
        elsewhere.extend(one.names(origin)?);
    }
    let is_wanted = |note: &String| Some(note) == newest || !here.contains(note) && !elsewhere.contains(note);
    for (_, one, name) in copies.iter().filter(|(note, _, name)| is_wanted(note) && !here.contains(name)) {
        let Some(text) = one.read(&folder, name)? else { continue };
        let file = BoardFile { name: name.clone(), text };
        if is_copy(&file, origin, key) {
            files.push(file);
        }
    }
    Ok(files)
}

/// The file of the checkpoint of which a file is a copy, by its name.
fn note_of(name: &str) -> Option<String> {
    let Some(FileName::Cosigned(size, root, _)) = FileName::parse(name) else { return None };
    Some(FileName::note_named(size, &root))
}

/// Whether a file is a copy of a checkpoint of this origin, signed by its key, under the right name.
fn is_copy(file: &BoardFile, origin: &str, key: &PublicKey) -> bool {
    let Ok(note) = Note::parse(&file.text) else { return false };
    let Ok(checkpoint) = Checkpoint::parse(&note.body) else { return false };
    note_of(&file.name) == Some(FileName::note(checkpoint.size, &checkpoint.root))
        && checkpoint.origin == origin
        && note.signed_by(origin, key).is_ok()
}
