//! What somebody with the runner's credentials could do: tried, with those credentials, on objects made for the purpose.
//!
//! Every try is what an attacker would ask for; a bucket that is set up well refuses each of them. What would change the
//! bucket as a whole is tried so that it changes nothing if it is allowed: its present value is read and set again, and
//! where it cannot be read, the try is left out, and that is said.

mod bucket_wide;
mod keys;
mod objects;
mod other;

use super::{
    super::error::{VaultError, VaultResult},
    bucket::Bucket,
    location::S3Location,
};
use crate::aws::{AwsFailure, FailureKind};
use aws_sdk_s3::primitives::ByteStream;
use serde::Serialize;

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AttackOutcome {
    /// As it should be.
    Refused,
    /// The bucket, or a policy, is not what it should be.
    Succeeded,
    /// Neither was seen: the service did not answer, or answered something else.
    Unproven,
    /// Left out, because an allowed one could not have been undone.
    Untried,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttackTry {
    /// What was tried, in words.
    pub what: &'static str,
    /// How it ended.
    pub outcome: AttackOutcome,
    /// What the service answered.
    pub answer: String,
}

/// All tries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AttackReport {
    /// In the order in which they were made.
    pub tries: Vec<AttackTry>,
    /// Objects made for the purpose that could not be removed.
    pub left: Vec<String>,
}

impl AttackReport {
    /// Whether something succeeded.
    #[must_use]
    pub fn any_succeeded(&self) -> bool {
        self.tries.iter().any(|one| one.outcome == AttackOutcome::Succeeded)
    }

    /// Whether something could not be seen.
    #[must_use]
    pub fn any_unproven(&self) -> bool {
        self.tries.iter().any(|one| one.outcome == AttackOutcome::Unproven)
    }
}

/// What beside the own vault is attacked.
#[derive(Clone, Debug, Default)]
pub struct AttackTargets {
    /// The other account's vault.
    pub other: Option<S3Location>,
    /// A ciphertext of the other account's KMS key.
    pub ciphertext: Option<Vec<u8>>,
}

/// An object made for the purpose.
struct Probe {
    /// Its name below the vault.
    name: String,
    /// Its version; `None` where the bucket keeps none.
    version: Option<String>,
}

/// The tries as they are made.
struct Attack<'a> {
    bucket: &'a Bucket,
    report: AttackReport,
    probes: Vec<Probe>,
}

impl S3Location {
    /// Attacks the vault and whatever else is named.
    ///
    /// # Errors
    /// Nothing can be tried: the bucket does not answer, or the identity cannot even put.
    pub fn attack(&self, targets: &AttackTargets) -> VaultResult<AttackReport> {
        let bucket = Bucket::connect(self)?;
        bucket.writable()?;
        bucket.answers()?;
        let mut attack = Attack { bucket: &bucket, report: AttackReport::default(), probes: Vec::new() };
        attack.on_objects()?;
        attack.on_the_bucket();
        if let Some(other) = &targets.other {
            attack.on_another(other)?;
        }
        if let Some(ciphertext) = &targets.ciphertext {
            attack.on_a_key(ciphertext);
        }
        attack.clear_away();
        Ok(attack.report)
    }
}

impl Attack<'_> {
    /// Notes how a try ended. Returns whether it succeeded.
    fn note(&mut self, what: &'static str, result: Result<String, AwsFailure>) -> bool {
        let (outcome, answer) = match result {
            Ok(answer) => (AttackOutcome::Succeeded, answer),
            Err(failure) => (judged(&failure), failure.words),
        };
        self.report.tries.push(AttackTry { what, outcome, answer });
        outcome == AttackOutcome::Succeeded
    }

    /// Notes a try that was left out.
    fn left_out(&mut self, what: &'static str, why: String) {
        self.report.tries.push(AttackTry { what, outcome: AttackOutcome::Untried, answer: why });
    }

    /// Makes an object for the purpose, as a backup would make it.
    fn probe(&mut self) -> VaultResult<usize> {
        let name = format!("ghevault/probes/{:016x}", rand::random::<u64>());
        let put = self
            .put(&name)
            .if_none_match("*")
            .body(ByteStream::from_static(b"made by ghevault doctor --attack"));
        let made = self.bucket.aws.wait(put.send()).map_err(|error| {
            let failure = AwsFailure::of("S3", "write an object to try things on", &error);
            self.bucket.failed("write", &name, failure)
        })?;
        self.probes.push(Probe { name, version: made.version_id });
        Ok(self.probes.len() - 1)
    }

    /// Removes what was made; what is locked or may not be removed is named.
    fn clear_away(&mut self) {
        for probe in std::mem::take(&mut self.probes) {
            let delete = self
                .bucket
                .client
                .delete_object()
                .bucket(&self.bucket.at.bucket)
                .key(self.bucket.at.key(&probe.name))
                .set_version_id(probe.version);
            if self.bucket.aws.wait(delete.send()).is_err() {
                self.report.left.push(probe.name);
            }
        }
    }
}

/// What a failed try means.
fn judged(failure: &AwsFailure) -> AttackOutcome {
    match failure.kind {
        FailureKind::Denied | FailureKind::Conflict => AttackOutcome::Refused,
        // the service does not know such a request at all
        _ if matches!(failure.status, Some(405 | 501)) => AttackOutcome::Refused,
        _ => AttackOutcome::Unproven,
    }
}

impl super::super::VaultLocation {
    /// The bucket, where the vault is in one.
    ///
    /// # Errors
    /// [`VaultError::Unsupported`] for a folder.
    pub fn bucket(&self) -> VaultResult<&S3Location> {
        match self {
            Self::S3(at) => Ok(at),
            Self::Folder(_) => Err(VaultError::Unsupported { what: "this for a vault in a folder".into() }),
        }
    }
}
