//! One running command on a connection, as the follower sees it.

use std::{sync::Arc, time::Duration};

use ::russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig, client::Msg};
use bytes::Bytes;
use tokio::time::timeout;

use super::connection::Connection;
use crate::appliance::{
    channel::ExitStatus,
    transport::{Event, Remote, Sink},
};

/// Extended data of this type is stderr.
const STDERR: u32 = 1;
/// Longest time for a last message to a connection that may be stuck.
const GOODBYE: Duration = Duration::from_secs(2);

/// A command that was started.
pub(super) struct Session {
    connection: Arc<Connection>,
    channel: Channel<Msg>,
}

impl Session {
    pub(super) fn new(connection: Arc<Connection>, channel: Channel<Msg>) -> Self {
        Self { connection, channel }
    }

    /// Its two halves.
    pub(super) fn split(self) -> (Incoming, Outgoing) {
        let (reader, writer) = self.channel.split();
        let writer = Arc::new(writer);
        (
            Incoming { connection: self.connection, reader, writer: Arc::clone(&writer), closed: false },
            Outgoing { writer },
        )
    }
}

/// What comes from the command.
pub(super) struct Incoming {
    connection: Arc<Connection>,
    reader: ChannelReadHalf,
    writer: Arc<ChannelWriteHalf<Msg>>,
    closed: bool,
}

impl Remote for Incoming {
    async fn event(&mut self) -> Event {
        loop {
            return match self.reader.wait().await {
                Some(ChannelMsg::Data { data }) => Event::Stdout(data),
                Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => Event::Stderr(data),
                Some(ChannelMsg::Eof) => Event::StdoutEnd,
                Some(ChannelMsg::ExitStatus { exit_status }) => Event::Exit(ExitStatus::Code(exit_status)),
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    Event::Exit(ExitStatus::Signal(signal_text(signal_name)))
                }
                Some(ChannelMsg::Close) => {
                    self.closed = true;
                    Event::Closed
                }
                Some(_) => continue,
                None => Event::Gone(self.connection.end()),
            };
        }
    }

    async fn close(self) {
        let Self { connection, reader, writer, closed } = self;
        // Without its receiver the channel cannot stall the connection any more.
        drop(reader);
        let _ = timeout(GOODBYE, async {
            if !closed {
                let _ = writer.close().await;
            }
            if let Some(last) = Arc::into_inner(connection) {
                last.say_goodbye().await;
            }
        })
        .await;
    }
}

fn signal_text(signal: Sig) -> String {
    match signal {
        Sig::Custom(name) => name,
        known => format!("{known:?}"),
    }
}

/// What goes to the command.
pub(super) struct Outgoing {
    writer: Arc<ChannelWriteHalf<Msg>>,
}

impl Sink for Outgoing {
    async fn send(&mut self, bytes: Bytes) -> bool {
        self.writer.data_bytes(bytes).await.is_ok()
    }

    async fn end(self) {
        let _ = self.writer.eof().await;
    }
}
