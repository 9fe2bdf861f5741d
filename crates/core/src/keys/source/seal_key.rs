//! Where the key is that signs seals.

use super::{SecretError, SecretSource};
use std::{fmt, str::FromStr};

/// What comes before the name of a key that KMS signs with.
const PREFIX: &str = "aws:kms-key:";

/// Where the key is that signs seals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealKeySource {
    /// A secret that is held in memory.
    Secret(SecretSource),
    /// An asymmetric key of KMS (id, ARN or `alias/…`), which signs there.
    Service(String),
}

impl FromStr for SealKeySource {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        if let Some(key) = text.strip_prefix(PREFIX) {
            let key = key.trim();
            let is_name = !key.is_empty() && key.chars().all(|c| c.is_ascii_graphic());
            return is_name.then(|| Self::Service(key.to_owned())).ok_or(SecretError::NotASealKeySource);
        }
        match text.parse() {
            // An agent signs SSH's messages only; standard input can be read once, and every run signs.
            Ok(SecretSource::Agent(_) | SecretSource::Stdin) | Err(SecretError::NotASource) => {
                Err(SecretError::NotASealKeySource)
            }
            Ok(source) => Ok(Self::Secret(source)),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for SealKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(source) => source.fmt(f),
            Self::Service(key) => write!(f, "{PREFIX}{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_kms_is_told_from_a_ciphertext_and_survives_being_written() {
        for text in ["aws:kms-key:alias/seal", "file:/run/seal.key", "env:SEAL", "taupage:#seal_key"] {
            let source: SealKeySource = text.parse().unwrap();
            assert_eq!(source.to_string(), text);
        }
        let ciphertext: SealKeySource =
            "aws:kms:AQICAHhsOmeBytesThatOnlyKMSCanReadOmeBytesThatOnlyKMSCanReadOmeBytesThatOnlyKMSCanRead0"
                .parse()
                .unwrap();
        assert!(matches!(ciphertext, SealKeySource::Secret(SecretSource::Kms(_))));
        assert_eq!(ciphertext.to_string(), "aws:kms:…");
    }

    #[test]
    fn what_cannot_sign_every_time_is_refused() {
        for text in ["aws:kms-key:", "aws:kms-key:a b", "agent:", "stdin:", "iojj3XQJ8ZX9Utst"] {
            assert!(text.parse::<SealKeySource>().is_err(), "{text}");
        }
    }
}
