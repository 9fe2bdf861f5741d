//! Why a restore to an appliance could not start, and why a step of it failed. Never carries anything that was sent.

use std::io;

use super::guard::Refusal;
use crate::{
    appliance::{
        channel::{ChannelError, ExitStatus},
        gate::GateError,
        lease::LeaseError,
    },
    restore::view::ViewError,
};

/// Why a restore to an appliance did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplianceRestoreError {
    /// The guard refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The snapshot cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The appliance cannot be reached.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The appliance could not be put into the state of a restore.
    #[error(transparent)]
    Lease(#[from] LeaseError),
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// The appliance cannot be reached or the connection broke.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// A command on the appliance failed.
    #[error("`{label}` failed on the appliance with {status}{}", if said.is_empty() { String::new() } else { format!(": {said}") })]
    Failed {
        /// The command's name.
        label: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to stderr, on one line.
        said: String,
    },
    /// The appliance's answer makes no sense.
    #[error("`{label}` answered {what}")]
    Answer {
        /// The command's name.
        label: String,
        /// What was wrong with the answer.
        what: String,
    },
    /// The snapshot cannot be read.
    #[error("{view}: {why}")]
    View {
        /// What was read.
        view: ViewError,
        /// The vault's answer.
        why: String,
    },
    /// A file of the snapshot is not as long as the snapshot says.
    #[error("the snapshot says that `{path}` has {expected} bytes but holds {found}")]
    Length {
        /// The file.
        path: String,
        /// Bytes by the tree.
        expected: u64,
        /// Bytes of content.
        found: u64,
    },
    /// The snapshot lacks something that the step needs.
    #[error("the snapshot has no `{0}`")]
    Missing(String),
    /// A stream to the appliance broke.
    #[error("the stream of `{label}` broke")]
    Stream {
        /// The command's name.
        label: String,
        /// The cause.
        source: io::Error,
    },
    /// Git maintenance could not be paused.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The lease on the appliance's restore state was lost while the step ran.
    #[error("the appliance has given up the restore because it lost sight of us")]
    LostVigil,
}

impl From<ViewError> for StepError {
    fn from(view: ViewError) -> Self {
        let why = std::error::Error::source(&view).map(ToString::to_string).unwrap_or_default();
        Self::View { view, why }
    }
}
