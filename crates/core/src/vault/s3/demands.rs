//! What a bucket must have so that nobody can destroy the vault in it, compared with what it has.

use super::{super::error::VaultResult, bucket::Bucket, location::S3Location, policy::denies};
use crate::aws::{AwsFailure, FailureKind};
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockEnabled, ObjectLockRetentionMode};
use serde::Serialize;

/// Whether a demand is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DemandState {
    /// It is.
    Met,
    /// It is not.
    Unmet,
    /// The identity may not look.
    Unknown,
}

/// One demand on a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Demand {
    /// What is demanded, in words.
    pub what: &'static str,
    /// Whether it is met.
    pub state: DemandState,
    /// What was found.
    pub found: String,
}

impl Demand {
    fn new(what: &'static str, met: bool, found: impl Into<String>) -> Self {
        let state = if met { DemandState::Met } else { DemandState::Unmet };
        Self { what, state, found: found.into() }
    }

    fn unread(what: &'static str, failure: AwsFailure) -> Self {
        let state = match failure.kind {
            FailureKind::NotFound | FailureKind::Conflict => DemandState::Unmet,
            _ => DemandState::Unknown,
        };
        Self { what, state, found: failure.words }
    }
}

impl S3Location {
    /// Compares the bucket with what it must have.
    ///
    /// # Errors
    /// The bucket does not answer.
    pub fn demands(&self) -> VaultResult<Vec<Demand>> {
        let bucket = Bucket::connect(self)?;
        bucket.answers()?;
        let mut demands = vec![versions(&bucket)];
        demands.extend(locks(&bucket));
        demands.extend(policy(&bucket));
        Ok(demands)
    }
}

fn versions(bucket: &Bucket) -> Demand {
    const WHAT: &str = "versions are kept";
    let request = bucket.client.get_bucket_versioning().bucket(&bucket.at.bucket);
    match bucket.aws.wait(request.send()) {
        Err(error) => Demand::unread(WHAT, AwsFailure::of("S3", WHAT, &error)),
        Ok(answer) => {
            let met = answer.status == Some(BucketVersioningStatus::Enabled);
            Demand::new(
                WHAT,
                met,
                answer.status.map_or("not set", |s| {
                    if s == BucketVersioningStatus::Enabled { "enabled" } else { "suspended" }
                }),
            )
        }
    }
}

fn locks(bucket: &Bucket) -> [Demand; 2] {
    const LOCK: &str = "Object Lock is on";
    const RETENTION: &str = "new files are locked in compliance mode by default";
    let request = bucket.client.get_object_lock_configuration().bucket(&bucket.at.bucket);
    let configuration = match bucket.aws.wait(request.send()) {
        Ok(answer) => answer.object_lock_configuration,
        Err(error) => {
            let failure = AwsFailure::of("S3", LOCK, &error);
            return [Demand::unread(LOCK, failure.clone()), Demand::unread(RETENTION, failure)];
        }
    };
    let on =
        configuration.as_ref().is_some_and(|c| c.object_lock_enabled == Some(ObjectLockEnabled::Enabled));
    let default = configuration.and_then(|c| c.rule?.default_retention);
    let compliance = default.as_ref().is_some_and(|d| d.mode == Some(ObjectLockRetentionMode::Compliance));
    let told = default.map_or_else(
        || "there is no default".to_owned(),
        |default| {
            let mode = default.mode.map(|mode| mode.as_str().to_lowercase()).unwrap_or_default();
            match (default.days, default.years) {
                (Some(days), _) => format!("{mode} mode, {days} day(s)"),
                (_, Some(years)) => format!("{mode} mode, {years} year(s)"),
                _ => mode,
            }
        },
    );
    // per-file retention from the settings is as good
    let (met, told) = match bucket.at.settings.retention_days {
        Some(days) if !compliance => {
            (true, format!("{told}; `s3.retention_days` locks each file for {days} day(s)"))
        }
        _ => (compliance, told),
    };
    [
        Demand::new(LOCK, on, if on { "enabled" } else { "not enabled" }),
        Demand::new(RETENTION, on && met, told),
    ]
}

fn policy(bucket: &Bucket) -> [Demand; 3] {
    const TLS: &str = "requests without TLS are denied";
    const FOREIGN: &str = "keys of the attacker's own (SSE-C) are denied";
    const NEW: &str = "overwriting is denied (If-None-Match is required)";
    let request = bucket.client.get_bucket_policy().bucket(&bucket.at.bucket);
    match bucket.aws.wait(request.send()) {
        Ok(answer) => {
            let policy = serde_json::from_str(&answer.policy.unwrap_or_default()).unwrap_or_default();
            let [tls, foreign, new] = denies(&policy);
            let told = |met: bool| if met { "by the bucket's policy" } else { "not by the bucket's policy" };
            [
                Demand::new(TLS, tls, told(tls)),
                Demand::new(FOREIGN, foreign, told(foreign)),
                Demand::new(NEW, new, told(new)),
            ]
        }
        Err(error) => {
            let failure = AwsFailure::of("S3", "tell its policy", &error);
            [TLS, FOREIGN, NEW].map(|what| Demand::unread(what, failure.clone()))
        }
    }
}
