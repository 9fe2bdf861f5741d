//! The one bridge from blocking callers to the transport's own runtime.

use tokio::runtime::{Builder, Runtime};

use crate::appliance::channel::ChannelError;

/// A runtime of our own, so that callers need none and may not notice one.
pub(crate) struct Bridge {
    runtime: Option<Runtime>,
}

impl Bridge {
    /// Starts the runtime's threads; one per core, at least two and at most eight.
    pub(crate) fn start(target: &str) -> Result<Self, ChannelError> {
        let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8));
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("appliance-ssh")
            .enable_all()
            .build()
            .map_err(|error| ChannelError::Connect {
                target: target.to_owned(),
                reason: format!("no runtime: {error}"),
            })?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Runs a future on the runtime and blocks until it is done; `None` if it was shut down or panicked.
    pub(crate) fn wait<F>(&self, future: F) -> Option<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.runtime.as_ref()?.spawn(async move {
            let _ = sender.send(future.await);
        });
        receiver.recv().ok()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
