//! The one way in which files come into a bucket: created under a condition, with their digest.

use super::{super::error::VaultResult, bucket::Bucket, errors::passes};
use crate::aws::AwsFailure;
use aws_sdk_s3::{
    config::{Builder, retry::RetryConfig},
    primitives::{ByteStream, DateTime},
    types::{ObjectLockMode, ServerSideEncryption},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

/// Attempts of one upload, the first included.
const ATTEMPTS: u32 = 6;

/// What became of a file that was to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is there now.
    Written,
    /// A file of this name was there; `perhaps_ours` when an earlier attempt ended without an answer.
    Exists {
        /// Whether it may have been written by this very call.
        perhaps_ours: bool,
    },
}

impl Bucket {
    /// Creates a file unless there is one of its name. The store checks the content against its SHA-256.
    pub(super) fn put_new(&self, name: &str, content: &Bytes, sha256: &[u8]) -> VaultResult<Put> {
        self.writable()?;
        let digest = BASE64_STANDARD.encode(sha256);
        let mut perhaps_ours = false;
        let mut attempt = 1;
        loop {
            let failure = match self.aws.wait(self.put_once(name, content.clone(), &digest)) {
                Ok(()) => return Ok(Put::Written),
                Err(failure) => failure,
            };
            if failure.status == Some(412) {
                return Ok(Put::Exists { perhaps_ours });
            }
            if !passes(&failure) || attempt >= ATTEMPTS {
                return Err(self.failed("write", name, failure));
            }
            tracing::debug!(name, attempt, %failure, "an upload failed; trying again");
            perhaps_ours = true;
            self.pause(attempt);
            attempt += 1;
        }
    }

    async fn put_once(&self, name: &str, content: Bytes, digest: &str) -> Result<(), AwsFailure> {
        let settings = &self.at.settings;
        let mut request = self
            .client
            .put_object()
            .bucket(&self.at.bucket)
            .key(self.at.key(name))
            .if_none_match("*")
            .checksum_sha256(digest)
            .body(ByteStream::from(content));
        if let Some(key) = &settings.kms_key {
            request = request
                .server_side_encryption(ServerSideEncryption::AwsKms)
                .ssekms_key_id(key)
                .bucket_key_enabled(true);
        }
        if let Some(days) = settings.retention_days {
            let until =
                Timestamp::now().as_second() + SignedDuration::from_hours(24 * i64::from(days)).as_secs();
            request = request
                .object_lock_mode(ObjectLockMode::Compliance)
                .object_lock_retain_until_date(DateTime::from_secs(until));
        }
        // attempts are counted here, because only so is it known whether one may have succeeded unseen
        let once = Builder::new().retry_config(RetryConfig::disabled());
        match request.customize().config_override(once).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(AwsFailure::of("S3", format!("write {name}"), &error)),
        }
    }
}
