//! Why there is no secret, and what is to be said about one that there is.

use crate::keys::{KmsError, yaml::YamlError};
use std::{fmt, path::PathBuf};

/// Something about a secret's place that works but is not good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretWarning {
    /// Others than the owner may read the file. Not refused: secret mounts of container platforms look like this.
    ReadableByOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl fmt::Display for SecretWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadableByOthers { path, mode } => {
                write!(f, "`{}` can be read by others than its owner (mode {mode:04o})", path.display())
            }
        }
    }
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The text is none of the forms; it may be a secret, so it is not repeated.
    #[error(
        "not a secret source: expected `file:PATH`, `env:NAME`, `aws:kms:BASE64`, `taupage:[PATH][#KEY]`, \
         `agent:[SOCKET]` or `stdin:`, never the secret itself"
    )]
    NotASource,
    /// No source of a seal key, or one that cannot be read again and again.
    #[error(
        "not a source of a seal key: expected `aws:kms:BASE64`, `aws:kms-key:KEY`, `file:PATH`, `env:NAME` or \
         `taupage:[PATH]#KEY`, never the key itself"
    )]
    NotASealKeySource,
    /// An ssh-agent signs, and gives no secret away.
    #[error("an ssh-agent gives no secret away; it can only serve as SSH key")]
    Agent,
    /// What follows `aws:kms:` is no ciphertext.
    #[error("what follows `aws:kms:` in {place} is not the base64 text of a KMS ciphertext")]
    NotACiphertext {
        /// The source, as text.
        place: String,
    },
    /// KMS does not decrypt it.
    #[error("cannot decrypt the secret from {place}")]
    Decrypt {
        /// The source, as text.
        place: String,
        /// Why.
        source: KmsError,
    },
    /// A YAML file does not hold it.
    #[error("cannot use `{path}`")]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Why.
        source: YamlError,
    },
    /// A YAML file has no such key.
    #[error("`{path}` has no key `{key}` at its top level")]
    NoSuchKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// The variable is not set.
    #[error("environment variable `{name}` is not set")]
    NotSet {
        /// Its name.
        name: String,
    },
    /// The file cannot be read.
    #[error("cannot read secret file `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is kept in a way that lets others choose the secret.
    #[error("secret file `{path}` is refused: {reason}")]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is nothing in it.
    #[error("the secret from {place} is empty")]
    Empty {
        /// The source, as text.
        place: String,
    },
}
