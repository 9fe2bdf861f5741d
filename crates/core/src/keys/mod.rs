//! Secrets and keys: where they come from, how they are held in memory, and what may be shown of them.
//!
//! Key material never reaches an error, a log, an argument or a file. What is encrypted by KMS is decrypted in memory,
//! where it is used, and wiped.

pub mod ciphertext;
pub mod client_key;
pub mod harden;
pub mod kms;
pub mod recovery;
pub mod secret;
pub mod service;
pub mod source;
pub mod ssh_key;
pub mod yaml;

pub use ciphertext::Ciphertext;
pub use client_key::ClientKey;
pub use kms::Kms;
pub use recovery::{RecoveryError, RecoveryKey};
pub use secret::Secret;
pub use service::{Encrypted, KeyService, KmsError, KmsErrorKind, SigningService};
pub use source::{LoadedSecret, Reach, SealKeySource, SecretError, SecretKind, SecretSource, SecretWarning};
pub use ssh_key::{SshKey, SshKeyError};
