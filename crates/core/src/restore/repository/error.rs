//! Why a repository could not be given back.

use std::io;

use crate::restore::view::ViewError;

/// Why there is no repository at the target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// The snapshot cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// No repository has this name.
    #[error("the snapshot has no repository `{wanted}`")]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// Names that look like it, the most similar first.
        similar: Vec<String>,
    },
    /// No repository that can be read has this name, but some cannot be read.
    #[error(
        "repository `{wanted}` was not found, and {count} repositories cannot be read, first `{path}`: {what}"
    )]
    Unreadable {
        /// What was asked for.
        wanted: String,
        /// How many repositories cannot be read.
        count: usize,
        /// The first of them.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// Several repositories have this name.
    #[error("{} repositories of the snapshot are called `{wanted}`", paths.len())]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// Their paths in the snapshot.
        paths: Vec<String>,
    },
    /// Files of the repository cannot be read from the vault.
    #[error(
        "repository `{name}` cannot be read whole: {count} of its files are damaged, first `{path}`: {what}"
    )]
    Damaged {
        /// The repository.
        name: String,
        /// How many files.
        count: usize,
        /// The first of them.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// Everything was read, but objects are missing.
    #[error("repository `{name}` is not whole in this snapshot: {what}")]
    Broken {
        /// The repository.
        name: String,
        /// What git says.
        what: String,
    },
    /// The repository is of a kind that cannot be given back.
    #[error("repository `{name}` cannot be given back: {what}")]
    Unsupported {
        /// The repository.
        name: String,
        /// Why.
        what: String,
    },
    /// A bundle must hold something.
    #[error("repository `{name}` is empty, and a bundle cannot be")]
    Empty {
        /// The repository.
        name: String,
    },
    /// The target is there already.
    #[error("`{target}` exists already")]
    Exists {
        /// The target.
        target: String,
    },
    /// The remote repository holds something.
    #[error("the repository at `{url}` is not empty: it has {refs} references")]
    RemoteNotEmpty {
        /// Where, without a password.
        url: String,
        /// How many references it has.
        refs: usize,
    },
    /// The remote repository cannot be reached or does not take what is sent.
    #[error("cannot {action} `{url}`: {what}")]
    Remote {
        /// `read` or `push to`.
        action: &'static str,
        /// Where, without a password.
        url: String,
        /// What git says.
        what: String,
    },
    /// The URL is not one that may be pushed to.
    #[error("`{url}` is no place to push to: {why}")]
    BadUrl {
        /// The URL, without a password.
        url: String,
        /// Why not.
        why: &'static str,
    },
    /// There is no `git` on this host.
    #[error("the program `git` is needed and cannot be run: {source}")]
    NoGit {
        /// The system's answer.
        source: io::Error,
    },
    /// A step of git failed.
    #[error("`git {step}` failed for `{name}`: {what}")]
    Git {
        /// The repository.
        name: String,
        /// The step.
        step: String,
        /// The end of its messages.
        what: String,
    },
    /// The target's folder cannot be used.
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

/// Puts an operation and a path to an I/O error.
pub(super) trait At<T> {
    /// The error with what was tried, and on what.
    fn at(self, action: &'static str, path: &std::path::Path) -> Result<T, RepositoryError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &std::path::Path) -> Result<T, RepositoryError> {
        self.map_err(|source| RepositoryError::Io { action, path: path.display().to_string(), source })
    }
}
