//! Other machines of a fleet through the one that we are connected to, by the appliance's own SSH between its machines.
//!
//! This is how backup-utils reaches replicas (contract §3.2): a backup host usually has no way to them, and no pins of
//! theirs are needed, since the connected appliance answers for its fleet. What a machine delivers this way is as
//! trustworthy as the connected one.

use std::io::{Read, Write};

use super::{Node, Nodes};
use crate::appliance::{
    channel::{Channel, ChannelError, Exit, ExitStatus, RemoteCommand, Running},
    quote::quote,
};

/// Exit code with which the SSH client tells its own failure.
const SSH_FAILED: ExitStatus = ExitStatus::Code(255);

/// Reaches nodes from the connected appliance.
#[derive(Clone, Copy)]
pub struct Relay<'a> {
    connected: &'a dyn Channel,
}

impl std::fmt::Debug for Relay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Relay")
    }
}

impl<'a> Relay<'a> {
    /// Reaches nodes through `connected`.
    #[must_use]
    pub fn through(connected: &'a dyn Channel) -> Self {
        Self { connected }
    }
}

impl Nodes for Relay<'_> {
    fn channel<'s>(&'s self, node: &Node) -> Result<Box<dyn Channel + 's>, ChannelError> {
        Ok(Box::new(Relayed { connected: self.connected, node: node.name.clone() }))
    }
}

/// A channel to one node.
struct Relayed<'a> {
    connected: &'a dyn Channel,
    node: String,
}

impl Channel for Relayed<'_> {
    fn start(&self, command: &RemoteCommand) -> Result<Box<dyn Running>, ChannelError> {
        let mut relayed = command.clone();
        relayed.label = format!("{} on {}", command.label, self.node);
        relayed.script = format!(
            "exec ssh -o BatchMode=yes -o ConnectTimeout=15 {} -- {}",
            quote(&self.node),
            quote(&command.script)
        );
        let running = self.connected.start(&relayed)?;
        Ok(Box::new(RelayedRunning { running, node: self.node.clone() }))
    }

    fn host_key(&self) -> Option<String> {
        None
    }
}

struct RelayedRunning {
    running: Box<dyn Running>,
    node: String,
}

impl Running for RelayedRunning {
    fn take_stdin(&mut self) -> Option<Box<dyn Write + Send>> {
        self.running.take_stdin()
    }

    fn take_stdout(&mut self) -> Option<Box<dyn Read + Send>> {
        self.running.take_stdout()
    }

    fn wait(self: Box<Self>) -> Result<Exit, ChannelError> {
        let exit = self.running.wait()?;
        if exit.status == SSH_FAILED {
            let said = String::from_utf8_lossy(&exit.stderr);
            let reason = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            return Err(ChannelError::Connect { target: self.node, reason: reason.trim().to_owned() });
        }
        Ok(exit)
    }
}
