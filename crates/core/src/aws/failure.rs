//! What a service of AWS answered when it did not do what was asked, sorted by what an operator would do about it.

use crate::causes;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::{
    client::{orchestrator::HttpResponse, result::SdkError},
    http::StatusCode,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error;

/// Why a request to AWS failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// No region in settings, environment or instance metadata.
    NoRegion,
    /// The chain found no credentials.
    NoCredentials,
    /// The place that gives credentials (usually the instance's metadata) does not answer.
    CredentialsSilent,
    /// The credentials have run out.
    ExpiredCredentials,
    /// The service does not know the credentials, or the signature is wrong.
    BadCredentials,
    /// The identity may not do this.
    Denied,
    /// What was named does not exist.
    NotFound,
    /// A condition of the request did not hold (it exists already, somebody was faster).
    Conflict,
    /// The service is asked too often.
    Throttled,
    /// The service answers that it cannot serve now.
    Unavailable,
    /// No connection.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The request itself is wrong.
    Invalid,
    /// Something else.
    Other,
}

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{service} did not {action}: {words}")]
pub struct AwsFailure {
    /// `KMS`, `S3`, `STS`, `AWS`.
    pub service: &'static str,
    /// What was asked, as a verb with its object.
    pub action: String,
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// The service's own code, e.g. `AccessDeniedException`.
    pub code: Option<String>,
    /// HTTP status of the answer.
    pub status: Option<u16>,
    /// In words, one line.
    pub words: String,
}

