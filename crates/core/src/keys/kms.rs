//! [`KeyService`] and [`SigningService`] on AWS KMS, with the role of this host.

use super::{
    Secret,
    service::{Context, Encrypted, KeyService, KmsError, PLAINTEXT_BYTES_MAX, SigningService},
};
use crate::aws::{Aws, AwsFailure};
use aws_sdk_kms::{
    Client,
    config::{Builder, timeout::TimeoutConfig},
    primitives::Blob,
    types::{KeyUsageType, MessageType, SigningAlgorithmSpec},
};
use std::{collections::HashMap, time::Duration};

/// Longest time for one attempt; KMS answers within milliseconds.
const ATTEMPT: Duration = Duration::from_secs(6);
/// Longest time for a request with all its attempts.
const ALTOGETHER: Duration = Duration::from_secs(25);

/// Keys in AWS KMS.
#[derive(Clone, Debug)]
pub struct Kms {
    aws: Aws,
    client: Client,
}

impl Kms {
    /// KMS in the region of the connection.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        let timeouts =
            TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(ALTOGETHER).build();
        let config = Builder::from(aws.config()).timeout_config(timeouts).build();
        Self { aws: aws.clone(), client: Client::from_conf(config) }
    }
}

/// The context as the client wants it; none at all when it is empty.
fn map(context: Context<'_>) -> Option<HashMap<String, String>> {
    (!context.is_empty())
        .then(|| context.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

/// An answer that lacks what every answer has.
fn incomplete(action: &str) -> KmsError {
    KmsError::from(AwsFailure::incomplete("KMS", action))
}

impl KeyService for Kms {
    fn encrypt(&self, key: &str, plain: &Secret, context: Context<'_>) -> Result<Encrypted, KmsError> {
        const ACTION: &str = "encrypt a secret";
        if plain.bytes().len() > PLAINTEXT_BYTES_MAX {
            return Err(KmsError::too_long());
        }
        let request = self
            .client
            .encrypt()
            .key_id(key)
            .plaintext(Blob::new(plain.bytes()))
            .set_encryption_context(map(context));
        let answer = self.aws.wait(request.send());
        let answer =
            answer.map_err(|error| KmsError::new(Some(key), AwsFailure::of("KMS", ACTION, &error)))?;
        let ciphertext = answer.ciphertext_blob.ok_or_else(|| incomplete(ACTION))?.into_inner();
        Ok(Encrypted { ciphertext, key: answer.key_id.unwrap_or_else(|| key.to_owned()) })
    }

    fn decrypt(
        &self,
        ciphertext: &[u8],
        key: Option<&str>,
        context: Context<'_>,
    ) -> Result<Secret, KmsError> {
        const ACTION: &str = "decrypt a secret";
        let request = self
            .client
            .decrypt()
            .ciphertext_blob(Blob::new(ciphertext))
            .set_key_id(key.map(str::to_owned))
            .set_encryption_context(map(context));
        let answer = self.aws.wait(request.send());
        let answer = answer.map_err(|error| KmsError::new(key, AwsFailure::of("KMS", ACTION, &error)))?;
        Ok(Secret::new(answer.plaintext.ok_or_else(|| incomplete(ACTION))?.into_inner()))
    }

    fn re_encrypt(
        &self,
        ciphertext: &[u8],
        new_key: &str,
        context: Context<'_>,
    ) -> Result<Encrypted, KmsError> {
        const ACTION: &str = "encrypt a ciphertext under another key";
        let request = self
            .client
            .re_encrypt()
            .ciphertext_blob(Blob::new(ciphertext))
            .set_source_encryption_context(map(context))
            .destination_key_id(new_key)
            .set_destination_encryption_context(map(context));
        let answer = self.aws.wait(request.send());
        let answer =
            answer.map_err(|error| KmsError::new(Some(new_key), AwsFailure::of("KMS", ACTION, &error)))?;
        let ciphertext = answer.ciphertext_blob.ok_or_else(|| incomplete(ACTION))?.into_inner();
        Ok(Encrypted { ciphertext, key: answer.key_id.unwrap_or_else(|| new_key.to_owned()) })
    }
}

/// What comes before the 32 bytes of an Ed25519 key in the form in which KMS gives public keys (RFC 8410).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The Ed25519 key in a DER-encoded public key, if it is one.
fn ed25519_of(der: &[u8]) -> Option<[u8; 32]> {
    der.strip_prefix(&ED25519_SPKI)?.try_into().ok()
}

impl SigningService for Kms {
    fn public_key(&self, key: &str) -> Result<[u8; 32], KmsError> {
        const ACTION: &str = "tell a public key";
        let answer = self.aws.wait(self.client.get_public_key().key_id(key).send());
        let answer =
            answer.map_err(|error| KmsError::new(Some(key), AwsFailure::of("KMS", ACTION, &error)))?;
        if answer.key_usage.is_some_and(|usage| usage != KeyUsageType::SignVerify) {
            return Err(KmsError::other_use(key));
        }
        let der = answer.public_key.ok_or_else(|| incomplete(ACTION))?;
        ed25519_of(der.as_ref()).ok_or_else(|| KmsError::other_use(key))
    }

    fn sign(&self, key: &str, message: &[u8]) -> Result<[u8; 64], KmsError> {
        const ACTION: &str = "sign";
        let request = self
            .client
            .sign()
            .key_id(key)
            .message(Blob::new(message))
            .message_type(MessageType::Raw)
            .signing_algorithm(SigningAlgorithmSpec::Ed25519Sha512);
        let answer = self.aws.wait(request.send());
        let answer =
            answer.map_err(|error| KmsError::new(Some(key), AwsFailure::of("KMS", ACTION, &error)))?;
        let signature = answer.signature.ok_or_else(|| incomplete(ACTION))?;
        signature.as_ref().try_into().map_err(|_| incomplete(ACTION))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_ed25519_key_is_taken_for_one() {
        let der = [&ED25519_SPKI[..], &[9; 32]].concat();
        assert_eq!(ed25519_of(&der), Some([9; 32]));
        assert_eq!(ed25519_of(&der[..43]), None);
        assert_eq!(ed25519_of(&[&der[..], &[0]].concat()), None);
        let mut x25519 = der;
        x25519[8] = 0x6e;
        assert_eq!(ed25519_of(&x25519), None);
    }
}
