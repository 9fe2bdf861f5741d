//! Tries on the bucket as a whole: versions, default lock, policy, life cycle. Allowed ones change nothing.

use super::Attack;
use crate::aws::{AwsFailure, FailureKind};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};

impl Attack<'_> {
    pub(super) fn on_the_bucket(&mut self) {
        self.suspend_versions();
        self.set_the_default_lock();
        self.set_the_policy();
        self.remove_the_life_cycle();
    }

    fn suspend_versions(&mut self) {
        const WHAT: &str = "suspend versions";
        if self.probes.iter().all(|probe| probe.version.is_none()) {
            return; // there are none, which was noted
        }
        let set = |status: BucketVersioningStatus| {
            let configuration = VersioningConfiguration::builder().status(status).build();
            let request = self
                .bucket
                .client
                .put_bucket_versioning()
                .bucket(&self.bucket.at.bucket)
                .versioning_configuration(configuration);
            self.bucket.aws.wait(request.send()).map_err(|e| AwsFailure::of("S3", WHAT, &e))
        };
        let result =
            set(BucketVersioningStatus::Suspended).map(|_| match set(BucketVersioningStatus::Enabled) {
                Ok(_) => "they were suspended, and are kept again".to_owned(),
                Err(failure) => format!("they were suspended AND STILL ARE: {}", failure.words),
            });
        self.note(WHAT, result);
    }

    fn set_the_default_lock(&mut self) {
        const WHAT: &str = "change the default lock";
        let client = &self.bucket.client;
        let name = &self.bucket.at.bucket;
        let present = self.bucket.aws.wait(client.get_object_lock_configuration().bucket(name).send());
        let configuration = match present {
            Ok(answer) => answer.object_lock_configuration,
            Err(error) => return self.unread(WHAT, &AwsFailure::of("S3", WHAT, &error)),
        };
        let request =
            client.put_object_lock_configuration().bucket(name).set_object_lock_configuration(configuration);
        let result = self.bucket.aws.wait(request.send()).map_err(|e| AwsFailure::of("S3", WHAT, &e));
        self.note(WHAT, result.map(|_| "the same was set again".into()));
    }

    fn set_the_policy(&mut self) {
        const WHAT: &str = "change the bucket's policy";
        let client = &self.bucket.client;
        let name = &self.bucket.at.bucket;
        let present = self.bucket.aws.wait(client.get_bucket_policy().bucket(name).send());
        let policy = match present {
            Ok(answer) => answer.policy.unwrap_or_default(),
            Err(error) => return self.unread(WHAT, &AwsFailure::of("S3", WHAT, &error)),
        };
        let request = client.put_bucket_policy().bucket(name).policy(policy);
        let result = self.bucket.aws.wait(request.send()).map_err(|e| AwsFailure::of("S3", WHAT, &e));
        self.note(WHAT, result.map(|_| "the same was set again".into()));
    }

    fn remove_the_life_cycle(&mut self) {
        const WHAT: &str = "change the rules of expiry";
        let client = &self.bucket.client;
        let name = &self.bucket.at.bucket;
        let present = self.bucket.aws.wait(client.get_bucket_lifecycle_configuration().bucket(name).send());
        let rules = match present {
            Ok(answer) => answer.rules,
            Err(error) => return self.unread(WHAT, &AwsFailure::of("S3", WHAT, &error)),
        };
        let configuration =
            aws_sdk_s3::types::BucketLifecycleConfiguration::builder().set_rules(rules).build();
        let Ok(configuration) = configuration else { return };
        let request =
            client.put_bucket_lifecycle_configuration().bucket(name).lifecycle_configuration(configuration);
        let result = self.bucket.aws.wait(request.send()).map_err(|e| AwsFailure::of("S3", WHAT, &e));
        self.note(WHAT, result.map(|_| "the same was set again".into()));
    }

    /// A value that cannot be read cannot be put back, so nothing is tried. Who may not even read it is refused that far.
    fn unread(&mut self, what: &'static str, failure: &AwsFailure) {
        let why = if failure.kind == FailureKind::Denied {
            "its present value may not be read, so it could not be put back"
        } else {
            "there is no present value to put back"
        };
        self.left_out(what, why.into());
    }
}