impl AwsFailure {
    /// A failure on this side.
    pub(crate) fn local(action: &str, kind: FailureKind, error: &(dyn Error + 'static)) -> Self {
        Self { service: "AWS", action: action.into(), kind, code: None, status: None, words: words_of(error) }
    }

    /// A failure that stands in an answer which is itself none, e.g. of one item of a batch.
    pub(crate) fn answered(
        service: &'static str,
        action: &str,
        code: Option<&str>,
        message: Option<&str>,
    ) -> Self {
        Self {
            service,
            action: action.into(),
            kind: of_answer(code, None),
            code: code.map(str::to_owned),
            status: None,
            words: format!("{}: {}", code.unwrap_or("failed"), one_line(message.unwrap_or_default())),
        }
    }

    /// An answer without what every answer of its kind has.
    pub(crate) fn incomplete(service: &'static str, action: &str) -> Self {
        Self {
            service,
            action: action.into(),
            kind: FailureKind::Other,
            code: None,
            status: None,
            words: "the answer is incomplete".into(),
        }
    }

    pub(super) fn no_region() -> Self {
        Self {
            service: "AWS",
            action: "find the region".into(),
            kind: FailureKind::NoRegion,
            code: None,
            status: None,
            words:
                "it is neither in the settings nor in the environment, and the instance's metadata gave none"
                    .into(),
        }
    }

    /// Sorts the error of an SDK call.
    pub(crate) fn of<E>(
        service: &'static str,
        action: impl Into<String>,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let status = error.raw_response().map(HttpResponse::status).map(StatusCode::as_u16);
        let body = error.raw_response().and_then(|r| r.body().bytes()).unwrap_or_default();
        // an IAM denial may come as XML even from services that speak JSON
        let code = error.code().map(str::to_owned).or_else(|| xml_field(body, "Code"));
        let message = error.message().map(str::to_owned).or_else(|| xml_field(body, "Message"));
        let kind = match error {
            SdkError::TimeoutError(_) => FailureKind::TimedOut,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => FailureKind::TimedOut,
            // a connection that ends before the answer is "other", with a note that it may pass
            SdkError::DispatchFailure(failure) if failure.is_io() || failure.as_other().is_some() => {
                FailureKind::Unreachable
            }
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => of_dispatch(error),
            SdkError::ResponseError(_) => FailureKind::Unavailable,
            _ => of_answer(code.as_deref(), status),
        };
        let words = match (&code, &message) {
            (Some(code), Some(message)) => format!("{code}: {}", one_line(message)),
            (Some(code), None) => code.clone(),
            _ if status.is_some() => format!("HTTP status {}", status.unwrap_or_default()),
            _ => words_of(error),
        };
        Self { service, action: action.into(), kind, code, status, words }
    }
}

/// Kinds by the service's code first, by HTTP status where it has none.
fn of_answer(code: Option<&str>, status: Option<u16>) -> FailureKind {
    match code.unwrap_or_default() {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "TokenRefreshRequired" => {
            FailureKind::ExpiredCredentials
        }
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "InvalidToken"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => FailureKind::BadCredentials,
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => FailureKind::Denied,
        "NoSuchKey" | "NoSuchBucket" | "NoSuchVersion" | "NotFound" | "NotFoundException" => {
            FailureKind::NotFound
        }
        "PreconditionFailed" | "ConditionalRequestConflict" | "OperationAborted" => FailureKind::Conflict,
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "SlowDown"
        | "RequestLimitExceeded"
        | "LimitExceededException"
        | "RequestThrottled" => FailureKind::Throttled,
        "RequestTimeout" => FailureKind::TimedOut,
        _ => match status {
            Some(401 | 403) => FailureKind::Denied,
            Some(404) => FailureKind::NotFound,
            Some(409 | 412) => FailureKind::Conflict,
            Some(429) => FailureKind::Throttled,
            Some(408) => FailureKind::TimedOut,
            Some(400 | 405 | 411..=499) => FailureKind::Invalid,
            Some(500..) => FailureKind::Unavailable,
            _ => FailureKind::Other,
        },
    }
}

/// Failures before anything was sent: usually there are no credentials.
fn of_dispatch(error: &(dyn Error + 'static)) -> FailureKind {
    let credentials = causes::chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>());
    credentials.map_or(FailureKind::Other, of_credentials)
}

/// Why there are no credentials. The chain tells of a silent metadata service in words only.
fn of_credentials(error: &CredentialsError) -> FailureKind {
    let words = words_of(error);
    let silent = words.contains("communicate with IMDS") && words.contains("timeout");
    match error {
        CredentialsError::ProviderTimedOut(_) => FailureKind::CredentialsSilent,
        _ if silent => FailureKind::CredentialsSilent,
        _ => FailureKind::NoCredentials,
    }
}

/// The text of an XML element, if there is one.
fn xml_field(body: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (field, _) = rest.split_once("</")?;
    Some(field.to_owned())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An error and its causes in one line.
fn words_of(error: &(dyn Error + 'static)) -> String {
    let mut words = one_line(&error.to_string());
    for cause in causes::chain(error).skip(1) {
        let text = one_line(&cause.to_string());
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_win_over_statuses_and_statuses_help_without_codes() {
        for (code, status, kind) in [
            (Some("ExpiredTokenException"), Some(400), FailureKind::ExpiredCredentials),
            (Some("SignatureDoesNotMatch"), Some(403), FailureKind::BadCredentials),
            (Some("AccessDenied"), Some(403), FailureKind::Denied),
            (None, Some(403), FailureKind::Denied),
            (None, Some(412), FailureKind::Conflict),
            (Some("SlowDown"), Some(503), FailureKind::Throttled),
            (None, Some(503), FailureKind::Unavailable),
            (Some("ValidationException"), Some(400), FailureKind::Invalid),
            (None, None, FailureKind::Other),
        ] {
            assert_eq!(of_answer(code, status), kind, "{code:?} {status:?}");
        }
    }

    #[test]
    fn a_silent_metadata_service_is_told_from_no_credentials() {
        let silent = "could not communicate with IMDS: dispatch failure: timeout: HTTP read timeout occurred";
        assert_eq!(of_credentials(&CredentialsError::not_loaded(silent)), FailureKind::CredentialsSilent);
        let none = CredentialsError::not_loaded("no credentials found in chain");
        assert_eq!(of_credentials(&none), FailureKind::NoCredentials);
    }

    #[test]
    fn the_code_of_a_denial_in_xml_is_found() {
        let body = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no\n way</Message></Error></ErrorResponse>";
        assert_eq!(xml_field(body, "Code").as_deref(), Some("AccessDenied"));
        assert_eq!(xml_field(b"{}", "Code"), None);
    }
}
