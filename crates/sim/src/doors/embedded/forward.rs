//! Forwarded connections (`ssh -W`, `ssh -J`): the way to other machines of a fleet through this one (contract §7.3).

use russh::{Channel, ChannelOpenFailure, server::Msg};
use tokio::net::TcpStream;

use crate::appliance::{Place, State, membership::Membership};

/// Connects to where a client wants to go, unless the appliance forwards nothing.
pub(super) async fn connect(place: &Place, host: &str, port: u32) -> Result<TcpStream, ChannelOpenFailure> {
    let state = State::load(place).map_err(|_| ChannelOpenFailure::ConnectFailed)?;
    if state.knobs.no_forwarding {
        return Err(ChannelOpenFailure::AdministrativelyProhibited);
    }
    let port = u16::try_from(port).map_err(|_| ChannelOpenFailure::ConnectFailed)?;
    let there = match Membership::load(place) {
        Ok(Some(membership)) => membership.lead(host, port),
        _ => (host.to_owned(), port),
    };
    TcpStream::connect(there).await.map_err(|_| ChannelOpenFailure::ConnectFailed)
}

/// Passes bytes both ways until both ends are done.
pub(super) async fn join(channel: Channel<Msg>, mut stream: TcpStream) {
    // An end that goes away ends the other; whoever used the connection sees it.
    let _ = tokio::io::copy_bidirectional(&mut channel.into_stream(), &mut stream).await;
}
