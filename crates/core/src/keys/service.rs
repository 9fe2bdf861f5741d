//! The key service as the rest of the core sees it: it encrypts and decrypts small things under keys that never leave it.

use super::Secret;
use crate::aws::{AwsFailure, FailureKind};

/// Most bytes that KMS encrypts in one go. A 4096-bit RSA key in PEM fits, an 8192-bit one does not.
pub const PLAINTEXT_BYTES_MAX: usize = 4096;

/// Most bytes that KMS signs in one go.
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// Names and values that KMS binds to a ciphertext: what was encrypted under them is decrypted only under the same.
pub type Context<'a> = &'a [(&'a str, &'a str)];

/// What was encrypted, and under which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encrypted {
    /// The service's own form; only the service can read it.
    pub ciphertext: Vec<u8>,
    /// Full name (ARN) of the key.
    pub key: String,
}

/// A service that keeps keys. No plaintext is ever logged.
pub trait KeyService: Send + Sync {
    /// Encrypts under `key`, an id, ARN or `alias/…`.
    ///
    /// # Errors
    /// [`KmsError`]; [`KmsErrorKind::TooLong`] above [`PLAINTEXT_BYTES_MAX`] bytes, without asking the service.
    fn encrypt(&self, key: &str, plain: &Secret, context: Context<'_>) -> Result<Encrypted, KmsError>;

    /// Decrypts; with `key` only if it was encrypted under that one.
    ///
    /// # Errors
    /// [`KmsError`].
    fn decrypt(&self, ciphertext: &[u8], key: Option<&str>, context: Context<'_>)
    -> Result<Secret, KmsError>;

    /// Encrypts a ciphertext under another key, inside the service.
    ///
    /// # Errors
    /// [`KmsError`].
    fn re_encrypt(
        &self,
        ciphertext: &[u8],
        new_key: &str,
        context: Context<'_>,
    ) -> Result<Encrypted, KmsError>;
}

/// A service that signs with Ed25519 keys that never leave it.
pub trait SigningService: Send + Sync {
    /// The public half of `key`, an id, ARN or `alias/…`.
    ///
    /// # Errors
    /// [`KmsError`]; [`KmsErrorKind::OtherUse`] if it is not an Ed25519 key for signing.
    fn public_key(&self, key: &str) -> Result<[u8; 32], KmsError>;

    /// Signs at most [`MESSAGE_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`KmsError`].
    fn sign(&self, key: &str, message: &[u8]) -> Result<[u8; 64], KmsError>;
}

/// Why the key service did not serve, as far as an operator would act differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KmsErrorKind {
    /// It was encrypted under another key than the one that was named.
    WrongKey,
    /// The ciphertext is damaged or cut short, or was bound to something else.
    Damaged,
    /// The key is switched off.
    Disabled,
    /// The key waits for its deletion, or has lost its material.
    Unusable,
    /// The key is made for something else: to encrypt and not to sign, or by another algorithm.
    OtherUse,
    /// There is no such key.
    NoSuchKey,
    /// This identity may not use the key in this way.
    Denied,
    /// More bytes than the service takes.
    TooLong,
    /// Asked too often, also after waiting.
    Throttled,
    /// The credentials have run out.
    ExpiredCredentials,
    /// There are no credentials.
    NoCredentials,
    /// The service does not know the credentials.
    BadCredentials,
    /// The place that gives credentials (the instance's metadata) does not answer.
    CredentialsSilent,
    /// Nobody knows the region.
    NoRegion,
    /// No connection to the service.
    Unreachable,
    /// The service did not answer in time.
    Silent,
    /// The service answers that it cannot serve now.
    Unavailable,
    /// Something else.
    Other,
}

/// The key service did not serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct KmsError {
    /// Why.
    pub kind: KmsErrorKind,
    /// The key that was asked for, if one was named.
    pub key: Option<String>,
    /// What AWS answered, if it was asked.
    #[source]
    pub failure: Option<Box<AwsFailure>>,
}

impl KmsError {
    /// Sorts the answer of AWS.
    pub(super) fn new(key: Option<&str>, failure: AwsFailure) -> Self {
        Self { kind: kind_of(&failure), key: key.map(str::to_owned), failure: Some(Box::new(failure)) }
    }

    /// Something that was not even asked.
    pub(super) const fn too_long() -> Self {
        Self { kind: KmsErrorKind::TooLong, key: None, failure: None }
    }

    /// A key that does not fit what it was asked for.
    pub(super) fn other_use(key: &str) -> Self {
        Self { kind: KmsErrorKind::OtherUse, key: Some(key.to_owned()), failure: None }
    }

