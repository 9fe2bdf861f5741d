//! Errors of AWS and of secrets as the user meets them: kind and what to do next.

use super::{CommandError, Kind};
use ghevault_core::{
    aws::{AwsFailure, FailureKind},
    keys::{KmsError, KmsErrorKind, RecoveryError, SecretError, SshKeyError},
};

/// What to do when the instance's metadata service is silent.
const HOP_LIMIT: &str = "In a container the metadata service answers only with a hop limit of 2: \
     `aws ec2 modify-instance-metadata-options --instance-id ID --http-put-response-hop-limit 2`. Elsewhere give credentials in the environment.";

impl From<AwsFailure> for CommandError {
    fn from(error: AwsFailure) -> Self {
        let (kind, hint) = aws_advice(error.kind);
        let mapped = Self::from_error(kind, &error);
        match hint {
            Some(hint) => mapped.hint(hint),
            None => mapped,
        }
    }
}

/// Kind and hint of what holds for every service.
pub(super) fn aws_advice(kind: FailureKind) -> (Kind, Option<&'static str>) {
    match kind {
        FailureKind::NoRegion => (
            Kind::Usage,
            Some(
                "Set `aws.region` (GHEVAULT_AWS_REGION) or AWS_REGION; it is never guessed. On an instance its metadata tells it, in a container \
                 only with a hop limit of 2.",
            ),
        ),
        FailureKind::NoCredentials => {
            (Kind::Usage, Some("Give this host a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."))
        }
        FailureKind::CredentialsSilent => (Kind::Failure, Some(HOP_LIMIT)),
        FailureKind::ExpiredCredentials => (
            Kind::Failure,
            Some("Run it again with fresh ones; look at the clock of this host when they are fresh."),
        ),
        FailureKind::BadCredentials => {
            (Kind::Usage, Some("Look at the credentials of this host, and at its clock."))
        }
        FailureKind::Denied => (
            Kind::Refused,
            Some(
                "The policy of the role, of the resource, or of the organisation says no; see `docs/keys.md` for what is needed.",
            ),
        ),
        FailureKind::Throttled => {
            (Kind::Failure, Some("Run it again later; the quota of requests is the account's."))
        }
        FailureKind::Unavailable | FailureKind::Unreachable | FailureKind::TimedOut => {
            (Kind::Failure, Some("Look at the network, VPC endpoints and `aws.endpoint`; then run it again."))
        }
        _ => (Kind::Failure, None),
    }
}

impl From<KmsError> for CommandError {
    fn from(error: KmsError) -> Self {
        let (kind, hint) = kms_advice(&error);
        let mapped = Self::from_error(kind, &error);
        match hint {
            Some(hint) => mapped.hint(hint),
            None => mapped,
        }
    }
}

/// Kind and hint of the key service.
pub(super) fn kms_advice(error: &KmsError) -> (Kind, Option<&'static str>) {
    match error.kind {
        KmsErrorKind::WrongKey => (
            Kind::WrongPassword,
            Some(
                "Name the KMS key that encrypted it; the ARN stands in CloudTrail and in `ghevault key list`.",
            ),
        ),
        KmsErrorKind::Damaged => (
            Kind::Damage,
            Some(
                "Compare it with what `ghevault key create` or `encrypt` printed: one lost character is enough. If it is lost, use the recovery kit.",
            ),
        ),
        KmsErrorKind::Disabled => {
            (Kind::Refused, Some("Enable the key (`aws kms enable-key`), or use the recovery kit."))
        }
        KmsErrorKind::Unusable => (
            Kind::Refused,
            Some(
                "Cancel the deletion now (`aws kms cancel-key-deletion`, then `enable-key`): after it only the recovery kit opens the vault.",
            ),
        ),
        KmsErrorKind::OtherUse => (
            Kind::Usage,
            Some(
                "Secrets are encrypted with a key of usage ENCRYPT_DECRYPT; seals are signed with one of usage SIGN_VERIFY and spec ECC_NIST_EDWARDS25519.",
            ),
        ),
        KmsErrorKind::NoSuchKey => (
            Kind::Usage,
            Some("Look at key, account and region. If the key is gone for good, use the recovery kit."),
        ),
        KmsErrorKind::Denied => (
            Kind::Refused,
            Some(
                "The role needs kms:Decrypt (to make keys also kms:Encrypt, kms:ReEncrypt*; on a key that signs seals kms:GetPublicKey and kms:Sign) on that key, in its own policy and in the key's.",
            ),
        ),
        KmsErrorKind::TooLong => (
            Kind::Usage,
            Some("Use an Ed25519 key: `ghevault key create` makes one. RSA keys fit up to 4096 bits."),
        ),
        KmsErrorKind::Throttled => aws_advice(FailureKind::Throttled),
        KmsErrorKind::ExpiredCredentials => aws_advice(FailureKind::ExpiredCredentials),
        KmsErrorKind::NoCredentials => aws_advice(FailureKind::NoCredentials),
        KmsErrorKind::BadCredentials => aws_advice(FailureKind::BadCredentials),
        KmsErrorKind::CredentialsSilent => aws_advice(FailureKind::CredentialsSilent),
        KmsErrorKind::NoRegion => aws_advice(FailureKind::NoRegion),
        KmsErrorKind::Unreachable | KmsErrorKind::Silent | KmsErrorKind::Unavailable => {
            aws_advice(FailureKind::Unreachable)
        }
        _ => (Kind::Failure, None),
    }
}

/// The error for a secret that is not to be had; `what` names it.
pub fn no_secret(what: &str, error: &SecretError) -> CommandError {
    let (kind, hint) = match error {
        SecretError::Decrypt { source, .. } => kms_advice(source),
        SecretError::NotACiphertext { .. } => (
            Kind::Usage,
            Some(
                "`aws:kms:` is followed by base64 text, as `ghevault key encrypt` prints it; not by the name of a key.",
            ),
        ),
        _ => (
            Kind::Usage,
            Some(
                "A secret source is `file:PATH`, `env:NAME`, `aws:kms:BASE64`, `taupage:[PATH][#KEY]` or `stdin:`; see `docs/keys.md`.",
            ),
        ),
    };
    let mapped = CommandError::new(kind, format!("cannot get {what}")).because_of(Some(error));
    match hint {
        Some(hint) => mapped.hint(hint),
        None => mapped,
    }
}

impl From<RecoveryError> for CommandError {
    fn from(error: RecoveryError) -> Self {
        let mapped = Self::from_error(Kind::Usage, &error);
        match error {
            RecoveryError::Numbers { .. } => mapped,
            RecoveryError::TooFew { .. } => mapped.hint("Ask the holders of the other parts."),
            _ => mapped.hint("Compare it with the sheet. Letters may be small, hyphens may be missing, and there is no I, L, O or U."),
        }
    }
}

impl From<SshKeyError> for CommandError {
    fn from(error: SshKeyError) -> Self {
        Self::from_error(Kind::Usage, &error)
    }
}
