//! Makes a [`Channel`] to an appliance: over russh in this process, or over the OpenSSH client.
//!
//! Both check the appliance's host key against our own pins, and only that; both pass one contract suite.

mod bridge;
mod fault;
mod follow;
mod limits;
mod settings;
mod stderr;
mod stdio;
mod throttle;

use std::sync::Arc;

pub(crate) use bridge::Bridge;
pub(crate) use follow::{Event, Remote, Sink, launch};
pub use settings::{TransportKind, TransportSettings, Via};
pub use throttle::Throttled;

use super::channel::{Channel, ChannelError, RemoteCommand};
use super::russh::RusshTransport;

/// Connects to an appliance and proves it by running `true` there.
///
/// # Errors
/// As [`Channel::start`]; also [`ChannelError::Connect`] when the appliance lets us in but runs no commands.
pub fn connect(settings: TransportSettings) -> Result<Arc<dyn Channel>, ChannelError> {
    let bandwidth = settings.bandwidth;
    match settings.kind {
        TransportKind::Russh => finish(RusshTransport::new(settings)?, bandwidth),
        TransportKind::OpenSsh => finish(super::openssh::OpenSshTransport::new(settings)?, bandwidth),
    }
}

fn finish<C: Transport + 'static>(
    channel: C,
    bandwidth: Option<std::num::NonZeroU64>,
) -> Result<Arc<dyn Channel>, ChannelError> {
    prove(&channel, channel.target())?;
    Ok(match bandwidth {
        None => Arc::new(channel),
        Some(rate) => Arc::new(Throttled::new(channel, rate)),
    })
}

/// A channel that knows where it leads.
pub(crate) trait Transport: Channel {
    /// The appliance as the user named it.
    fn target(&self) -> String;
}

fn prove(channel: &dyn Channel, target: String) -> Result<(), ChannelError> {
    let output = channel.run(&RemoteCommand::new("connect", "true"), b"")?;
    if output.exit.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.exit.stderr);
    let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing on stderr");
    let reason = format!("it lets us in but does not run commands ({}: {})", output.exit.status, said.trim());
    Err(ChannelError::Connect { target, reason })
}
