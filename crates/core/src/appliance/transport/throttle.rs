//! A bandwidth limit over any channel: bulk streams share one budget of bytes per second, both directions together.
//!
//! Commands on the shared connection are charged to the budget but never made to wait, so that a gate's heartbeat
//! passes a saturated line.

use std::{
    io::{self, Read, Write},
    num::NonZeroU64,
    sync::{Arc, Mutex, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::appliance::channel::{Channel, ChannelError, Exit, RemoteCommand, Running};

/// Longest time that one read or write is made to wait, by keeping its size below what passes in that time.
const STEP: Duration = Duration::from_millis(100);

/// A channel whose bulk streams together stay below a rate.
pub struct Throttled<C> {
    channel: C,
    budget: Arc<Budget>,
}

impl<C: Channel> Throttled<C> {
    /// Limits `channel` to `bytes_per_second`.
    pub fn new(channel: C, bytes_per_second: NonZeroU64) -> Self {
        Self {
            channel,
            budget: Arc::new(Budget { rate: bytes_per_second, free_at: Mutex::new(Instant::now()) }),
        }
    }
}

impl<C: Channel> Channel for Throttled<C> {
    fn start(&self, command: &RemoteCommand) -> Result<Box<dyn Running>, ChannelError> {
        let running = self.channel.start(command)?;
        Ok(Box::new(ThrottledRunning { running, budget: Arc::clone(&self.budget), waits: command.bulk }))
    }

    fn host_key(&self) -> Option<String> {
        self.channel.host_key()
    }
}

struct ThrottledRunning {
    running: Box<dyn Running>,
    budget: Arc<Budget>,
    waits: bool,
}

impl ThrottledRunning {
    fn wrap<T>(&self, inner: T) -> Metered<T> {
        Metered { inner, budget: Arc::clone(&self.budget), waits: self.waits }
    }
}

impl Running for ThrottledRunning {
    fn take_stdin(&mut self) -> Option<Box<dyn Write + Send>> {
        let inner = self.running.take_stdin()?;
        Some(Box::new(self.wrap(inner)))
    }

    fn take_stdout(&mut self) -> Option<Box<dyn Read + Send>> {
        let inner = self.running.take_stdout()?;
        Some(Box::new(self.wrap(inner)))
    }

    fn wait(self: Box<Self>) -> Result<Exit, ChannelError> {
        self.running.wait()
    }
}

/// Bytes per second, and the moment until which they are spent.
struct Budget {
    rate: NonZeroU64,
    free_at: Mutex<Instant>,
}

impl Budget {
    /// Bytes that pass within one [`STEP`], at least one.
    fn step_bytes(&self) -> usize {
        let bytes = u128::from(self.rate.get()) * STEP.as_millis() / 1000;
        usize::try_from(bytes).unwrap_or(usize::MAX).max(1)
    }

    /// Spends `bytes` and returns how long to wait for them.
    fn spend(&self, bytes: usize, now: Instant) -> Duration {
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.rate.get());
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let start = (*free_at).max(now);
        *free_at = start + cost;
        free_at.saturating_duration_since(now)
    }
}

/// A stream whose bytes are charged to the budget.
struct Metered<T> {
    inner: T,
    budget: Arc<Budget>,
    waits: bool,
}

impl<T> Metered<T> {
    fn limit(&self, wanted: usize) -> usize {
        if self.waits { wanted.min(self.budget.step_bytes()) } else { wanted }
    }

    fn charge(&self, bytes: usize) {
        let wait = self.budget.spend(bytes, Instant::now());
        if self.waits && !wait.is_zero() {
            sleep(wait);
        }
    }
}

impl<T: Read> Read for Metered<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = self.limit(buffer.len());
        let length = self.inner.read(&mut buffer[..limit])?;
        self.charge(length);
        Ok(length)
    }
}

impl<T: Write> Write for Metered<T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(&buffer[..self.limit(buffer.len())])?;
        self.charge(length);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(rate: u64, now: Instant) -> Budget {
        Budget { rate: NonZeroU64::new(rate).expect("a rate"), free_at: Mutex::new(now) }
    }

    #[test]
    fn all_spenders_wait_for_the_same_budget() {
        let now = Instant::now();
        let budget = budget(1000, now);
        assert_eq!(budget.spend(500, now), Duration::from_millis(500));
        assert_eq!(budget.spend(1000, now), Duration::from_millis(1500));
        assert_eq!(budget.spend(500, now + Duration::from_secs(1)), Duration::from_secs(1));
    }

    #[test]
    fn an_idle_budget_saves_nothing_up() {
        let now = Instant::now();
        let budget = budget(1000, now);
        assert_eq!(budget.spend(100, now + Duration::from_mins(1)), Duration::from_millis(100));
    }

    #[test]
    fn steps_are_never_empty() {
        assert_eq!(budget(1, Instant::now()).step_bytes(), 1);
        assert_eq!(budget(1_000_000, Instant::now()).step_bytes(), 100_000);
    }
}
