//! What can go wrong with a vault, told apart as far as an operator would act differently.
//!
//! The command line maps [`VaultError::NotAVault`], [`VaultError::Locked`] and [`VaultError::WrongPassword`] to restic's
//! exit codes 10, 11 and 12.

use crate::{aws::AwsFailure, causes, keys::KmsError};
use std::{io, path::Path, sync::Arc};

/// Result of everything in this module.
pub type VaultResult<T> = Result<T, VaultError>;

/// Why something with a vault did not work. Cheap to clone: one failure may be met by several threads.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// There is no vault at this place.
    #[error("no vault at {location}: {why}")]
    NotAVault {
        /// Where it was looked for.
        location: String,
        /// What is missing.
        why: String,
    },
    /// A vault stands there already, so none can be made.
    #[error("a vault exists already at {location}")]
    AlreadyExists {
        /// Where.
        location: String,
    },
    /// No key file of the vault opens with this password.
    #[error(
        "wrong password for the vault at {location}{}",
        if damaged_keys.is_empty() { String::new() } else { format!(" (damaged key files, not tried: {})", damaged_keys.join(", ")) }
    )]
    WrongPassword {
        /// Which vault.
        location: String,
        /// Key files that could not be tried because they are damaged.
        damaged_keys: Vec<String>,
    },
    /// The vault has no key in KMS, and no password was given.
    #[error("the vault at {location} has no KMS key, and no password is given")]
    NoKmsKey {
        /// Which vault.
        location: String,
    },
    /// The key service did not serve.
    #[error("cannot {action}")]
    Kms {
        /// What was tried.
        action: &'static str,
        /// Why.
        source: KmsError,
    },
    /// The vault, or the place, is of a kind that this release does not serve.
    #[error("{what} is not supported by this release")]
    Unsupported {
        /// What it is.
        what: String,
    },
    /// Somebody else writes to the vault.
    #[error("the vault at {location} is being written by {holder} (its lease lasts until {until})")]
    Locked {
        /// Which vault.
        location: String,
        /// Who holds the lease: purpose, host and process.
        holder: String,
        /// When the lease ends unless it is renewed.
        until: jiff::Timestamp,
    },
    /// The lease of this process ended or was taken over, so it may not write any more.
    #[error("this process lost its lease on the vault at {location}: {why}")]
    LeaseLost {
        /// Which vault.
        location: String,
        /// How it was lost.
        why: String,
    },
    /// A file of the vault is not what was written.
    #[error("damaged {what} {file}: {why}")]
    Damaged {
        /// Kind of file: `pack`, `index`, `snapshot`, `key file`, `configuration`, `tree`, ...
        what: &'static str,
        /// The file, relative to the vault, or the id of what is in it.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something that the vault should hold is not in its index.
    #[error("the vault does not hold {what} {id}")]
    Missing {
        /// `tree`, `data blob`, `snapshot`.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// No snapshot answers to a name.
    #[error("no snapshot matches \"{name}\"{}", if *candidates > 1 { format!(" alone ({candidates} do)") } else { String::new() })]
    NoSuchSnapshot {
        /// What was asked for.
        name: String,
        /// How many snapshots match it: 0 or more than 1.
        candidates: usize,
    },
    /// The store has no space left.
    #[error("no space left for {path}")]
    Full {
        /// The file that could not be written.
        path: String,
        /// The system's words.
        #[source]
        source: Arc<io::Error>,
    },
    /// The store refused an access for lack of rights.
    #[error("not allowed to {action} {path}")]
    Denied {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: String,
        /// The system's words.
        #[source]
        source: Arc<io::Error>,
    },
    /// The store failed in another way.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: String,
        /// The system's words.
        #[source]
        source: Arc<io::Error>,
    },
    /// The service that keeps the vault did not do what was asked.
    #[error("the store of the vault at {location} failed")]
    Service {
        /// Which vault.
        location: String,
        /// What it said.
        #[source]
        source: Arc<AwsFailure>,
    },
    /// The vault is looked at as it was, so nothing can be written.
    #[error("the vault at {location} is looked at as of {moment}, and only read")]
    ReadOnly {
        /// Which vault.
        location: String,
        /// The moment.
        moment: jiff::Timestamp,
    },
    /// The stream that was to be stored (or the writer that was to be filled) failed; the vault is not to blame.
    #[error("the stream failed")]
    Stream(#[source] Arc<io::Error>),
    /// The latch is closed: something fatal happened, no snapshot may be written.
    #[error("no snapshot is written because {problems} fatal problem(s) were reported")]
    LatchClosed {
        /// How many.
        problems: usize,
    },
    /// An argument makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Something that the format library refused.
    #[error("{action} failed: {message}")]
    Rustic {
        /// What was tried.
        action: &'static str,
        /// The library's message in one line.
        message: String,
    },
    /// A thread of ours ended in an unforeseen way.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl VaultError {
    /// Sorts an error of the file system into full, denied and the rest.
    pub(super) fn io(action: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        let path = path.as_ref().display().to_string();
        let kind = source.kind();
        let source = Arc::new(source);
        match kind {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, source },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied { action, path, source }
            }
            _ => Self::Io { action, path, source },
        }
    }

    /// The key service did not serve.
    pub(super) fn kms(action: &'static str, error: &KmsError) -> Self {
        Self::Kms { action, source: error.clone() }
    }

    /// A file that is not what was written.
    pub(super) fn damaged(what: &'static str, file: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Damaged { what, file: file.into(), why: why.into() }
    }

    /// A rustic error; one of our own that travelled through rustic comes out as it was.
    pub(super) fn rustic(action: &'static str, error: &rustic_core::RusticError) -> Self {
        if let Some(ours) = causes::chain(error).skip(1).find_map(|cause| cause.downcast_ref::<Self>()) {
            return ours.clone();
        }
        let message = error
            .display_log()
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        Self::Rustic { action, message }
    }
}
