//! How restic's format 2 packs things: small encrypted JSON files, and packs with a header at their end.

use super::{
    crypt::{Cipher, OVERHEAD},
    error::{VaultError, VaultResult},
    store::{Store, file_name, kind_word},
};
use bytes::Bytes;
use rustic_core::{
    Id,
    repofile::{BlobType, FileType},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// Compression level for files of the repository (index, snapshot).
const FILE_LEVEL: i32 = 3;
/// First byte of a compressed repository file.
const COMPRESSED: u8 = 2;
/// Largest plaintext of one repository file or blob that is accepted when reading (a guard, not a limit of the format).
pub(super) const PLAIN_BYTES_MAX: usize = 1 << 30;

/// SHA-256 as an id.
pub(super) fn hash(bytes: &[u8]) -> Id {
    Id::new(Sha256::digest(bytes).into())
}

/// The 32 bytes of an id.
pub(super) fn id_bytes(id: &Id) -> [u8; 32] {
    let mut bytes = [0; 32];
    // an id always prints as 64 hex digits
    let _ = hex::decode_to_slice(&*id.to_hex(), &mut bytes);
    bytes
}

/// An encrypted repository file and its id.
pub(super) fn encode_file<T: Serialize>(cipher: &Cipher, value: &T) -> VaultResult<(Id, Bytes)> {
    let json = serde_json::to_vec(value)
        .map_err(|_| VaultError::Internal("a repository file does not serialise"))?;
    let mut plain = vec![COMPRESSED];
    zstd::stream::copy_encode(&json[..], &mut plain, FILE_LEVEL)
        .map_err(|_| VaultError::Internal("compression failed"))?;
    let sealed = cipher.seal(&plain)?;
    Ok((hash(&sealed), sealed.into()))
}

/// Reads, authenticates and parses a repository file.
pub(super) fn read_file<T: DeserializeOwned>(
    store: &dyn Store,
    cipher: &Cipher,
    kind: FileType,
    id: &Id,
) -> VaultResult<T> {
    let damaged = |why: &str| VaultError::damaged(kind_word(kind), file_name(kind, id), why);
    let sealed = store.read(kind, id)?;
    if kind != FileType::Config && hash(&sealed) != *id {
        return Err(damaged("its content does not have the hash that is its name"));
    }
    let plain = cipher.open(&sealed).ok_or_else(|| damaged("it was not written with this vault's key"))?;
    let json = match plain.first() {
        Some(b'{' | b'[') => plain,
        Some(&COMPRESSED) => {
            decompress(&plain[1..], PLAIN_BYTES_MAX).ok_or_else(|| damaged("it does not decompress"))?
        }
        _ => return Err(damaged("it is in an unknown encoding")),
    };
    serde_json::from_slice(&json).map_err(|e| damaged(&format!("it does not parse: {e}")))
}

/// Decompresses at most `max` bytes; `None` when it is damaged or longer.
pub(super) fn decompress(data: &[u8], max: usize) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut out = Vec::new();
    let decoder = zstd::stream::Decoder::new(data).ok()?;
    decoder.take(max as u64 + 1).read_to_end(&mut out).ok()?;
    (out.len() <= max).then_some(out)
}

/// One blob inside a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackedBlob {
    pub kind: BlobType,
    pub id: Id,
    /// From the start of the pack.
    pub offset: u32,
    /// Stored bytes, encryption included.
    pub length: u32,
    /// Plain bytes when compressed, 0 when stored as it is.
    pub plain_length: u32,
}

/// Plain header of a pack.
pub(super) fn encode_header(blobs: &[PackedBlob]) -> Vec<u8> {
    let mut header = Vec::with_capacity(blobs.len() * 41);
    for blob in blobs {
        let compressed = blob.plain_length > 0;
        header.push(u8::from(blob.kind == BlobType::Tree) + 2 * u8::from(compressed));
        header.extend_from_slice(&blob.length.to_le_bytes());
        if compressed {
            header.extend_from_slice(&blob.plain_length.to_le_bytes());
        }
        header.extend_from_slice(&id_bytes(&blob.id));
    }
    header
}

/// Blobs of a plain header, in the order of the pack; `None` when it is malformed.
pub(super) fn decode_header(mut header: &[u8]) -> Option<Vec<PackedBlob>> {
    fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
        let (head, tail) = from.split_first_chunk::<N>()?;
        *from = tail;
        Some(*head)
    }
    let mut blobs = Vec::new();
    let mut offset = 0_u32;
    while !header.is_empty() {
        let [tag] = take::<1>(&mut header)?;
        let length = u32::from_le_bytes(take(&mut header)?);
        let compressed = tag & 2 > 0;
        let plain_length = if compressed { u32::from_le_bytes(take(&mut header)?) } else { 0 };
        // Nobody compresses nothing, and it would be taken for a blob that is not compressed, of a shorter header.
        if compressed && plain_length == 0 {
            return None;
        }
        let id = Id::new(take(&mut header)?);
        let kind = match tag {
            0 | 2 => BlobType::Data,
            1 | 3 => BlobType::Tree,
            _ => return None,
        };
        blobs.push(PackedBlob { kind, id, offset, length, plain_length });
        offset = offset.checked_add(length)?;
    }
    Some(blobs)
}

/// Bytes of a pack file with these blobs.
pub(super) fn pack_size(blobs: impl IntoIterator<Item = PackedBlob>) -> u64 {
    let entry = |b: PackedBlob| u64::from(b.length) + if b.plain_length > 0 { 41 } else { 37 };
    blobs.into_iter().map(entry).sum::<u64>() + OVERHEAD as u64 + 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn blob()(tree: bool, id: [u8; 32], length in 32_u32..1 << 23, plain_length in 0_u32..1 << 23) -> PackedBlob {
            let kind = if tree { BlobType::Tree } else { BlobType::Data };
            PackedBlob { kind, id: Id::new(id), offset: 0, length, plain_length }
        }
    }

    #[test]
    fn a_compressed_blob_without_a_plain_byte_makes_a_header_malformed() {
        let entry = |plain_length: u32| {
            [&[2][..], &100_u32.to_le_bytes(), &plain_length.to_le_bytes(), &[7; 32]].concat()
        };
        assert!(decode_header(&entry(1)).is_some());
        assert_eq!(decode_header(&entry(0)), None);
    }

    proptest! {
        #[test]
        fn headers_survive_the_round_trip(mut blobs in proptest::collection::vec(blob(), 0..50)) {
            let mut offset = 0;
            for blob in &mut blobs {
                blob.offset = offset;
                offset += blob.length;
            }
            let header = encode_header(&blobs);
            prop_assert_eq!(pack_size(blobs.iter().copied()), u64::from(offset) + header.len() as u64 + 36);
            prop_assert_eq!(decode_header(&header), Some(blobs));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_header(&bytes);
        }
    }

    #[test]
    fn a_decompression_bomb_is_cut_off() {
        let bomb = zstd::encode_all(&vec![0_u8; 1 << 20][..], 3).unwrap();
        assert!(decompress(&bomb, 1 << 19).is_none());
        assert_eq!(decompress(&bomb, 1 << 20).unwrap().len(), 1 << 20);
    }
}
