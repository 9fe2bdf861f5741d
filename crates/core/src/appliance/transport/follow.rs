//! Follows one running command from its start to its end, the same way for every transport.
//!
//! A transport only says what it sees ([`Event`]); limits, the bounded pipes, what counts as a complete end and what
//! happens when the caller loses interest are decided here, once.

use std::{
    io::{Read, Write},
    sync::Arc,
};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    bridge::Bridge,
    fault::Fault,
    limits::{Limits, Pulse},
    stderr::KeptStderr,
    stdio::{Fed, StdinWriter, StdoutFeed, StdoutReader, stdin_pipe, stdout_pipe},
};
use crate::appliance::channel::{ChannelError, Exit, ExitStatus, RemoteCommand, Running};

/// What a transport sees of a running command.
pub(crate) enum Event {
    /// Bytes of its stdout.
    Stdout(Bytes),
    /// Bytes of its stderr.
    Stderr(Bytes),
    /// Its stdout is complete.
    StdoutEnd,
    /// Its exit status.
    Exit(ExitStatus),
    /// The remote side closed the command's channel; nothing follows.
    Closed,
    /// The connection is gone, with what is known about it; nothing follows.
    Gone(String),
}

/// The reading half of a running command.
pub(crate) trait Remote: Send + 'static {
    /// The next thing that happens; may be dropped and asked for again without losing anything.
    fn event(&mut self) -> impl Future<Output = Event> + Send;
    /// Lets go of the command; the remote side sees hang-up if it still runs.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// The writing half of a running command.
pub(crate) trait Sink: Send + 'static {
    /// Sends bytes, waiting until there is room; `false` when the command takes no more.
    fn send(&mut self, bytes: Bytes) -> impl Future<Output = bool> + Send;
    /// End of input.
    fn end(self) -> impl Future<Output = ()> + Send;
}

/// A command that is being followed, as its caller holds it.
pub(crate) struct Followed {
    label: String,
    stdin: Option<StdinWriter>,
    stdout: Option<StdoutReader>,
    end: oneshot::Receiver<Result<Exit, Fault>>,
    /// Dropped with the caller's interest.
    _interest: oneshot::Sender<()>,
    /// The runtime lives at least as long as the command.
    _bridge: Arc<Bridge>,
}

/// The task's side of [`Followed`], made before the command starts.
pub(crate) struct Following {
    stdout: StdoutFeed,
    stdin: mpsc::Receiver<Bytes>,
    end: oneshot::Sender<Result<Exit, Fault>>,
    interest: oneshot::Receiver<()>,
}

/// Makes both sides for a command.
fn prepare(bridge: Arc<Bridge>, command: &RemoteCommand) -> (Followed, Following) {
    let (stdout, reader) = stdout_pipe(&command.label, command.bulk);
    let (writer, stdin) = stdin_pipe();
    let (end_sender, end) = oneshot::channel();
    let (interest_sender, interest) = oneshot::channel();
    let followed = Followed {
        label: command.label.clone(),
        stdin: Some(writer),
        stdout: Some(reader),
        end,
        _interest: interest_sender,
        _bridge: bridge,
    };
    (followed, Following { stdout, stdin, end: end_sender, interest })
}

impl Running for Followed {
    fn take_stdin(&mut self) -> Option<Box<dyn Write + Send>> {
        self.stdin.take().map(|writer| Box::new(writer) as _)
    }

    fn take_stdout(&mut self) -> Option<Box<dyn Read + Send>> {
        self.stdout.take().map(|reader| Box::new(reader) as _)
    }

    fn wait(mut self: Box<Self>) -> Result<Exit, ChannelError> {
        self.stdin = None;
        self.stdout = None;
        let gone = || Fault::Ended { reason: "the transport was shut down".to_owned() };
        let Self { end, label, _interest, _bridge, .. } = *self;
        end.blocking_recv().unwrap_or_else(|_| Err(gone())).map_err(|fault| fault.into_error(&label))
    }
}

