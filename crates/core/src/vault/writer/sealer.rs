//! Makes a stored blob of a plain one: compressed where that helps, encrypted.

use super::super::{
    crypt::{Cipher, NONCE_LEN, OVERHEAD},
    error::{VaultError, VaultResult},
};
use rustic_core::repofile::BlobType;

/// A thread's compressor and its buffer.
pub(super) struct Sealer {
    compressor: Option<(i32, Option<zstd::bulk::Compressor<'static>>)>,
    /// The blob that was sealed last.
    pub buffer: Vec<u8>,
}

impl Sealer {
    pub(super) fn new(level: Option<i32>) -> Self {
        Self { compressor: level.map(|l| (l, None)), buffer: Vec::new() }
    }

    /// Leaves the sealed blob in `buffer`; returns the plain length when it was compressed, else 0.
    ///
    /// Content that does not shrink is stored as it is (the format has a type for that); trees are always compressed,
    /// because restic's prune would repack the others.
    pub(super) fn seal(&mut self, cipher: &Cipher, kind: BlobType, data: &[u8]) -> VaultResult<u32> {
        let compressed = self.compress(data)?.filter(|&size| kind == BlobType::Tree || size < data.len());
        if let Some(size) = compressed {
            self.buffer.truncate(NONCE_LEN + size);
        } else {
            self.buffer.clear();
            self.buffer.resize(NONCE_LEN, 0);
            self.buffer.extend_from_slice(data);
        }
        cipher.seal_in_place(&mut self.buffer)?;
        let plain = if compressed.is_some() { data.len() } else { 0 };
        u32::try_from(plain).map_err(|_| VaultError::Internal("a blob beyond 4 GiB"))
    }

    fn compress(&mut self, data: &[u8]) -> VaultResult<Option<usize>> {
        let failed = |_| VaultError::Internal("compression failed");
        let Some((level, compressor)) = &mut self.compressor else { return Ok(None) };
        if data.is_empty() {
            return Ok(None);
        }
        let compressor = match compressor {
            Some(ready) => ready,
            empty => empty.insert(zstd::bulk::Compressor::new(*level).map_err(failed)?),
        };
        let room = NONCE_LEN + zstd::zstd_safe::compress_bound(data.len());
        if self.buffer.len() < room {
            self.buffer.reserve(room + OVERHEAD - self.buffer.len());
            self.buffer.resize(room, 0);
        }
        compressor.compress_to_buffer(data, &mut self.buffer[NONCE_LEN..]).map(Some).map_err(failed)
    }
}
