//! Errors of retention as the user meets them.

use super::{CommandError, Kind};
use ghevault_core::{
    quarantine::QuarantineError,
    retention::{ForgetError, HoldError, NamedRefusal},
    seal::SealError,
};

impl From<NamedRefusal> for CommandError {
    fn from(error: NamedRefusal) -> Self {
        let hint = match error {
            NamedRefusal::Needed { .. } => {
                "Join the run first: `ghevault backup --join`. A run that nobody joins counts as abandoned after three days."
            }
            NamedRefusal::Held { .. } => "Release it first: `ghevault hold --release SNAPSHOT`.",
            NamedRefusal::Quarantine { .. } => {
                "Look at it with `ghevault findings`, then `ghevault ack SNAPSHOT --reason TEXT`."
            }
            NamedRefusal::Newest { .. } => "Make a newer complete one first: `ghevault backup`.",
            NamedRefusal::TooFew { .. } => "`retention.keep_minimum` and --keep-minimum say how many stay.",
        };
        Self::from_error(Kind::Refused, &error).hint(hint)
    }
}

impl From<HoldError> for CommandError {
    fn from(error: HoldError) -> Self {
        match error {
            HoldError::Vault(inner) => inner.into(),
            HoldError::NotHeld { .. } => {
                Self::from_error(Kind::Failure, &error).hint("`ghevault snapshots` shows the holds.")
            }
            HoldError::Past { .. } => Self::from_error(Kind::Usage, &error),
            HoldError::Busy { .. } => Self::from_error(Kind::Failure, &error).hint("Run it again."),
        }
    }
}

impl From<ForgetError> for CommandError {
    fn from(error: ForgetError) -> Self {
        match error {
            ForgetError::Vault(inner) => inner.into(),
            ForgetError::Cancelled { .. } => {
                Self::from_error(Kind::Interrupted, &error).hint("Run it again: it goes on.")
            }
        }
    }
}

impl From<QuarantineError> for CommandError {
    fn from(error: QuarantineError) -> Self {
        match error {
            QuarantineError::Vault(inner) => inner.into(),
            QuarantineError::History(inner) => inner.into(),
            QuarantineError::Seal(inner) => inner.into(),
            QuarantineError::NotQuarantined { .. } => Self::from_error(Kind::Failure, &error)
                .hint("`ghevault findings` shows what is in quarantine."),
            QuarantineError::Busy { .. } => Self::from_error(Kind::Failure, &error).hint("Run it again."),
        }
    }
}

impl From<SealError> for CommandError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Service(inner) => inner.into(),
            SealError::OtherHand { .. } => Self::from_error(Kind::Refused, &error)
                .hint("Something answers in the place of KMS: look at `aws.endpoint` and the network."),
            other => Self::from_error(Kind::Damage, &other).hint("Run `ghevault verify`."),
        }
    }
}
