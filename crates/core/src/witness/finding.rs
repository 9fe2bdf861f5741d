//! What does not fit.

use serde::Serialize;

/// What somebody did, or what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A note is not what was signed, or its numbers contradict its entries.
    Edited,
    /// A note is not signed by the key whose name it bears.
    Forged,
    /// Two checkpoints, or two seals, that cannot both be true.
    Fork,
    /// Less is shown than was shown before.
    Rollback,
    /// A checkpoint or a snapshot is gone.
    Removed,
    /// A time that cannot be true.
    BackDated,
    /// Something stands in the place of something else.
    Swapped,
    /// A key that should speak has said nothing.
    Silent,
}

impl FindingKind {
    /// For people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Forged => "forged",
            Self::Fork => "fork",
            Self::Rollback => "rollback",
            Self::Removed => "removed",
            Self::BackDated => "back-dated",
            Self::Swapped => "swapped",
            Self::Silent => "silent",
        }
    }
}

/// Something that no normal history explains.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What it looks like.
    pub kind: FindingKind,
    /// Whose chain it is about.
    pub origin: String,
    /// The file, seal or snapshot.
    pub on: String,
    /// In words.
    pub what: String,
}

impl Finding {
    pub(super) fn new(
        kind: FindingKind,
        origin: &str,
        on: impl Into<String>,
        what: impl Into<String>,
    ) -> Self {
        Self { kind, origin: origin.to_owned(), on: on.into(), what: what.into() }
    }
}
