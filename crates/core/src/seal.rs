//! The seal: what a backup promised and delivered, signed, inside the snapshot file itself.
//!
//! The manifest travels as text exactly as it was signed, so that nobody has to agree on a canonical form. It names the tree, and with it
//! every byte of the snapshot, because the vault's ids are hashes of what they name.

pub mod chain;
mod key;

pub(crate) use key::verify;
pub use key::{SealKey, SignedText};

use crate::keys::KmsError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What a backup is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Everything that was promised was delivered and stored.
    Complete,
    /// Something is missing or stale; the manifest names it.
    Partial,
    /// Nothing of it is usable.
    Failed,
}

/// One dataset in a manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SealedDataset {
    /// How it went.
    pub outcome: Outcome,
    /// Files or items that it has in this snapshot.
    pub items: u64,
    /// Bytes that it has in this snapshot, as the appliance counts them.
    pub bytes: u64,
    /// What went wrong, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// Where a snapshot's content came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The appliance's data, dataset by dataset.
    #[default]
    Datasets,
    /// A finished snapshot of the appliance's own Backup Service (contract §11.2).
    BackupService,
    /// A snapshot directory of backup-utils.
    Import,
}

impl Source {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
    fn is_datasets(&self) -> bool {
        *self == Self::Datasets
    }
}

/// The machines behind the appliance at the time of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// The part of the machine that was backed up: `primary`, `replica` or `cluster`.
    pub role: String,
    /// All machines.
    pub nodes: Vec<SealedNode>,
}

/// One machine in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedNode {
    /// Host name.
    pub name: String,
    /// UUID; empty when unknown.
    pub uuid: String,
    /// Why nothing was read from it, or no gate was held on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// What was captured, from whom, and what came before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this form.
    pub format: u32,
    /// What the snapshot is worth.
    pub outcome: Outcome,
    /// Start of the run, RFC 3339.
    pub started: String,
    /// Duration of the run in seconds.
    pub seconds: f64,
    /// The appliance as it was named.
    pub host: String,
    /// Its UUID.
    pub uuid: String,
    /// Its release.
    pub version: String,
    /// Fingerprint of the host key that it showed.
    pub host_key: String,
    /// The root tree of the snapshot, hexadecimal.
    pub tree: String,
    /// How long Git maintenance was paused, in seconds.
    pub gate_held_seconds: f64,
    /// The datasets.
    pub datasets: BTreeMap<String, SealedDataset>,
    /// Hash of the seal of the complete snapshot before, hexadecimal; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The program that made it.
    pub program: String,
    /// Where the content came from.
    #[serde(default, skip_serializing_if = "Source::is_datasets")]
    pub source: Source,
    /// The machines behind the appliance, if it is not a single one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
    /// The sharded run that it was joined from; none for a backup by one host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<SealedRun>,
}

/// A run of several shards, in the manifest of the snapshot that its parts were joined into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedRun {
    /// Its name.
    pub name: String,
    /// How many shards it had.
    pub shards: u32,
    /// The snapshots of the parts that were joined, by the index of their shard.
    pub parts: BTreeMap<u32, String>,
}

/// The form of the manifest that this release writes.
pub const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Envelope {
    ghevault: u32,
    manifest: String,
    key: String,
    signature: String,
}

/// A manifest whose signature was checked.
#[derive(Clone, Debug)]
pub struct Seal {
    /// What it says.
    pub manifest: Manifest,
    /// Hash of the signed text, hexadecimal; the next seal names it.
    pub hash: String,
    /// The public key that signed it, base64.
    pub key: String,
}

impl Seal {
    /// Its place in the order of seals; none when it names no moment.
    #[must_use]
    pub fn link(&self) -> Option<chain::Link> {
        Some(chain::Link {
            hash: self.hash.clone(),
            previous: self.manifest.previous.clone(),
            started: self.manifest.started.parse().ok()?,
            key: self.key.clone(),
        })
    }
}

