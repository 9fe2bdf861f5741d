//! Secrets and keys: where they come from, how they are held in memory, and what may be shown of them.
//!
//! Key material never reaches an error, a log, an argument or a file.

pub mod harden;
pub mod secret;
pub mod source;
pub mod ssh_key;

pub use secret::Secret;
pub use source::{LoadedSecret, SecretError, SecretSource, SecretWarning};
pub use ssh_key::{SshKey, SshKeyError};