    fn sentence(&self) -> String {
        let key = match &self.key {
            Some(key) => format!("KMS key {key}"),
            None => "KMS key".to_owned(),
        };
        match self.kind {
            KmsErrorKind::WrongKey => format!("the ciphertext was not made with {key}"),
            KmsErrorKind::Damaged => {
                "the ciphertext is damaged or cut short, or belongs to something else".to_owned()
            }
            KmsErrorKind::Disabled => format!("the {key} is disabled"),
            KmsErrorKind::Unusable => format!("the {key} is pending deletion or has no material"),
            KmsErrorKind::OtherUse => format!("the {key} is not made for this"),
            KmsErrorKind::NoSuchKey => format!("there is no such {key} in this account and region"),
            KmsErrorKind::Denied => format!("this identity may not use the {key}"),
            KmsErrorKind::TooLong => format!("KMS encrypts at most {PLAINTEXT_BYTES_MAX} bytes"),
            KmsErrorKind::Throttled => "KMS is asked too often".to_owned(),
            KmsErrorKind::ExpiredCredentials => "the AWS credentials have expired".to_owned(),
            KmsErrorKind::NoCredentials => "there are no AWS credentials".to_owned(),
            KmsErrorKind::BadCredentials => "AWS does not accept the credentials".to_owned(),
            KmsErrorKind::CredentialsSilent => {
                "the instance's metadata service gave no credentials in time".to_owned()
            }
            KmsErrorKind::NoRegion => "the AWS region is not known".to_owned(),
            KmsErrorKind::Unreachable => "KMS cannot be reached".to_owned(),
            KmsErrorKind::Silent => "KMS did not answer in time".to_owned(),
            KmsErrorKind::Unavailable => "KMS cannot serve at present".to_owned(),
            KmsErrorKind::Other => "KMS refused".to_owned(),
        }
    }
}

impl From<AwsFailure> for KmsError {
    fn from(failure: AwsFailure) -> Self {
        Self::new(None, failure)
    }
}

/// KMS's own codes first, then what holds for every service.
fn kind_of(failure: &AwsFailure) -> KmsErrorKind {
    match failure.code.as_deref().unwrap_or_default() {
        "IncorrectKeyException" => return KmsErrorKind::WrongKey,
        "InvalidCiphertextException" | "InvalidCiphertext" => return KmsErrorKind::Damaged,
        "DisabledException" => return KmsErrorKind::Disabled,
        "KMSInvalidStateException" => return KmsErrorKind::Unusable,
        "InvalidKeyUsageException" | "UnsupportedOperationException" => return KmsErrorKind::OtherUse,
        "KeyUnavailableException" | "DependencyTimeoutException" | "KMSInternalException" => {
            return KmsErrorKind::Unavailable;
        }
        _ => {}
    }
    match failure.kind {
        FailureKind::NoRegion => KmsErrorKind::NoRegion,
        FailureKind::NoCredentials => KmsErrorKind::NoCredentials,
        FailureKind::CredentialsSilent => KmsErrorKind::CredentialsSilent,
        FailureKind::ExpiredCredentials => KmsErrorKind::ExpiredCredentials,
        FailureKind::BadCredentials => KmsErrorKind::BadCredentials,
        FailureKind::Denied => KmsErrorKind::Denied,
        FailureKind::NotFound => KmsErrorKind::NoSuchKey,
        FailureKind::Throttled => KmsErrorKind::Throttled,
        FailureKind::Unavailable => KmsErrorKind::Unavailable,
        FailureKind::Unreachable => KmsErrorKind::Unreachable,
        FailureKind::TimedOut => KmsErrorKind::Silent,
        _ => KmsErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: &str, kind: FailureKind) -> AwsFailure {
        AwsFailure {
            service: "KMS",
            action: "decrypt".into(),
            kind,
            code: Some(code.into()),
            status: Some(400),
            words: code.into(),
        }
    }

    #[test]
    fn codes_of_kms_are_told_apart() {
        for (code, kind, expected) in [
            ("IncorrectKeyException", FailureKind::Invalid, KmsErrorKind::WrongKey),
            ("InvalidCiphertextException", FailureKind::Invalid, KmsErrorKind::Damaged),
            ("DisabledException", FailureKind::Invalid, KmsErrorKind::Disabled),
            ("KMSInvalidStateException", FailureKind::Invalid, KmsErrorKind::Unusable),
            ("InvalidKeyUsageException", FailureKind::Invalid, KmsErrorKind::OtherUse),
            ("UnsupportedOperationException", FailureKind::Invalid, KmsErrorKind::OtherUse),
            ("NotFoundException", FailureKind::NotFound, KmsErrorKind::NoSuchKey),
            ("AccessDenied", FailureKind::Denied, KmsErrorKind::Denied),
            ("ThrottlingException", FailureKind::Throttled, KmsErrorKind::Throttled),
            ("", FailureKind::TimedOut, KmsErrorKind::Silent),
        ] {
            assert_eq!(KmsError::from(failure(code, kind)).kind, expected, "{code}");
        }
    }

    #[test]
    fn each_kind_says_something_of_its_own() {
        use KmsErrorKind as K;
        let all = [
            K::WrongKey,
            K::Damaged,
            K::Disabled,
            K::Unusable,
            K::OtherUse,
            K::NoSuchKey,
            K::Denied,
            K::TooLong,
            K::Throttled,
            K::ExpiredCredentials,
            K::NoCredentials,
            K::BadCredentials,
            K::CredentialsSilent,
            K::NoRegion,
            K::Unreachable,
            K::Silent,
            K::Unavailable,
            K::Other,
        ];
        let texts: std::collections::BTreeSet<String> =
            all.iter().map(|kind| KmsError { kind: *kind, key: None, failure: None }.to_string()).collect();
        assert_eq!(texts.len(), all.len());
    }
}
