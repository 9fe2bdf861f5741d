//! What can go wrong while an appliance is built, served, changed or compared.

use std::{io, path::PathBuf};

/// An error of the simulator.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// A file or folder could not be read or written.
    #[error("cannot {what} `{}`", path.display())]
    File {
        /// The verb.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A program could not be started, or ended badly.
    #[error("`{program}` failed: {reason}")]
    Program {
        /// The program and its arguments.
        program: String,
        /// Its exit status and stderr.
        reason: String,
    },
    /// A file of the simulator does not parse.
    #[error("cannot understand `{}`: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// SSH could not be served.
    #[error("cannot serve SSH: {0}")]
    Ssh(String),
    /// The request itself makes no sense.
    #[error("{0}")]
    Refused(String),
}

/// Turns an I/O error into a [`SimError::File`] that names the file.
pub trait OnFile<T> {
    /// Names what was tried, and on which path.
    ///
    /// # Errors
    /// The same error, with the name.
    fn on(self, what: &'static str, path: impl Into<PathBuf>) -> Result<T, SimError>;
}

impl<T> OnFile<T> for io::Result<T> {
    fn on(self, what: &'static str, path: impl Into<PathBuf>) -> Result<T, SimError> {
        self.map_err(|source| SimError::File { what, path: path.into(), source })
    }
}

impl<T> OnFile<T> for rustix::io::Result<T> {
    fn on(self, what: &'static str, path: impl Into<PathBuf>) -> Result<T, SimError> {
        self.map_err(|errno| SimError::File { what, path: path.into(), source: errno.into() })
    }
}
