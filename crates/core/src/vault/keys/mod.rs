//! The keys that open a vault: passwords in restic's key files, and its master key encrypted by KMS in files of ours.
//!
//! A KMS key is the daily one: no password exists on the host, opening costs one request and no scrypt, the log of AWS sees each
//! use. Passwords are for the day when KMS is gone: an escrow, and the recovery kit, whose text is a password like any other, so
//! that stock restic opens the vault with it. Nothing here changes the master key.

mod deferred;
mod opener;
mod ring;
mod wrapped;

pub use opener::Opener;
pub use ring::{KeyEntry, KeyRing, KeySort, NewKeys};

pub(super) use deferred::Deferred;
pub(super) use opener::credentials;
pub(super) use ring::{clear, furnish};
