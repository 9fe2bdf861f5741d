//! The limits of one command: its whole time, and the silence it may keep.

use std::{
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::fault::Fault;
use crate::appliance::channel::RemoteCommand;

/// When something last moved on a command's streams.
pub(super) struct Pulse {
    since: Instant,
    last_ms: AtomicU64,
}

impl Pulse {
    /// A pulse that counts from a moment.
    pub(super) fn new(since: Instant) -> Self {
        Self { since, last_ms: AtomicU64::new(0) }
    }

    /// Something moved just now.
    pub(super) fn beat(&self) {
        let passed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(passed, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.since + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }
}

/// The limits of a command, as timers.
pub(super) struct Limits {
    deadline: Option<(Pin<Box<Sleep>>, Duration)>,
    idle: Option<(Pin<Box<Sleep>>, Duration)>,
}

impl Limits {
    /// Starts the timers.
    pub(super) fn start(command: &RemoteCommand, now: Instant) -> Self {
        let timer = |limit: Option<Duration>| limit.map(|limit| (Box::pin(sleep_until(now + limit)), limit));
        Self { deadline: timer(command.deadline), idle: timer(command.idle) }
    }

    /// Waits for the end of the command's time.
    pub(super) async fn over(&mut self) -> Fault {
        match &mut self.deadline {
            Some((timer, after)) => {
                timer.as_mut().await;
                Fault::Timeout { what: "did not end", after: *after }
            }
            None => std::future::pending().await,
        }
    }

    /// Waits for the end of the command's time, or for a silence that is too long.
    pub(super) async fn over_or_idle(&mut self, pulse: &Pulse) -> Fault {
        loop {
            let idle_over = async {
                match &mut self.idle {
                    Some((timer, _)) => timer.as_mut().await,
                    None => std::future::pending().await,
                }
            };
            let deadline_over = async {
                match &mut self.deadline {
                    Some((timer, after)) => {
                        timer.as_mut().await;
                        *after
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                after = deadline_over => return Fault::Timeout { what: "did not end", after },
                () = idle_over => {}
            }
            // The timer is only moved when it runs out: no work per byte.
            if let Some((timer, after)) = &mut self.idle {
                let due = pulse.last() + *after;
                if due <= Instant::now() {
                    return Fault::Timeout { what: "stalled", after: *after };
                }
                timer.as_mut().reset(due);
            }
        }
    }
}
