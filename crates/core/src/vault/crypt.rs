//! restic's authenticated encryption: nonce (16 bytes), AES-256-CTR ciphertext, Poly1305-AES tag (16 bytes).

use super::error::{VaultError, VaultResult};
use aes256ctr_poly1305aes::{
    Aes256CtrPoly1305Aes,
    aead::{AeadInPlace, Nonce, Tag},
};
use rand::RngCore;
use rustic_core::repofile::MasterKey;
use zeroize::{Zeroize, Zeroizing};

/// Bytes before the ciphertext.
pub(super) const NONCE_LEN: usize = 16;
/// Bytes after the ciphertext.
pub(super) const TAG_LEN: usize = 16;
/// What encryption adds.
pub(super) const OVERHEAD: usize = NONCE_LEN + TAG_LEN;

/// The vault's master key, ready for use; wiped when dropped.
pub(super) struct Cipher(Aes256CtrPoly1305Aes);

impl Cipher {
    /// Takes the key and wipes what it was given.
    pub(super) fn new(mut master: MasterKey) -> VaultResult<Self> {
        let mut key = Zeroizing::new([0_u8; 64]);
        let parts = [&mut master.encrypt, &mut master.mac.k, &mut master.mac.r];
        if parts.iter().map(|p| p.len()).ne([32, 16, 16]) {
            return Err(VaultError::Invalid("the master key has parts of a wrong length".into()));
        }
        let mut at = 0;
        for part in parts {
            key[at..at + part.len()].copy_from_slice(part);
            at += part.len();
            part.zeroize();
        }
        let cipher = Aes256CtrPoly1305Aes::new(aes256ctr_poly1305aes::Key::from_slice(&*key));
        Ok(Self(cipher))
    }

    /// Encrypts in place: `buffer` is nonce room, plaintext; the tag is appended.
    pub(super) fn seal_in_place(&self, buffer: &mut Vec<u8>) -> VaultResult<()> {
        let (nonce, text) =
            buffer.split_at_mut_checked(NONCE_LEN).ok_or(VaultError::Internal("no room for the nonce"))?;
        rand::rng().fill_bytes(nonce);
        let nonce = Nonce::<Aes256CtrPoly1305Aes>::from_slice(nonce);
        let tag = self
            .0
            .encrypt_in_place_detached(nonce, &[], text)
            .map_err(|_| VaultError::Internal("encryption failed"))?;
        buffer.extend_from_slice(&tag);
        Ok(())
    }

    /// Encrypts a copy.
    pub(super) fn seal(&self, text: &[u8]) -> VaultResult<Vec<u8>> {
        let mut buffer = Vec::with_capacity(text.len() + OVERHEAD);
        buffer.resize(NONCE_LEN, 0);
        buffer.extend_from_slice(text);
        self.seal_in_place(&mut buffer)?;
        Ok(buffer)
    }

    /// Checks and decrypts; `None` when it is not what this key wrote.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN)?;
        let (text, tag) = rest.split_at_checked(rest.len().checked_sub(TAG_LEN)?)?;
        let mut text = text.to_vec();
        let nonce = Nonce::<Aes256CtrPoly1305Aes>::from_slice(nonce);
        let tag = Tag::<Aes256CtrPoly1305Aes>::from_slice(tag);
        self.0.decrypt_in_place_detached(nonce, &[], &mut text, tag).ok()?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_and_a_flipped_bit_does_not() {
        let cipher = Cipher::new(MasterKey::new()).unwrap();
        let mut sealed = cipher.seal(b"hello").unwrap();
        assert_eq!(sealed.len(), 5 + OVERHEAD);
        assert_eq!(cipher.open(&sealed).unwrap(), b"hello");
        for at in 0..sealed.len() {
            sealed[at] ^= 1;
            assert!(cipher.open(&sealed).is_none(), "byte {at}");
            sealed[at] ^= 1;
        }
        assert!(cipher.open(&sealed[..20]).is_none());
    }
}
