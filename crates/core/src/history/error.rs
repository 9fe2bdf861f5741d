//! Why a history could not be told.

use crate::{
    restore::{repository::RepositoryError, view::ViewError},
    vault::VaultError,
};

/// Why a history could not be told.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A snapshot cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The repository cannot be found or looked into.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// An export of the audit log cannot be read.
    #[error("cannot read the snapshot's audit log")]
    AuditLog {
        /// Why.
        source: std::io::Error,
    },
    /// No snapshot has the repository.
    #[error("no snapshot has a repository `{wanted}`")]
    Unknown {
        /// What was asked for.
        wanted: String,
    },
}
