//! The witness's errors as the user meets them.

use super::{CommandError, Kind};
use ghevault_core::{
    compare::CompareError,
    pulse::PulseError,
    witness::{BoardError, NoteError, WitnessError},
};

impl From<BoardError> for CommandError {
    fn from(error: BoardError) -> Self {
        let error = match error {
            BoardError::Bucket(inner) => return inner.into(),
            other => other,
        };
        match &error {
            BoardError::Bucket(_) => Self::from_error(Kind::Failure, &error),
            BoardError::Unknown(_) => {
                Self::from_error(Kind::Usage, &error).hint(
                    "A board is a folder (`dir:/srv/board`), a bucket (`s3://BUCKET/PREFIX`) or, to be read, `http://HOST:PORT/board`.",
                )
            }
            BoardError::Answer { .. } => Self::from_error(Kind::Failure, &error)
                .hint("The daemon of the other host serves a board that is a folder of its `witness.board`."),
            BoardError::Io { .. } => Self::from_error(Kind::Failure, &error)
                .hint("A board is a folder that this host may read, and for `publish` and `cosign` write."),
        }
    }
}

impl From<NoteError> for CommandError {
    fn from(error: NoteError) -> Self {
        Self::from_error(Kind::Usage, &error).hint("`ghevault doctor` shows a host's public seal key.")
    }
}

impl From<WitnessError> for CommandError {
    fn from(error: WitnessError) -> Self {
        match error {
            WitnessError::Board(inner) => inner.into(),
            WitnessError::Vault(inner) => inner.into(),
            WitnessError::State(inner) => inner.into(),
            WitnessError::Note(inner) => inner.into(),
            WitnessError::Seal(inner) => inner.into(),
        }
    }
}

impl From<CompareError> for CommandError {
    fn from(error: CompareError) -> Self {
        match error {
            CompareError::Vault(inner) => inner.into(),
            CompareError::Board(inner) => inner.into(),
            CompareError::Note(inner) => inner.into(),
            CompareError::Seal(inner) => inner.into(),
            CompareError::History(inner) => inner.into(),
            CompareError::View(inner) => inner.into(),
            CompareError::OtherAppliance { .. } => Self::from_error(Kind::Refused, &error)
                .hint("Two vaults are compared by the UUID of the appliance that both back up."),
            CompareError::Nothing { .. } => {
                Self::from_error(Kind::Failure, &error).hint("Run `ghevault backup` there first.")
            }
        }
    }
}

impl From<PulseError> for CommandError {
    fn from(error: PulseError) -> Self {
        match error {
            PulseError::Channel(inner) => inner.into(),
            PulseError::Board(inner) => inner.into(),
            PulseError::Seal(inner) => inner.into(),
            PulseError::Stream { .. } | PulseError::Command { .. } => Self::from_error(Kind::Failure, &error)
                .hint("Nothing was published. Run it again; `ghevault doctor` tests the appliance."),
        }
    }
}
