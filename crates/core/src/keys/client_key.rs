//! What a backup host shows itself with: a key of its own, or an agent that signs with one that nobody sees.

use super::SshKey;
use std::path::PathBuf;

/// The key to show to an appliance.
#[derive(Clone, Debug)]
pub enum ClientKey {
    /// A key in our memory.
    Held(SshKey),
    /// The socket of an ssh-agent; its plain keys are offered one after the other.
    Agent(PathBuf),
}

impl ClientKey {
    /// What messages call it: the fingerprint, or where the agent is.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        match self {
            Self::Held(key) => key.fingerprint(),
            Self::Agent(socket) => format!("(any of the ssh-agent at `{}`)", socket.display()),
        }
    }
}

impl From<SshKey> for ClientKey {
    fn from(key: SshKey) -> Self {
        Self::Held(key)
    }
}
