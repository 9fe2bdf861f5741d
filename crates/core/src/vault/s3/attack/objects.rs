//! Tries on single objects: remove, replace, unlock.

use super::{super::super::error::VaultResult, Attack};
use crate::aws::AwsFailure;
use aws_sdk_s3::{
    operation::{
        delete_object::builders::DeleteObjectFluentBuilder, put_object::builders::PutObjectFluentBuilder,
    },
    primitives::{ByteStream, DateTime},
    types::{
        Delete, ObjectIdentifier, ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockRetention,
        ObjectLockRetentionMode,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;

/// Seconds until the end of a lock that would be shorter than any.
const SHORT_S: i64 = 60;
/// Seconds until the end of a lock that would be longer than most.
const LONG_S: i64 = 3650 * 86_400;

fn of<E>(
    action: &str,
    error: &aws_sdk_s3::error::SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse>,
) -> AwsFailure
where
    E: aws_smithy_types::error::metadata::ProvideErrorMetadata + std::error::Error + 'static,
{
    AwsFailure::of("S3", action, error)
}

impl Attack<'_> {
    pub(super) fn on_objects(&mut self) -> VaultResult<()> {
        let mut probe = self.probe()?;
        let tries: [fn(&mut Self, usize) -> bool; 9] = [
            Self::create_again,
            Self::overwrite,
            Self::overwrite_by_copy,
            Self::hide,
            Self::remove_version,
            Self::remove_in_a_batch,
            Self::shorten_the_lock,
            Self::weaken_the_lock,
            Self::bypass_governance,
        ];
        for one in tries {
            if one(self, probe) {
                probe = self.probe()?;
            }
        }
        self.lift_a_legal_hold(probe);
        self.encrypt_with_a_key_of_our_own();
        if self.probes[probe].version.is_none() {
            self.note("keep no versions", Ok("the bucket keeps none: what is overwritten is lost".into()));
        }
        Ok(())
    }

    fn key(&self, probe: usize) -> String {
        self.bucket.at.key(&self.probes[probe].name)
    }

    fn version(&self, probe: usize) -> Option<String> {
        self.probes[probe].version.clone()
    }

    /// A put under a name of the vault, without condition and content.
    pub(super) fn put(&self, name: &str) -> PutObjectFluentBuilder {
        let at = &self.bucket.at;
        self.bucket.client.put_object().bucket(&at.bucket).key(at.key(name))
    }

    /// A delete of a probe, without version.
    fn delete(&self, probe: usize) -> DeleteObjectFluentBuilder {
        self.bucket.client.delete_object().bucket(&self.bucket.at.bucket).key(self.key(probe))
    }

    /// Leases are safe only where this fails.
    fn create_again(&mut self, probe: usize) -> bool {
        let name = &self.probes[probe].name;
        let put = self.put(name).if_none_match("*").body(ByteStream::from_static(b"again"));
        let result = self.bucket.aws.wait(put.send()).map_err(|e| of("create an object that exists", &e));
        self.note("create what exists already", result.map(|_| "the condition was ignored".into()))
    }

    fn overwrite(&mut self, probe: usize) -> bool {
        let put = self.put(&self.probes[probe].name).body(ByteStream::from_static(b"overwritten"));
        let result = self.bucket.aws.wait(put.send()).map_err(|e| of("overwrite an object", &e));
        if let Ok(done) = &result {
            self.made_over(probe, done.version_id.clone());
        }
        self.note("overwrite an object", result.map(|_| "a new version stands before the old one".into()))
    }

    fn overwrite_by_copy(&mut self, probe: usize) -> bool {
        let copy = self
            .bucket
            .client
            .copy_object()
            .bucket(&self.bucket.at.bucket)
            .key(self.key(probe))
            .copy_source(format!("{}/{}", self.bucket.at.bucket, self.key(probe)))
            .metadata_directive(aws_sdk_s3::types::MetadataDirective::Replace);
        let result = self.bucket.aws.wait(copy.send()).map_err(|e| of("overwrite an object by a copy", &e));
        if let Ok(done) = &result {
            self.made_over(probe, done.version_id.clone());
        }
        let told = result.map(|_| "a new version stands before the old one".into());
        self.note("overwrite an object by a copy of itself", told)
    }

    /// Remembers a version that a try made, to clear it away.
    fn made_over(&mut self, probe: usize, version: Option<String>) {
        if version.is_some() {
            let name = self.probes[probe].name.clone();
            self.probes.insert(0, super::Probe { name, version });
        }
    }

    fn hide(&mut self, probe: usize) -> bool {
        let delete = self.delete(probe);
        let result = self.bucket.aws.wait(delete.send()).map_err(|e| of("delete an object", &e));
        if let Ok(done) = &result {
            self.made_over(probe, done.version_id.clone());
        }
        self.note("delete an object", result.map(|_| "it is gone, or hidden by a delete marker".into()))
    }

    fn remove_version(&mut self, probe: usize) -> bool {
        let Some(version) = self.version(probe) else { return false };
        let delete = self.delete(probe).version_id(version);
        let result = self.bucket.aws.wait(delete.send()).map_err(|e| of("delete a version", &e));
        self.note("delete a version for good", result.map(|_| "it is gone".into()))
    }

    fn remove_in_a_batch(&mut self, probe: usize) -> bool {
        const WHAT: &str = "delete in a batch";
        let one =
            ObjectIdentifier::builder().key(self.key(probe)).set_version_id(self.version(probe)).build();
        let Ok(delete) = one.and_then(|one| Delete::builder().objects(one).build()) else { return false };
        let request = self.bucket.client.delete_objects().bucket(&self.bucket.at.bucket).delete(delete);
        let result = match self.bucket.aws.wait(request.send()) {
            Err(error) => Err(of(WHAT, &error)),
            Ok(answer) => match answer.errors().first() {
                None => Ok("it is gone".into()),
                Some(error) => Err(AwsFailure::answered("S3", WHAT, error.code(), error.message())),
            },
        };
        self.note(WHAT, result)
    }

    fn set_retention(
        &mut self,
        what: &'static str,
        probe: usize,
        mode: ObjectLockRetentionMode,
        seconds: i64,
        bypass: bool,
    ) -> bool {
        let until = DateTime::from_secs(Timestamp::now().as_second() + seconds);
        let retention = ObjectLockRetention::builder().mode(mode).retain_until_date(until).build();
        let request = self
            .bucket
            .client
            .put_object_retention()
            .bucket(&self.bucket.at.bucket)
            .key(self.key(probe))
            .set_version_id(self.version(probe))
            .retention(retention)
            .set_bypass_governance_retention(bypass.then_some(true));
        let result = self.bucket.aws.wait(request.send()).map_err(|e| of(what, &e));
        self.note(what, result.map(|_| "the lock was changed".into()))
    }

    fn shorten_the_lock(&mut self, probe: usize) -> bool {
        self.set_retention("shorten a lock", probe, ObjectLockRetentionMode::Compliance, SHORT_S, false)
    }

    fn weaken_the_lock(&mut self, probe: usize) -> bool {
        self.set_retention(
            "change a lock to governance mode",
            probe,
            ObjectLockRetentionMode::Governance,
            LONG_S,
            true,
        )
    }

    fn bypass_governance(&mut self, probe: usize) -> bool {
        let Some(version) = self.version(probe) else { return false };
        let delete = self.delete(probe).version_id(version).bypass_governance_retention(true);
        let what = "delete a version past governance mode";
        let result = self.bucket.aws.wait(delete.send()).map_err(|e| of(what, &e));
        self.note(what, result.map(|_| "it is gone".into()))
    }

    fn lift_a_legal_hold(&mut self, probe: usize) {
        let hold = ObjectLockLegalHold::builder().status(ObjectLockLegalHoldStatus::Off).build();
        let request = self
            .bucket
            .client
            .put_object_legal_hold()
            .bucket(&self.bucket.at.bucket)
            .key(self.key(probe))
            .set_version_id(self.version(probe))
            .legal_hold(hold);
        let what = "lift a legal hold";
        let result = self.bucket.aws.wait(request.send()).map_err(|e| of(what, &e));
        self.note(what, result.map(|_| "it was accepted".into()));
    }

    /// Whoever encrypts with a key of their own holds the content to ransom.
    fn encrypt_with_a_key_of_our_own(&mut self) {
        let key: [u8; 32] = rand::random();
        let name = format!("ghevault/probes/{:016x}", rand::random::<u64>());
        let put = self
            .put(&name)
            .if_none_match("*")
            .sse_customer_algorithm("AES256")
            .sse_customer_key(BASE64_STANDARD.encode(key))
            .sse_customer_key_md5(BASE64_STANDARD.encode(md5::compute(key).0))
            .body(ByteStream::from_static(b"encrypted with a key that only the attacker has"));
        let what = "encrypt with a key of the attacker's own (SSE-C)";
        let result = self.bucket.aws.wait(put.send()).map_err(|e| of(what, &e));
        if let Ok(done) = &result {
            self.probes.push(super::Probe { name, version: done.version_id.clone() });
        }
        self.note(what, result.map(|_| "it was stored".into()));
    }
}
