//! `aws:kms:<base64>`: a ciphertext of KMS as configuration files have it.

use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::STANDARD_NO_PAD};
use std::fmt;

/// What stands before the base64 text.
pub const PREFIX: &str = "aws:kms:";
/// Fewest bytes of anything that KMS encrypted: a header with the key's id, nonce and tag are more.
const BYTES_MIN: usize = 48;

/// Bytes that only KMS can read. Not a secret, but long: `Debug` shows the length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Ciphertext(Vec<u8>);

impl Ciphertext {
    /// Takes the bytes as KMS gave them.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes as KMS wants them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads base64 text in either alphabet, with or without padding, with white space anywhere (YAML folds lines).
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        let plain: String = text
            .chars()
            .filter(|c| !c.is_whitespace())
            .map(|c| match c {
                '-' => '+',
                '_' => '/',
                other => other,
            })
            .collect();
        let bytes = STANDARD_NO_PAD.decode(plain.trim_end_matches('=')).ok()?;
        (bytes.len() >= BYTES_MIN).then_some(Self(bytes))
    }

    /// What stands after the prefix, if there is one.
    #[must_use]
    pub fn after_prefix(text: &str) -> Option<&str> {
        text.trim_start().strip_prefix(PREFIX)
    }
}

impl fmt::Display for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD.encode(&self.0))
    }
}

impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ciphertext({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

    #[test]
    fn both_alphabets_with_and_without_padding_and_folded_lines_are_read() {
        let bytes: Vec<u8> = (0..=255).rev().take(100).collect();
        for text in [
            STANDARD.encode(&bytes),
            STANDARD_NO_PAD.encode(&bytes),
            URL_SAFE.encode(&bytes),
            URL_SAFE_NO_PAD.encode(&bytes),
        ] {
            let folded = format!(" {}\n  {}\n", &text[..40], &text[40..]);
            assert_eq!(Ciphertext::from_base64(&text).map(|c| c.0), Some(bytes.clone()), "{text}");
            assert_eq!(Ciphertext::from_base64(&folded).map(|c| c.0), Some(bytes.clone()), "{folded}");
        }
        let written = Ciphertext::new(bytes.clone()).to_string();
        let read = Ciphertext::after_prefix(&written).and_then(Ciphertext::from_base64);
        assert_eq!(read, Some(Ciphertext::new(bytes)));
    }

    #[test]
    fn short_and_foreign_texts_are_no_ciphertexts() {
        for text in ["", "hunter2", "arn:aws:kms:eu-west-1:1:key/x", "-----BEGIN OPENSSH PRIVATE KEY-----"] {
            assert_eq!(Ciphertext::from_base64(text), None, "{text}");
        }
    }
}
