//! Why a restore to a folder could not start or go on; single entries that fail are problems in the report instead.

use std::io;

use super::view::ViewError;

/// Why a restore or an export stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The snapshot cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A selected path is not in the snapshot.
    #[error("the snapshot has no `{path}`")]
    NotInSnapshot {
        /// The path that was asked for.
        path: String,
    },
    /// The target folder holds something else.
    #[error("the target `{target}` is not empty")]
    NotEmpty {
        /// The target folder.
        target: String,
    },
    /// An interrupted restore of another snapshot stands in the target.
    #[error("the target `{target}` holds an unfinished restore of snapshot {other}")]
    OtherSnapshot {
        /// The target folder.
        target: String,
        /// The snapshot whose restore was interrupted.
        other: String,
    },
    /// Another process restores into the target.
    #[error("another restore into `{target}` is running")]
    Busy {
        /// The target folder.
        target: String,
    },
    /// The target's file system is too small.
    #[error("the restore needs {needed} bytes but `{target}` has {free} bytes free")]
    NoSpace {
        /// The target folder.
        target: String,
        /// Bytes that would be written.
        needed: u64,
        /// Bytes free for this user.
        free: u64,
    },
    /// A finished export of this name exists.
    #[error("the export `{target}` exists already")]
    ExportExists {
        /// The snapshot directory that would be made.
        target: String,
    },
    /// The snapshot lacks something that the layout cannot do without.
    #[error("the snapshot has no `{what}` and none was given")]
    Missing {
        /// The missing piece.
        what: &'static str,
    },
    /// The name of an export is not one that backup-utils would take.
    #[error("`{name}` is not a name for a snapshot directory")]
    BadExportName {
        /// The name.
        name: String,
    },
    /// The target cannot be prepared or finished.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// Why not.
        source: io::Error,
    },
}
