//! The ref pulse: where all references point right now, read in one round trip, signed, and hung on notice boards; no snapshot.
//!
//! Between two backups a branch can be rewritten and put back. Whoever compares afterwards (`compare`) sees it if somebody looked in between:
//! a pulse is such a look. It has the form of a ref [sheet](crate::compare::Sheet) under an origin of its own, and tells only what has
//! changed since the one before.
//!
//! Storyline: [`read()`] → [`Tips`] → [`publish()`] → [`Beat`].

mod publish;
mod read;

pub use publish::{Beat, Known, origin, publish};
pub use read::{Tips, read};

use crate::{appliance::channel::ChannelError, seal::SealError, witness::BoardError};

/// Why there was no pulse.
#[derive(Debug, thiserror::Error)]
pub enum PulseError {
    /// The connection.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// A board.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// The seal key did not sign.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// What the appliance sent ended early, or is not what was asked for.
    #[error("the references of the appliance cannot be read")]
    Stream {
        /// Why.
        source: std::io::Error,
    },
    /// The command that reads them failed.
    #[error("reading the references of the appliance failed with {status}: {said}")]
    Command {
        /// Its status.
        status: String,
        /// What it said last.
        said: String,
    },
}
