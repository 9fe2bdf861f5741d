//! `ghevault daemon`: starts what is due, for years.
//!
//! Every run is a process of its own, so that its crash or its memory is not the daemon's. What must not be forgotten stands in the state
//! folder before it is acted on; after `kill -9` at any point the next daemon goes on from there. The decision what to start is the
//! core's ([`decide`](ghevault_core::schedule::decide)); here are only processes, signals and time.

mod board;
mod child;
mod door;
mod earlier;
mod herald;
mod keeper;
#[cfg(feature = "otlp")]
mod meter;
mod relay;
mod server;
mod shared;
mod words;

use super::{Invocation, operate};
use crate::{
    config::operation::Access,
    error::{CommandError, CommandResult, Kind},
};
use clap::Args;
use door::Door;
use keeper::{Keeper, Wake};
use std::time::Duration;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

/// Longest time without a look at the clock and the state folder: wall clocks jump, and runs are started by hand.
const LOOK: Duration = Duration::from_secs(15);
/// Longest wait for runs to end after SIGTERM; what they hold on an appliance ends by itself.
const END: Duration = Duration::from_secs(8);

/// Run backups, verifications and retention by schedule, and serve the status page: the main process of a container.
///
/// What is due is started as a process of its own, never beside itself; what was missed is caught up once. SIGTERM ends it within 10 s
/// with maintenance released; SIGHUP reads the configuration again, and keeps the old one if the new one is wrong. The log goes to stdout,
/// as JSON unless log_format says otherwise.
#[derive(Debug, Args)]
pub struct DaemonArgs {}

/// Runs until it is told to end.
///
/// # Errors
/// Nothing is scheduled; another daemon uses the state folder; the state folder cannot be used.
pub fn run(_: &DaemonArgs, invocation: &Invocation) -> CommandResult {
    let _asked = invocation.interrupt.cooperative();
    operate::runtime()?.block_on(serve(invocation))
}

/// The loop.
async fn serve(invocation: &Invocation) -> CommandResult {
    let mut end = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut reload = listen(SignalKind::hangup())?;
    let mut keeper = Keeper::begin(invocation)?;
    let mut server = server::start(keeper.shared(), Door::open(invocation, &access(&keeper))?).await;
    loop {
        let wait = keeper.act()?.min(LOOK);
        tokio::select! {
            _ = end.recv() => break,
            _ = interrupt.recv() => break,
            _ = reload.recv() => {
                if keeper.reload(invocation) {
                    if let Some(old) = server.take() {
                        old.abort();
                    }
                    // A token that cannot be fetched must not open the door; the backups go on.
                    match Door::open(invocation, &access(&keeper)) {
                        Ok(door) => server = server::start(keeper.shared(), door).await,
                        Err(error) => tracing::error!("the status page is not served: {}", error.one_line()),
                    }
                }
            }
            wake = keeper.wake() => match wake {
                Wake::Ended(ended) => keeper.ended(&ended)?,
                Wake::Said { task, line } => keeper.said(task, &line),
            },
            () = sleep(wait) => {}
        }
    }
    keeper.end(END).await
}

/// Who may look at what is served.
fn access(keeper: &Keeper) -> Access {
    keeper.with(|shared| shared.settings.operation.access.clone())
}

fn listen(kind: SignalKind) -> CommandResult<Signal> {
    signal(kind).map_err(|error| CommandError::from_error(Kind::Failure, &error))
}
