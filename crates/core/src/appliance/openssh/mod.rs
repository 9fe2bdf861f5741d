//! The transport over the OpenSSH client.

use crate::appliance::{
    channel::{Channel, ChannelError, RemoteCommand, Running},
    transport::{Transport, TransportSettings},
};

/// Commands through `ssh`.
pub struct OpenSshTransport {
    target: String,
}

impl OpenSshTransport {
    /// Not made yet.
    ///
    /// # Errors
    /// Always.
    pub fn new(settings: TransportSettings) -> Result<Self, ChannelError> {
        let target = settings.target.to_string();
        Err(ChannelError::Connect { target, reason: "not made yet".to_owned() })
    }
}

impl Channel for OpenSshTransport {
    fn start(&self, _: &RemoteCommand) -> Result<Box<dyn Running>, ChannelError> {
        Err(ChannelError::Connect { target: self.target.clone(), reason: "not made yet".to_owned() })
    }

    fn host_key(&self) -> Option<String> {
        None
    }
}

impl Transport for OpenSshTransport {
    fn target(&self) -> String {
        self.target.clone()
    }
}
