//! A vault's errors as the user meets them.

use super::{CommandError, Kind, from_aws};
use ghevault_core::{
    aws::{AwsFailure, FailureKind},
    vault::VaultError,
};

/// What to do when S3 denies something to an identity that is known.
const DENIED: &str = "The identity lacks a right, or the bucket's policy denies it: `ghevault vault policy` prints what each identity needs.";

/// What to do when the identity that backs up is to delete something.
const NO_DELETE: &str = "The identity that backs up may not delete, and should not: run `forget` and `prune` as the maintenance identity.";

impl From<VaultError> for CommandError {
    fn from(error: VaultError) -> Self {
        let (kind, hint) = vault_advice(&error);
        let mapped = Self::from_error(kind, &error);
        match hint {
            Some(hint) => mapped.hint(hint),
            None => mapped,
        }
    }
}

/// Kind and hint of a vault's error.
fn vault_advice(error: &VaultError) -> (Kind, Option<&'static str>) {
    match error {
        VaultError::NotAVault { .. } => (
            Kind::VaultMissing,
            Some("Run `ghevault init` to make one there, or name the right place with GHEVAULT_VAULT."),
        ),
        VaultError::AlreadyExists { .. } => {
            (Kind::Failure, Some("It is left as it is; use it, or name another place."))
        }
        VaultError::WrongPassword { .. } => (
            Kind::WrongPassword,
            Some("GHEVAULT_PASSWORD names the source of the password, e.g. `file:PATH`."),
        ),
        VaultError::NoKmsKey { .. } => (
            Kind::Usage,
            Some(
                "Name the source of the password with GHEVAULT_PASSWORD, or add a key with `ghevault key add`.",
            ),
        ),
        VaultError::Kms { source, .. } => from_aws::kms_advice(source),
        VaultError::Locked { .. } => {
            (Kind::VaultLocked, Some("Wait for it to end. The lease of a process that died ends by itself."))
        }
        VaultError::LeaseLost { .. } => (
            Kind::VaultLocked,
            Some("This host stood still for too long; nothing was written after that. Run it again."),
        ),
        VaultError::Damaged { .. } | VaultError::Missing { .. } => {
            (Kind::Damage, Some("Keep the vault as it is and run `ghevault verify`."))
        }
        VaultError::Unsupported { .. } => (Kind::Refused, None),
        VaultError::NoSuchSnapshot { .. } => (Kind::Failure, Some("Run `ghevault snapshots`.")),
        VaultError::Full { .. } => (
            Kind::Failure,
            Some(
                "Make room and run it again: what was stored is not stored twice, and no snapshot was harmed.",
            ),
        ),
        VaultError::Denied { action, source, .. } if action.starts_with("remove") => {
            (if is_of_aws(source) { Kind::Refused } else { Kind::Failure }, Some(NO_DELETE))
        }
        VaultError::Denied { source, .. } if is_of_aws(source) => (Kind::Refused, Some(DENIED)),
        VaultError::Service { source, .. } => service_advice(source),
        VaultError::ReadOnly { .. } => (Kind::Refused, Some("Leave out `--as-of` to write.")),
        VaultError::Denied { .. } => {
            (Kind::Failure, Some("The vault's files must belong to the user that runs ghevault."))
        }
        _ => (Kind::Failure, None),
    }
}

/// Kind and hint when the service that keeps the vault fails.
fn service_advice(failure: &AwsFailure) -> (Kind, Option<&'static str>) {
    match (failure.kind, failure.code.as_deref()) {
        (
            _,
            Some("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException"),
        ) => (Kind::Usage, Some("The bucket is in another region: set `s3.region`.")),
        (FailureKind::Denied, _) => (Kind::Refused, Some(DENIED)),
        (FailureKind::NotFound, Some("NoSuchBucket")) => (
            Kind::VaultMissing,
            Some(
                "Make the bucket with Object Lock first (`ghevault vault policy` says how), or name another.",
            ),
        ),
        (FailureKind::Throttled, _) => {
            (Kind::Failure, Some("Run it again later: what was stored is not stored twice."))
        }
        (FailureKind::Unavailable | FailureKind::TimedOut, _) => (
            Kind::Failure,
            Some("It was tried several times. Run it again later: what was stored is not stored twice."),
        ),
        (FailureKind::Unreachable, _) => (
            Kind::Failure,
            Some(
                "Look at the endpoint, the network and the name service; within a VPC a gateway endpoint for S3 may be missing.",
            ),
        ),
        (kind, _) => from_aws::aws_advice(kind),
    }
}

/// Whether a denial came from a service, not from a file system.
fn is_of_aws(source: &std::io::Error) -> bool {
    source.get_ref().and_then(|inner| inner.downcast_ref::<AwsFailure>()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advised(kind: FailureKind, code: &str) -> &'static str {
        let failure = AwsFailure {
            service: "S3",
            action: "list the bucket".into(),
            kind,
            code: Some(code.into()),
            status: None,
            words: String::new(),
        };
        service_advice(&failure).1.unwrap_or_default()
    }

    #[test]
    fn who_may_not_delete_is_told_who_may() {
        let error = VaultError::Denied {
            action: "remove",
            path: "data/ab".into(),
            source: std::sync::Arc::new(std::io::ErrorKind::PermissionDenied.into()),
        };
        assert!(vault_advice(&error).1.is_some_and(|hint| hint.contains("maintenance identity")));
    }

    #[test]
    fn each_failure_of_a_bucket_has_its_own_advice() {
        let mut all = vec![
            advised(FailureKind::NoRegion, ""),
            advised(FailureKind::NoCredentials, ""),
            advised(FailureKind::ExpiredCredentials, "ExpiredToken"),
            advised(FailureKind::BadCredentials, "InvalidAccessKeyId"),
            advised(FailureKind::Other, "PermanentRedirect"),
            advised(FailureKind::Denied, "AccessDenied"),
            advised(FailureKind::NotFound, "NoSuchBucket"),
            advised(FailureKind::Throttled, "SlowDown"),
            advised(FailureKind::Unavailable, "InternalError"),
            advised(FailureKind::Unreachable, ""),
        ];
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "{all:?}");
        assert!(!all.contains(&""));
    }
}
