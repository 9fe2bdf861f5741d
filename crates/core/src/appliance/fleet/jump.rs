//! Nodes of a cluster through the connected appliance as a jump host (contract §7.3), each with host keys of its own that are pinned.
//!
//! Unlike [`super::Relay`] nothing runs on the appliance in between but the stream: key and data pass it sealed, and a node is known by its
//! own key.

use std::sync::Arc;

use super::{Node, Nodes};
use crate::appliance::{
    channel::{Channel, ChannelError},
    hostkeys::HostKey,
    russh,
    transport::{self, TransportSettings},
};

/// Reaches nodes through one appliance.
#[derive(Clone, Debug)]
pub struct Jump {
    way: TransportSettings,
}

impl Jump {
    /// Reaches nodes through the appliance to which `way` leads.
    #[must_use]
    pub fn through(way: TransportSettings) -> Self {
        Self { way }
    }

    /// The way to a node.
    ///
    /// # Errors
    /// Its address makes no sense.
    pub fn way(&self, node: &Node) -> Result<TransportSettings, ChannelError> {
        self.way
            .towards(&node.name, &node.address)
            .map_err(|error| ChannelError::Connect { target: node.name.clone(), reason: error.to_string() })
    }

    /// The host keys that a node shows, for a person to accept.
    ///
    /// # Errors
    /// The appliance or the node cannot be reached.
    pub fn scan(&self, node: &Node) -> Result<Vec<HostKey>, ChannelError> {
        russh::scan_way(&self.way(node)?)
    }
}

impl Nodes for Jump {
    fn channel<'s>(&'s self, node: &Node) -> Result<Box<dyn Channel + 's>, ChannelError> {
        let channel: Arc<dyn Channel> = transport::connect(self.way(node)?)?;
        Ok(Box::new(channel))
    }
}
