//! Failures of S3 as failures of a vault, told apart as far as an operator would act differently.

use super::super::error::VaultError;
use crate::aws::{AwsFailure, FailureKind};
use std::{io, sync::Arc};

/// Sorts a failed request: not allowed, no room, or the service itself.
pub(super) fn sorted(location: &str, action: &'static str, name: &str, failure: AwsFailure) -> VaultError {
    let path = if name.is_empty() { location.to_owned() } else { format!("{location}/{name}") };
    let full = failure.status == Some(507)
        || failure
            .code
            .as_deref()
            .is_some_and(|code| code.contains("QuotaExceeded") || code.contains("StorageFull"));
    if full {
        return VaultError::Full {
            path,
            source: Arc::new(io::Error::new(io::ErrorKind::StorageFull, failure)),
        };
    }
    match failure.kind {
        FailureKind::Denied => VaultError::Denied {
            action,
            path,
            source: Arc::new(io::Error::new(io::ErrorKind::PermissionDenied, failure)),
        },
        _ => VaultError::Service { location: location.to_owned(), source: Arc::new(failure) },
    }
}

/// Whether the same request may succeed a moment later.
pub(super) fn passes(failure: &AwsFailure) -> bool {
    match failure.kind {
        FailureKind::Throttled
        | FailureKind::Unavailable
        | FailureKind::Unreachable
        | FailureKind::TimedOut => true,
        // two conditional writes at once: whoever lost may ask again
        FailureKind::Conflict => failure.status == Some(409),
        _ => matches!(
            failure.code.as_deref(),
            Some("BadDigest" | "XAmzContentSHA256Mismatch" | "IncompleteBody")
        ),
    }
}
