//! What looks odd about a snapshot.

use serde::{Deserialize, Serialize};

/// How much a finding says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// To know of.
    Low,
    /// It looks like an attack: the snapshot goes into quarantine.
    High,
}

/// What it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// Default branches of many repositories were rewritten.
    MassRewind,
    /// Many repositories lost their default branch or most of their branches.
    MassDeletion,
    /// Many repositories are gone.
    RepositoriesVanished,
    /// A dataset has lost most of its content.
    DatasetCollapsed,
    /// Far more is new than ever before.
    DedupCollapsed,
    /// New Git files are none.
    ObjectsUnreadable,
    /// Somebody new may enter the admin shell.
    KeyAdded,
    /// Somebody may no longer enter the admin shell.
    KeyRemoved,
    /// Somebody became a site administrator.
    AdminAdded,
    /// Somebody no longer is one.
    AdminRemoved,
    /// A pre-receive hook or its environment is new or another one.
    HookChanged,
    /// A pre-receive hook or its environment is gone.
    HookRemoved,
    /// The appliance is as an earlier snapshot shows it.
    ApplianceRestored,
    /// It is another appliance than before.
    OtherAppliance,
}

impl FindingKind {
    /// For people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::MassRewind => "mass rewind",
            Self::MassDeletion => "mass deletion",
            Self::RepositoriesVanished => "repositories vanished",
            Self::DatasetCollapsed => "dataset collapsed",
            Self::DedupCollapsed => "deduplication collapsed",
            Self::ObjectsUnreadable => "objects unreadable",
            Self::KeyAdded => "key added",
            Self::KeyRemoved => "key removed",
            Self::AdminAdded => "site administrator added",
            Self::AdminRemoved => "site administrator removed",
            Self::HookChanged => "hook changed",
            Self::HookRemoved => "hook removed",
            Self::ApplianceRestored => "appliance restored",
            Self::OtherAppliance => "other appliance",
        }
    }
}

/// Evidence that a finding names at most.
pub const EVIDENCE_MAX: usize = 20;

/// Something odd.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// What it looks like.
    pub kind: FindingKind,
    /// How much it says.
    pub severity: Severity,
    /// In words.
    pub what: String,
    /// What it rests on, the first ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

impl Finding {
    pub(super) fn new(kind: FindingKind, severity: Severity, what: String, evidence: &[String]) -> Self {
        let mut named: Vec<String> = evidence.iter().take(EVIDENCE_MAX).cloned().collect();
        if evidence.len() > EVIDENCE_MAX {
            named.push(format!("and {} more", evidence.len() - EVIDENCE_MAX));
        }
        Self { kind, severity, what, evidence: named }
    }
}
