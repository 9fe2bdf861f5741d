//! Index files: which blobs are where in which packs, as JSON.

use super::{
    crypt::Cipher,
    error::VaultResult,
    format::{PackedBlob, encode_file},
};
use bytes::Bytes;
use rustic_core::{Id, repofile::BlobType};
use serde::{Deserialize, Serialize};

/// An index file as it is written in JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct IndexFile {
    /// Packs in use.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub packs: Vec<IndexedPack>,
    /// Packs that rustic's prune marked for deletion: what is in them does not count as held.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub packs_to_delete: Vec<IndexedPack>,
}

/// A pack in an index file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct IndexedPack {
    pub id: Id,
    /// When it was written (rustic's prune keeps young packs).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<jiff::Timestamp>,
    /// Pack size in bytes, where it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    #[serde(deserialize_with = "null_is_empty")]
    pub blobs: Vec<IndexedBlob>,
}

/// A blob in an index file.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct IndexedBlob {
    pub id: Id,
    #[serde(rename = "type")]
    pub kind: BlobType,
    pub offset: u32,
    pub length: u32,
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "is_zero")]
    pub uncompressed_length: u32,
}

/// Go writes empty lists, and rustic writes missing numbers, as `null`.
fn null_is_empty<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl From<PackedBlob> for IndexedBlob {
    fn from(b: PackedBlob) -> Self {
        Self {
            id: b.id,
            kind: b.kind,
            offset: b.offset,
            length: b.length,
            uncompressed_length: b.plain_length,
        }
    }
}

impl From<IndexedBlob> for PackedBlob {
    fn from(b: IndexedBlob) -> Self {
        Self {
            kind: b.kind,
            id: b.id,
            offset: b.offset,
            length: b.length,
            plain_length: b.uncompressed_length,
        }
    }
}

impl IndexFile {
    /// The file, ready to be written.
    pub(super) fn encode(&self, cipher: &Cipher) -> VaultResult<(Id, Bytes)> {
        encode_file(cipher, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_of_other_programs_are_read() {
        let id = "0".repeat(64);
        let blob =
            format!(r#"{{"id":"{id}","type":"data","offset":0,"length":40,"uncompressed_length":null}}"#);
        let json = format!(
            r#"{{"supersedes":null,"packs":[{{"id":"{id}","blobs":[{blob}],"time":null}}],"packs_to_delete":null}}"#
        );
        let file: IndexFile = serde_json::from_str(&json).unwrap();
        assert_eq!(file.packs[0].blobs[0].uncompressed_length, 0);
        assert!(serde_json::from_str::<IndexFile>(r#"{"packs":null}"#).unwrap().packs.is_empty());
    }
}
