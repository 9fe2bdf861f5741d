//! Why a running command was given up, told alike to the reader of its output and to whoever waits for its end.

use std::{io, time::Duration};

use crate::appliance::channel::ChannelError;

/// The end of a command that is not its exit.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The connection or the channel ended too early.
    Ended {
        /// What is known of it.
        reason: String,
    },
    /// A limit of the command ran out.
    Timeout {
        /// `did not end` or `stalled`.
        what: &'static str,
        /// The limit.
        after: Duration,
    },
    /// Nobody read the output of a command on the shared connection.
    Unread {
        /// How many bytes waited.
        bytes: usize,
    },
}

impl Fault {
    /// The fault of a command named `label`, for whoever waits for its end.
    pub(crate) fn into_error(self, label: &str) -> ChannelError {
        let label = label.to_owned();
        match self {
            Self::Ended { reason } => ChannelError::Ended { label, reason },
            Self::Timeout { what, after } => ChannelError::Timeout { label, what, after },
            Self::Unread { bytes } => ChannelError::Stream {
                label,
                source: io::Error::other(format!(
                    "{bytes} bytes of output waited unread on the shared connection; such a command must be bulk"
                )),
            },
        }
    }

    /// The same fault as the reader of the output sees it.
    pub(crate) fn into_io(self, label: &str) -> io::Error {
        let kind = match self {
            Self::Ended { .. } => io::ErrorKind::ConnectionAborted,
            Self::Timeout { .. } => io::ErrorKind::TimedOut,
            Self::Unread { .. } => io::ErrorKind::Other,
        };
        io::Error::new(kind, self.into_error(label))
    }
}
