//! Why two vaults could not be compared.

use crate::{
    history::HistoryError,
    restore::view::ViewError,
    seal::SealError,
    vault::VaultError,
    witness::{BoardError, NoteError},
};

/// Why two vaults could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A board.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// A key.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The seal key did not sign.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A snapshot cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A folder of a snapshot cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The two sides are of different appliances.
    #[error("`{other}` is of another appliance than this vault")]
    OtherAppliance {
        /// The other side in words.
        other: String,
    },
    /// One side has nothing to compare.
    #[error("`{place}` has no complete snapshot to compare")]
    Nothing {
        /// The side in words.
        place: String,
    },
}
