//! Samples around keys: secret sources, SSH keys, KMS, recovery kits.

use super::{Section, io, section, section_by, text};
use crate::error::no_secret;
use ghevault_core::keys::{KmsError, KmsErrorKind, RecoveryError, SecretError, SshKeyError, yaml::YamlError};

/// All of them.
pub(super) fn sections() -> Vec<Section> {
    vec![secret(), ssh_key(), kms(), recovery()]
}

fn secret() -> Section {
    let (place, path) = (|| text("SOURCE"), || "PATH".into());
    let samples = vec![
        SecretError::NotASource,
        SecretError::NotASealKeySource,
        SecretError::Agent,
        SecretError::NotACiphertext { place: place() },
        SecretError::Decrypt { place: place(), source: service(KmsErrorKind::Denied) },
        SecretError::Yaml { path: path(), source: YamlError::NoMapping },
        SecretError::NoSuchKey { path: path(), key: text("KEY") },
        SecretError::NotSet { name: text("NAME") },
        SecretError::Read { path: path(), source: io() },
        SecretError::Unsafe { path: path(), reason: text("REASON") },
        SecretError::Empty { place: place() },
    ];
    let of = Some(("SecretError", "keys/source/error.rs"));
    section_by("Secret sources", of, samples, |error| no_secret("the vault's password", &error))
}

fn ssh_key() -> Section {
    let samples = vec![
        SshKeyError::NotAKey,
        SshKeyError::PublicHalf,
        SshKeyError::Encrypted,
        SshKeyError::Passphrase,
        SshKeyError::Kind { kind: text("TYPE") },
        SshKeyError::Short { bits: 1024 },
    ];
    section("SSH keys", ("SshKeyError", "keys/ssh_key.rs"), samples)
}

fn service(kind: KmsErrorKind) -> KmsError {
    KmsError { kind, key: Some(text("KEY")), failure: None }
}

fn kms() -> Section {
    let samples = [
        KmsErrorKind::WrongKey,
        KmsErrorKind::Damaged,
        KmsErrorKind::Disabled,
        KmsErrorKind::Unusable,
        KmsErrorKind::OtherUse,
        KmsErrorKind::NoSuchKey,
        KmsErrorKind::Denied,
        KmsErrorKind::TooLong,
        KmsErrorKind::Throttled,
        KmsErrorKind::ExpiredCredentials,
        KmsErrorKind::NoCredentials,
        KmsErrorKind::BadCredentials,
        KmsErrorKind::CredentialsSilent,
        KmsErrorKind::NoRegion,
        KmsErrorKind::Unreachable,
        KmsErrorKind::Silent,
        KmsErrorKind::Unavailable,
        KmsErrorKind::Other,
    ];
    let of = Some(("KmsErrorKind", "keys/service.rs"));
    section_by("KMS", of, samples.to_vec(), |kind| service(kind).into())
}

fn recovery() -> Section {
    let samples = vec![
        RecoveryError::BadSign { line: 1 },
        RecoveryError::Length { line: 1, found: 20 },
        RecoveryError::Checksum { line: 1 },
        RecoveryError::Mixed { names: vec![text("NAME"), text("NAME")] },
        RecoveryError::TooFew { name: text("NAME"), have: 1, need: 2 },
        RecoveryError::DoNotFit,
        RecoveryError::Nothing,
        RecoveryError::Numbers { parts: 2, threshold: 3 },
    ];
    section("Recovery kits", ("RecoveryError", "keys/recovery/mod.rs"), samples)
}
