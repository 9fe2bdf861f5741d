//! [`KeyService`] on AWS KMS, with the role of this host.

use super::{
    Secret,
    service::{Context, Encrypted, KeyService, KmsError, PLAINTEXT_BYTES_MAX},
};
use crate::aws::{Aws, AwsFailure};
use aws_sdk_kms::{
    Client,
    config::{Builder, timeout::TimeoutConfig},
    primitives::Blob,
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
