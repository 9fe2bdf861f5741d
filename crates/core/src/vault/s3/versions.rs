//! Versions, delete markers and locks of a bucket's files.

use super::{
    super::{
        error::VaultResult,
        locks::{FileLock, FileVersion, LockMode, LockStore},
    },
    bucket::{Bucket, moment},
};
use crate::aws::{AwsFailure, FailureKind};
use aws_sdk_s3::{
    primitives::DateTime,
    types::{ObjectLockRetention, ObjectLockRetentionMode},
};
use jiff::Timestamp;

/// Answers that mean "no lock" instead of "no answer".
const UNLOCKED: &[&str] =
    &["NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "InvalidRequest"];

impl Bucket {
    /// All versions and markers below `prefix`; those of one file newest first.
    pub(super) fn list_versions(&self, prefix: &str) -> VaultResult<Vec<FileVersion>> {
        let all = self.at.key("");
        let below = self.at.key(prefix);
        let mut found = Vec::new();
        let (mut key, mut version) = (None, None);
        loop {
            let request = self
                .client
                .list_object_versions()
                .bucket(&self.at.bucket)
                .prefix(&below)
                .set_key_marker(key)
                .set_version_id_marker(version);
            let page = self.aws.wait(request.send()).map_err(|error| {
                self.failed(
                    "list",
                    prefix,
                    AwsFailure::of("S3", "list the versions of the vault's files", &error),
                )
            })?;
            for object in page.versions() {
                let name = object.key().and_then(|key| key.strip_prefix(&all));
                let (Some(name), Some(id)) = (name, object.version_id()) else { continue };
                found.push(FileVersion {
                    name: name.to_owned(),
                    version: id.to_owned(),
                    size: u64::try_from(object.size().unwrap_or_default()).unwrap_or_default(),
                    modified: moment(object.last_modified()),
                    latest: object.is_latest().unwrap_or_default(),
                    marker: false,
                });
            }
            for marker in page.delete_markers() {
                let name = marker.key().and_then(|key| key.strip_prefix(&all));
                let (Some(name), Some(id)) = (name, marker.version_id()) else { continue };
                found.push(FileVersion {
                    name: name.to_owned(),
                    version: id.to_owned(),
                    size: 0,
                    modified: moment(marker.last_modified()),
                    latest: marker.is_latest().unwrap_or_default(),
                    marker: true,
                });
            }
            if !page.is_truncated().unwrap_or_default() {
                break;
            }
            (key, version) =
                (page.next_key_marker().map(str::to_owned), page.next_version_id_marker().map(str::to_owned));
            if key.is_none() {
                return Err(self.incomplete("versions", "a page says that there are more, but not where"));
            }
        }
        // stable: within a file and a second the order of the listing stays
        found.sort_by(|a, b| (&a.name, !a.latest, b.modified).cmp(&(&b.name, !b.latest, a.modified)));
        Ok(found)
    }
}

impl LockStore for Bucket {
    fn lock_of(&self, name: &str, version: Option<&str>) -> VaultResult<Option<FileLock>> {
        let request = self
            .client
            .get_object_retention()
            .bucket(&self.at.bucket)
            .key(self.at.key(name))
            .set_version_id(version.map(str::to_owned));
        let retention = match self.aws.wait(request.send()) {
            Ok(answer) => answer.retention,
            Err(error) => {
                let failure = AwsFailure::of("S3", format!("tell the lock of {name}"), &error);
                if failure.code.as_deref().is_some_and(|code| UNLOCKED.contains(&code)) {
                    return Ok(None);
                }
                return Err(self.failed("read the lock of", name, failure));
            }
        };
        Ok(retention.and_then(|retention| {
            let mode = match retention.mode? {
                ObjectLockRetentionMode::Governance => LockMode::Governance,
                _ => LockMode::Compliance,
            };
            Some(FileLock { mode, until: moment(retention.retain_until_date.as_ref()) })
        }))
    }

    fn lock_until(&self, name: &str, until: Timestamp) -> VaultResult<()> {
        self.writable()?;
        // whole seconds: fractions are rejected by some servers
        let retention = ObjectLockRetention::builder()
            .mode(ObjectLockRetentionMode::Compliance)
            .retain_until_date(DateTime::from_secs(until.as_second()))
            .build();
        let request = self
            .client
            .put_object_retention()
            .bucket(&self.at.bucket)
            .key(self.at.key(name))
            .retention(retention);
        match self.aws.wait(request.send()) {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(self.failed("lock", name, AwsFailure::of("S3", format!("lock {name}"), &error)))
            }
        }
    }

    fn versions(&self, prefix: &str) -> VaultResult<Vec<FileVersion>> {
        self.list_versions(prefix)
    }

    fn remove_version(&self, name: &str, version: &str) -> VaultResult<()> {
        self.writable()?;
        let request =
            self.client.delete_object().bucket(&self.at.bucket).key(self.at.key(name)).version_id(version);
        match self.aws.wait(request.send()) {
            Ok(_) => Ok(()),
            Err(error) => {
                let failure = AwsFailure::of("S3", format!("remove a version of {name}"), &error);
                if failure.kind == FailureKind::NotFound && failure.code.as_deref() != Some("NoSuchBucket") {
                    return Ok(());
                }
                Err(self.failed("remove a version of", name, failure))
            }
        }
    }
}