/// Starts `command` in the session that `open` gives, and follows it to its end in the background.
///
/// # Errors
/// There is no session, or the transport was shut down.
pub(crate) fn launch<F, R, S>(
    bridge: &Arc<Bridge>,
    command: &RemoteCommand,
    open: impl FnOnce(RemoteCommand) -> F,
) -> Result<Box<dyn Running>, ChannelError>
where
    F: Future<Output = Result<(R, S), ChannelError>> + Send + 'static,
    R: Remote + Send + 'static,
    S: Sink + Send + 'static,
{
    let (followed, following) = prepare(Arc::clone(bridge), command);
    let owned = command.clone();
    let started = Instant::now();
    let session = open(command.clone());
    let start = async move {
        let (remote, sink) = session.await?;
        tokio::spawn(async move { following.run(&owned, started, remote, sink).await });
        Ok(())
    };
    let shut_down = || {
        Err(ChannelError::Ended {
            label: command.label.clone(),
            reason: "the transport was shut down".to_owned(),
        })
    };
    bridge.wait(start).unwrap_or_else(shut_down)?;
    Ok(Box::new(followed))
}

impl Following {
    /// Follows the command to its end; `started` is when its time began.
    pub(crate) async fn run<R: Remote, S: Sink>(
        self,
        command: &RemoteCommand,
        started: Instant,
        mut remote: R,
        sink: S,
    ) {
        let Self { mut stdout, stdin, end, interest } = self;
        let pulse = Arc::new(Pulse::new(started));
        pulse.beat();
        let feeder = tokio::spawn(feed_stdin(stdin, sink, Arc::clone(&pulse)));
        let limits = Limits::start(command, started);
        let verdict = follow(&mut remote, limits, &mut stdout, interest, &pulse).await;
        feeder.abort();
        match &verdict {
            Ok(_) => stdout.end(),
            Err(fault) => stdout.break_off(fault),
        }
        let _ = end.send(verdict);
        remote.close().await;
    }
}

async fn feed_stdin<S: Sink>(mut pieces: mpsc::Receiver<Bytes>, mut sink: S, pulse: Arc<Pulse>) {
    while let Some(piece) = pieces.recv().await {
        if !sink.send(piece).await {
            return;
        }
        pulse.beat();
    }
    sink.end().await;
}

async fn follow<R: Remote>(
    remote: &mut R,
    mut limits: Limits,
    stdout: &mut StdoutFeed,
    mut interest: oneshot::Receiver<()>,
    pulse: &Pulse,
) -> Result<Exit, Fault> {
    let dropped = || Fault::Ended { reason: "the command was dropped".to_owned() };
    let mut stderr = KeptStderr::default();
    let mut status = None;
    loop {
        let event = tokio::select! {
            biased;
            _ = &mut interest => return Err(dropped()),
            fault = limits.over_or_idle(pulse) => return Err(fault),
            event = remote.event() => event,
        };
        pulse.beat();
        match event {
            Event::Stdout(bytes) => {
                let size = bytes.len();
                let fed = tokio::select! {
                    biased;
                    _ = &mut interest => return Err(dropped()),
                    fault = limits.over() => return Err(fault),
                    fed = stdout.feed(bytes) => fed,
                };
                if fed == Fed::Full {
                    return Err(Fault::Unread { bytes: super::stdio::SHARED_BYTES_WAITING + size });
                }
                // The time that the reader took is not the remote side's silence.
                pulse.beat();
            }
            Event::Stderr(bytes) => stderr.push(&bytes),
            Event::StdoutEnd => stdout.end(),
            Event::Exit(exit) => status = Some(exit),
            Event::Closed => {
                return match status {
                    Some(status) => Ok(Exit { status, stderr: stderr.into_bytes() }),
                    None => Err(Fault::Ended {
                        reason: "the remote side closed the channel without an exit status".to_owned(),
                    }),
                };
            }
            Event::Gone(reason) => return Err(Fault::Ended { reason }),
        }
    }
}
