//! One pack that is being filled.

use super::super::{
    crypt::{Cipher, OVERHEAD},
    error::{VaultError, VaultResult},
    format::{PackedBlob, encode_header, hash},
};
use bytes::Bytes;
use rustic_core::{
    Id,
    repofile::{BlobType, ConfigFile},
};

/// Blobs in one pack at most, as rustic has it.
const BLOBS_MAX: usize = 10_000;
/// Room for the last blob and the header beyond the target size (bytes); more is made when it is not enough.
const BLOB_ROOM: usize = 9 << 20;
/// Growing packs stop growing here, for the sake of memory (bytes).
const DATA_PACK_MAX: u64 = 64 << 20;
/// See [`DATA_PACK_MAX`].
const TREE_PACK_MAX: u64 = 16 << 20;

/// Size in bytes at which a pack of a kind is full, given the bytes of such packs in the vault: rustic's rule, capped.
pub(super) fn target_size(config: &ConfigFile, kind: BlobType, held: u64) -> usize {
    let (start, grow, limit) = config.packsize(kind);
    let cap = match kind {
        BlobType::Data => DATA_PACK_MAX,
        BlobType::Tree => TREE_PACK_MAX,
    };
    let size = (u64::from(start) + held.isqrt() * u64::from(grow)).min(limit.into()).min(cap);
    usize::try_from(size).unwrap_or(usize::MAX).max(1)
}

/// See the module.
#[derive(Default)]
pub(super) struct OpenPack {
    bytes: Vec<u8>,
    blobs: Vec<PackedBlob>,
}

impl OpenPack {
    /// Appends an encrypted blob.
    ///
    /// `target`: the size at which the pack will be full; room is made at once, because growing step by step would
    /// double the memory in use.
    pub(super) fn add(
        &mut self,
        kind: BlobType,
        id: Id,
        sealed: &[u8],
        plain_length: u32,
        target: usize,
    ) -> VaultResult<()> {
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(target + BLOB_ROOM);
        }
        let too_long = |_| VaultError::Internal("a pack grew beyond 4 GiB");
        let offset = u32::try_from(self.bytes.len()).map_err(too_long)?;
        let length = u32::try_from(sealed.len()).map_err(too_long)?;
        self.bytes.extend_from_slice(sealed);
        self.blobs.push(PackedBlob { kind, id, offset, length, plain_length });
        Ok(())
    }

    pub(super) fn is_full(&self, target: usize) -> bool {
        self.bytes.len() >= target || self.blobs.len() >= BLOBS_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    /// The finished file: its id, its bytes, what is in it.
    pub(super) fn close(mut self, cipher: &Cipher) -> VaultResult<(Id, Bytes, Vec<PackedBlob>)> {
        let header = cipher.seal(&encode_header(&self.blobs))?;
        debug_assert!(header.len() > OVERHEAD);
        let length = u32::try_from(header.len()).map_err(|_| VaultError::Internal("pack header too long"))?;
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        Ok((hash(&self.bytes), self.bytes.into(), self.blobs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_grow_with_the_vault_up_to_a_cap() {
        let config = ConfigFile::default();
        assert_eq!(target_size(&config, BlobType::Data, 0), 32 << 20);
        assert_eq!(target_size(&config, BlobType::Data, 1 << 30), (32 << 20) + (1 << 20));
        assert_eq!(target_size(&config, BlobType::Data, 1 << 50), 64 << 20);
        assert_eq!(target_size(&config, BlobType::Tree, 0), 4 << 20);
        assert_eq!(target_size(&config, BlobType::Tree, u64::MAX), 16 << 20);
    }
}
