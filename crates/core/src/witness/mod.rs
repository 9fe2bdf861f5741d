//! The witness: what a vault once said about its chain of seals, kept where the vault's owner cannot take it back.
//!
//! A [`Checkpoint`] names the seals of a vault up to now, signed with the seal key, and hangs on the notice board of
//! somebody else. Other vaults look whether it continues what they saw before, and cosign. From public keys and boards
//! alone anybody can then show that a chain was forked, rolled back or back-dated, or that a board lost something; with the
//! vault, that a snapshot is gone without a record. The form is told in `docs/design/witness.md`.
//!
//! Storyline: [`own::Standing`] → [`Log`] → [`Checkpoint`] → [`Board`] → [`judge()`] → [`Finding`].

mod board;
mod bucket;
mod checkpoint;
mod finding;
mod folder;
mod judge;
mod log;
mod memory;
mod note;
pub mod own;
mod publish;
mod seen;
#[cfg(test)]
mod tests;

pub use board::{
    Board, BoardError, BoardFile, FileName, open as open_board, open_folder as open_folder_board,
};
pub use checkpoint::{Checkpoint, origin};
pub use finding::{Finding, FindingKind};
pub use judge::{Judged, Noted, judge};
pub use log::{Entry, Log};
pub use memory::{Memory, Remembered, compare_boards};
pub use note::{Note, NoteError, PublicKey};
pub use publish::{Published, WitnessError, cosign, publish};
pub use seen::{REFS, is_origin, shown};
