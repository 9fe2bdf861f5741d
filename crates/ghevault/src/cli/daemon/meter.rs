//! Sends the daemon's metrics while it lives. Nothing waits for it; what it says of a receiver that is away, it says once.

use super::shared::{Shared, lock};
use crate::cli::otlp::Exporter;
use std::sync::{Arc, Mutex};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

/// Sends until it is dropped.
pub struct Meter(JoinHandle<()>);

impl Meter {
    /// Starts to send.
    pub fn start(exporter: Exporter, shared: &Arc<Mutex<Shared>>) -> Self {
        Self(tokio::spawn(send(exporter, Arc::clone(shared))))
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn send(exporter: Exporter, shared: Arc<Mutex<Shared>>) {
    let mut turn = interval(exporter.every);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = None;
    loop {
        turn.tick().await;
        let report = lock(&shared).report();
        let end = match report {
            Ok(report) => exporter.send(&report).await,
            Err(error) => Err(error.to_string()),
        };
        match (&end, &trouble) {
            (Err(why), None) => tracing::warn!("metrics were not sent: {why}; it goes on trying"),
            (Ok(()), Some(_)) => tracing::info!("metrics are sent again"),
            _ => {}
        }
        trouble = end.err();
    }
}
