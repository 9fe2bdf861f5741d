//! Errors around runs as the user meets them.

use super::{CommandError, Kind};
use ghevault_core::backup::courtesy::CourtesyError;

impl From<CourtesyError> for CommandError {
    fn from(error: CourtesyError) -> Self {
        match error {
            CourtesyError::Channel(inner) => inner.into(),
            CourtesyError::State(inner) => inner.into(),
            CourtesyError::Cancelled => Self::from_error(Kind::Interrupted, &error),
        }
    }
}