/// Why a snapshot has no good seal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There is none: not made by ghevault, or by a run that did not get so far.
    #[error("the snapshot has no seal")]
    Missing,
    /// It cannot be read.
    #[error("the seal cannot be read: {0}")]
    Unreadable(String),
    /// The signature does not fit the text.
    #[error("the signature of the seal is wrong")]
    BadSignature,
    /// It belongs to another tree.
    #[error("the seal is for tree {sealed}, the snapshot has tree {found}")]
    OtherTree {
        /// The tree that was sealed.
        sealed: String,
        /// The tree of the snapshot.
        found: String,
    },
    /// The key is in a service, which signed with another one.
    #[error("what KMS signed with the key {key} does not fit the public key that it shows")]
    OtherHand {
        /// The key as it was named.
        key: String,
    },
    /// The key is in KMS, which did not sign.
    #[error(transparent)]
    Service(#[from] KmsError),
}

/// Whether a snapshot's description is that of a part of a sharded run: it has a signed record of its own, and no seal.
#[must_use]
pub fn is_part(description: &str) -> bool {
    description.starts_with("{\"ghevault_part\":")
}

/// Reads and checks the seal of a snapshot from its description and its tree (hexadecimal).
///
/// # Errors
/// There is none, or it is not what was signed for this tree.
pub fn read(description: Option<&str>, tree: &str) -> Result<Seal, SealError> {
    let text = description.ok_or(SealError::Missing)?;
    if !text.trim_start().starts_with('{') || is_part(text) {
        return Err(SealError::Missing);
    }
    let envelope: Envelope =
        serde_json::from_str(text).map_err(|source| SealError::Unreadable(source.to_string()))?;
    verify(&envelope.manifest, &envelope.key, &envelope.signature)?;
    let manifest: Manifest = serde_json::from_str(&envelope.manifest)
        .map_err(|source| SealError::Unreadable(source.to_string()))?;
    if manifest.tree != tree {
        return Err(SealError::OtherTree { sealed: manifest.tree, found: tree.into() });
    }
    let hash = hex::encode(Sha256::digest(envelope.manifest.as_bytes()));
    Ok(Seal { manifest, hash, key: envelope.key })
}

impl SealKey {
    /// Signs a manifest; the result goes into the snapshot's description.
    ///
    /// # Errors
    /// The manifest cannot be written as text, or the key does not sign.
    pub fn seal(&self, manifest: &Manifest) -> Result<String, SealError> {
        let unreadable = |source: serde_json::Error| SealError::Unreadable(source.to_string());
        let SignedText { text, key, signature } =
            self.sign(serde_json::to_string(manifest).map_err(unreadable)?)?;
        let envelope = Envelope { ghevault: FORMAT, manifest: text, key, signature };
        serde_json::to_string(&envelope).map_err(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            outcome: Outcome::Complete,
            started: "2026-01-01T00:00:00Z".into(),
            seconds: 1.5,
            host: "ghe".into(),
            uuid: "u".into(),
            version: "3.11.0".into(),
            host_key: "SHA256:x".into(),
            tree: "aa".into(),
            gate_held_seconds: 0.5,
            datasets: BTreeMap::new(),
            previous: None,
            program: "ghevault".into(),
            source: Source::Datasets,
            topology: None,
            run: None,
        }
    }

    #[test]
    fn a_seal_opens_with_what_was_sealed() {
        let text = SealKey::generate().seal(&manifest()).unwrap();
        assert_eq!(read(Some(&text), "aa").unwrap().manifest, manifest());
    }

    #[test]
    fn one_changed_byte_breaks_the_seal() {
        let text = SealKey::generate().seal(&manifest()).unwrap();
        let forged = text.replace("complete", "cOmplete");
        assert_ne!(text, forged);
        assert_eq!(read(Some(&forged), "aa").unwrap_err(), SealError::BadSignature);
    }

    #[test]
    fn a_seal_is_good_for_its_tree_only() {
        let text = SealKey::generate().seal(&manifest()).unwrap();
        assert!(matches!(read(Some(&text), "bb"), Err(SealError::OtherTree { .. })));
    }

    #[test]
    fn a_snapshot_of_somebody_else_has_no_seal() {
        assert_eq!(read(None, "aa").unwrap_err(), SealError::Missing);
        assert_eq!(read(Some("my laptop"), "aa").unwrap_err(), SealError::Missing);
    }
}
