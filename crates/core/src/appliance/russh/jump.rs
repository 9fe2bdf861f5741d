//! Streams to nodes of a fleet through the connected appliance (contract §7.3).
//!
//! Each connection to a node has a connection of its own to the appliance, since a stream that nobody reads stalls the connection that
//! carries it. Forwarding may be switched off on the appliance; then `nc.openbsd` there does the same, as in backup-utils.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ::russh::{Channel, ChannelMsg, ChannelOpenFailure, ChannelStream, Error, client::Msg};
use tokio::time::timeout;

use super::{connection::Connection, handshake::Dial};
use crate::appliance::{channel::ChannelError, quote::quote, target::Target};

/// Makes streams through one appliance.
pub(super) struct Jumping {
    dial: Box<Dial>,
    /// It refused to forward once, and is not asked again.
    refused: AtomicBool,
}

impl Jumping {
    pub(super) fn through(dial: Dial) -> Self {
        Self { dial: Box::new(dial), refused: AtomicBool::new(false) }
    }

    /// A stream to `target`, and the connection that carries it.
    pub(super) async fn stream(
        &self,
        target: &Target,
        named: &str,
        limit: Duration,
    ) -> Result<(ChannelStream<Msg>, Arc<Connection>), ChannelError> {
        let outer = Arc::new(Box::pin(self.dial.connect()).await?);
        let failed = |reason: String| ChannelError::Connect { target: named.to_owned(), reason };
        let late = |_| failed(format!("the appliance before it did not answer within {limit:?}"));
        if !self.refused.load(Ordering::Relaxed) {
            let (host, port) = (target.host().to_owned(), u32::from(target.port()));
            let opened = outer.handle().channel_open_direct_tcpip(host, port, "127.0.0.1", 0);
            match timeout(limit, opened).await.map_err(late)? {
                Ok(channel) => return Ok((channel.into_stream(), outer)),
                Err(Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed)) => {
                    return Err(failed("the appliance before it cannot connect to it".to_owned()));
                }
                Err(Error::ChannelOpenFailure(_)) => self.refused.store(true, Ordering::Relaxed),
                Err(error) => return Err(failed(format!("the appliance before it was lost: {error}"))),
            }
        }
        let script = format!("exec nc.openbsd {} {}", quote(target.host()), target.port());
        let channel = timeout(limit, exec(&outer, &script)).await.map_err(late)?.map_err(failed)?;
        Ok((channel.into_stream(), outer))
    }
}

/// A session on the appliance in which `script` was started.
async fn exec(outer: &Connection, script: &str) -> Result<Channel<Msg>, String> {
    let lost = |error: Error| format!("the appliance before it was lost: {error}");
    let mut channel = outer.handle().channel_open_session().await.map_err(lost)?;
    channel.exec(true, script.as_bytes()).await.map_err(lost)?;
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Success) => return Ok(channel),
            Some(ChannelMsg::WindowAdjusted { .. }) => {}
            _ => return Err("the appliance before it neither forwards nor runs `nc.openbsd`".to_owned()),
        }
    }
}
