//! The core's errors as the user meets them: each with its kind and what to do next.

use super::{CommandError, Kind};
use ghevault_core::appliance::{channel::ChannelError, hostkeys::PinError};

impl From<ChannelError> for CommandError {
    fn from(error: ChannelError) -> Self {
        let (kind, hint) = channel_advice(&error);
        let mapped = Self::from_error(kind, &error);
        match hint {
            Some(hint) => mapped.hint(hint),
            None => mapped,
        }
    }
}

/// Kind and hint of a channel's error.
pub(super) fn channel_advice(error: &ChannelError) -> (Kind, Option<String>) {
    match error {
        ChannelError::Connect { .. } => (
            Kind::Failure,
            Some("Check the name, the network, and that the admin shell answers: port 122, not 22.".to_owned()),
        ),
        ChannelError::HostKeyUnknown { target, shown } => (
            Kind::Refused,
            Some(format!(
                "Compare {shown} with the appliance's console, then run `ghevault trust {target} --accept {shown}`."
            )),
        ),
        ChannelError::HostKeyChanged { target, .. } => (
            Kind::Refused,
            Some(format!(
                "A restore changes an appliance's host keys; so does somebody who answers in its place. Compare with \
                 the console, then run `ghevault trust {target}`."
            )),
        ),
        ChannelError::Authentication { .. } => (
            Kind::Failure,
            Some(
                "Add the public half of the key in the Management Console (Settings, SSH access), or name another key \
                 with GHEVAULT_SSH_KEY."
                    .to_owned(),
            ),
        ),
        ChannelError::BadKey { .. } => {
            (Kind::Usage, Some("Name a private key without passphrase with GHEVAULT_SSH_KEY.".to_owned()))
        }
        ChannelError::Ended { .. } | ChannelError::Stream { .. } => (
            Kind::Failure,
            Some("Run it again: what was stored is not stored twice. `ghevault doctor` tests the connection.".to_owned()),
        ),
        ChannelError::Timeout { .. } => {
            (Kind::Failure, Some("The appliance may be overloaded. `ghevault doctor` tests the connection.".to_owned()))
        }
    }
}

impl From<PinError> for CommandError {
    fn from(error: PinError) -> Self {
        let mapped = Self::from_error(Kind::Usage, &error);
        match error {
            PinError::File { .. } => mapped.hint("GHEVAULT_STATE names the folder; this user must own it."),
            PinError::Line { .. } => mapped.hint("Remove that line and run `ghevault trust` again."),
        }
    }
}
