//! Samples around vaults: what they hold, what is kept, what bears witness, AWS.

use super::{Section, io, moment, section, section_by, snapshot, text};
use ghevault_core::{
    aws::{AwsFailure, FailureKind},
    compare::CompareError,
    drill::DrillError,
    history::HistoryError,
    keys::{KmsError, KmsErrorKind},
    pulse::PulseError,
    quarantine::QuarantineError,
    retention::{ForgetError, HoldError, NamedRefusal},
    seal::SealError,
    state::StateError,
    vault::VaultError,
    witness::{BoardError, NoteError},
};
use std::sync::Arc;

/// All of them.
pub(super) fn sections() -> Vec<Section> {
    vec![
        vault(),
        bucket(),
        state(),
        named(),
        hold(),
        forget(),
        history(),
        quarantine(),
        seal(),
        drill(),
        board(),
        note(),
        pulse(),
        compare(),
    ]
}

fn vault() -> Section {
    let location = || text("VAULT");
    let samples = vec![
        VaultError::NotAVault { location: location(), why: text("REASON") },
        VaultError::AlreadyExists { location: location() },
        VaultError::WrongPassword { location: location(), damaged_keys: Vec::new() },
        VaultError::NoKmsKey { location: location() },
        VaultError::Kms {
            action: "decrypt the vault's master key",
            source: KmsError { kind: KmsErrorKind::Denied, key: Some(text("KEY")), failure: None },
        },
        VaultError::Unsupported { what: text("WHAT") },
        VaultError::Locked { location: location(), holder: text("WHO"), until: moment() },
        VaultError::LeaseLost { location: location(), why: text("REASON") },
        VaultError::Damaged { what: "pack", file: text("FILE"), why: text("REASON") },
        VaultError::Missing { what: "blob", id: text("ID") },
        VaultError::NoSuchSnapshot { name: text("NAME"), candidates: 0 },
        VaultError::Full { path: text("PATH"), source: Arc::new(io()) },
        VaultError::Denied { action: "write", path: text("PATH"), source: Arc::new(io()) },
        VaultError::Io { action: "read", path: text("PATH"), source: Arc::new(io()) },
        VaultError::Service {
            location: location(),
            source: Arc::new(failure(FailureKind::Unavailable, None)),
        },
        VaultError::ReadOnly { location: location(), moment: moment() },
        VaultError::Stream(Arc::new(io())),
        VaultError::LatchClosed { problems: 1 },
        VaultError::Invalid(text("REASON")),
        VaultError::Rustic { action: "reading the index", message: text("REASON") },
        VaultError::Internal("WHAT"),
    ];
    section("Vaults", ("VaultError", "vault/error.rs"), samples)
}

/// An answer of S3.
fn failure(kind: FailureKind, code: Option<&str>) -> AwsFailure {
    AwsFailure {
        service: "S3",
        action: text("list the bucket"),
        kind,
        code: code.map(str::to_owned),
        status: None,
        words: code.map_or_else(|| format!("REASON ({kind:?})"), str::to_owned),
    }
}

fn bucket() -> Section {
    let samples = vec![
        failure(FailureKind::NoRegion, None),
        failure(FailureKind::NoCredentials, None),
        failure(FailureKind::CredentialsSilent, None),
        failure(FailureKind::ExpiredCredentials, Some("ExpiredToken")),
        failure(FailureKind::BadCredentials, Some("InvalidAccessKeyId")),
        failure(FailureKind::Other, Some("PermanentRedirect")),
        failure(FailureKind::Denied, Some("AccessDenied")),
        failure(FailureKind::NotFound, Some("NoSuchBucket")),
        failure(FailureKind::Throttled, Some("SlowDown")),
        failure(FailureKind::Unavailable, Some("InternalError")),
        failure(FailureKind::Unreachable, None),
        failure(FailureKind::TimedOut, None),
    ];
    section_by("Vaults in a bucket", None, samples, |failure| {
        VaultError::Service { location: text("VAULT"), source: Arc::new(failure) }.into()
    })
}

fn state() -> Section {
    let samples = vec![
        StateError::Io { action: "read", path: "PATH".into(), source: io() },
        StateError::Damaged { path: "PATH".into(), reason: text("REASON") },
    ];
    section("The state folder", ("StateError", "state/mod.rs"), samples)
}

fn named() -> Section {
    let samples = vec![
        NamedRefusal::Held { snapshot: snapshot(), reason: text("REASON") },
        NamedRefusal::Quarantine { snapshot: snapshot(), why: "is in quarantine" },
        NamedRefusal::Needed { snapshot: snapshot(), run: text("NAME") },
        NamedRefusal::Newest { snapshot: snapshot() },
        NamedRefusal::TooFew { remaining: 1, minimum: 2 },
    ];
    section("Snapshots that are not forgotten", ("NamedRefusal", "retention/plan.rs"), samples)
}

fn hold() -> Section {
    let samples = vec![
        HoldError::NotHeld { snapshot: snapshot() },
        HoldError::Past { until: moment() },
        HoldError::Busy { snapshot: snapshot() },
    ];
    section("Holds", ("HoldError", "retention/holds.rs"), samples)
}

fn forget() -> Section {
    section("Forget", ("ForgetError", "retention/forget.rs"), vec![ForgetError::Cancelled { done: 3 }])
}

fn history() -> Section {
    let samples =
        vec![HistoryError::AuditLog { source: io() }, HistoryError::Unknown { wanted: text("OWNER/NAME") }];
    section("References over time", ("HistoryError", "history/error.rs"), samples)
}

fn quarantine() -> Section {
    let samples = vec![
        QuarantineError::NotQuarantined { snapshot: snapshot() },
        QuarantineError::Busy { snapshot: snapshot() },
    ];
    section("Quarantine", ("QuarantineError", "quarantine/records.rs"), samples)
}

fn seal() -> Section {
    let samples = vec![
        SealError::Missing,
        SealError::Unreadable(text("REASON")),
        SealError::BadSignature,
        SealError::OtherHand { key: text("KEY") },
        SealError::OtherTree { sealed: text("ID"), found: text("ID") },
    ];
    section("Seals", ("SealError", "seal.rs"), samples)
}

fn drill() -> Section {
    let samples = vec![DrillError::Scratch { folder: "FOLDER".into(), source: io() }];
    section("Drills", ("DrillError", "drill/run.rs"), samples)
}

fn board() -> Section {
    let samples = vec![
        BoardError::Unknown(text("PLACE")),
        BoardError::Answer { place: text("PLACE"), why: text("REASON") },
        BoardError::Io { action: "read", place: text("PLACE"), source: io() },
    ];
    section("Notice boards", ("BoardError", "witness/board.rs"), samples)
}

fn note() -> Section {
    let samples = vec![
        NoteError::Form("REASON"),
        NoteError::Key,
        NoteError::Unsigned(text("NAME")),
        NoteError::BadSignature(text("NAME")),
    ];
    section("Signed notes and public keys", ("NoteError", "witness/note.rs"), samples)
}

fn pulse() -> Section {
    let samples = vec![
        PulseError::Stream { source: io() },
        PulseError::Command { status: text("exit code 1"), said: text("REASON") },
    ];
    section("Ref pulses", ("PulseError", "pulse/mod.rs"), samples)
}

fn compare() -> Section {
    let samples = vec![
        CompareError::OtherAppliance { other: text("PLACE") },
        CompareError::Nothing { place: text("PLACE") },
    ];
    section("Two vaults beside each other", ("CompareError", "compare/error.rs"), samples)
}
