//! Tries on the other account's vault, with our own credentials.

use super::{
    super::{super::error::VaultResult, bucket::Bucket, location::S3Location},
    Attack, Probe,
};
use crate::aws::AwsFailure;
use aws_sdk_s3::primitives::ByteStream;

impl Attack<'_> {
    pub(super) fn on_another(&mut self, other: &S3Location) -> VaultResult<()> {
        let there = Bucket::connect(other)?;
        let list = there.client.list_objects_v2().bucket(&other.bucket).prefix(other.key("")).max_keys(1);
        let listed = there.aws.wait(list.send()).map_err(|e| AwsFailure::of("S3", "list", &e));
        self.note("list the other account's vault", listed.map(|_| "it was listed".into()));

        let get = there.client.get_object().bucket(&other.bucket).key(other.key("config"));
        let read = there.aws.wait(get.send()).map_err(|e| AwsFailure::of("S3", "read", &e));
        self.note("read the other account's vault", read.map(|_| "its configuration was read".into()));

        let name = format!("ghevault/probes/{:016x}", rand::random::<u64>());
        let key = other.key(&name);
        let put = there
            .client
            .put_object()
            .bucket(&other.bucket)
            .key(&key)
            .if_none_match("*")
            .body(ByteStream::from_static(b"made by ghevault doctor --attack"));
        let written = there.aws.wait(put.send()).map_err(|e| AwsFailure::of("S3", "write", &e));
        let made = written.as_ref().ok().map(|done| done.version_id.clone());
        self.note("write into the other account's vault", written.map(|_| "an object was written".into()));
        if let Some(version) = made {
            let delete = there.client.delete_object().bucket(&other.bucket).key(&key).set_version_id(version);
            if there.aws.wait(delete.send()).is_err() {
                self.report.left.push(format!("{}/{name}", there.place()));
            }
        }

        let delete =
            there.client.delete_object().bucket(&other.bucket).key(other.key("ghevault/probes/none"));
        let deleted = there.aws.wait(delete.send()).map_err(|e| AwsFailure::of("S3", "delete", &e));
        let marker = deleted.as_ref().ok().and_then(|done| done.version_id.clone());
        self.note("delete in the other account's vault", deleted.map(|_| "it was accepted".into()));
        if marker.is_some() && there.at.bucket == self.bucket.at.bucket {
            self.probes.push(Probe { name: "ghevault/probes/none".into(), version: marker });
        }
        Ok(())
    }
}
