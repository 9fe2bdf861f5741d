//! What the daemon and its web server look at together.

use crate::{cli::operate, config::Settings};
use ghevault_core::{
    state::{History, StateError, StateFolder, Task},
    status::StatusReport,
};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Looks at what is shared; what somebody who panicked left of it is as good.
pub fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the web server sees, too.
#[derive(Debug)]
pub struct Shared {
    /// The settings that hold.
    pub settings: Settings,
    /// The state folder.
    pub state: StateFolder,
    /// The last that each run said.
    pub progress: BTreeMap<Task, String>,
    /// The history as it was when its file looked like this: length and time of its last change.
    history: Option<((u64, i64, i64), Arc<History>)>,
}

impl Shared {
    /// Nothing is known yet.
    #[must_use]
    pub const fn new(settings: Settings, state: StateFolder) -> Self {
        Self { settings, state, progress: BTreeMap::new(), history: None }
    }

    /// The history; read again only when it has changed.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn history(&mut self) -> Result<Arc<History>, StateError> {
        let look = fs::metadata(self.state.history_path())
            .map(|data| (data.len(), data.mtime(), data.mtime_nsec()))
            .unwrap_or_default();
        if let Some((known, history)) = &self.history
            && *known == look
        {
            return Ok(Arc::clone(history));
        }
        let history = Arc::new(self.state.history()?);
        self.history = Some((look, Arc::clone(&history)));
        Ok(history)
    }

    /// The report as of now.
    ///
    /// # Errors
    /// The state folder cannot be read.
    pub fn report(&mut self) -> Result<StatusReport, StateError> {
        let history = self.history()?;
        operate::report(&self.settings, &self.state, &self.progress, &history)
    }
}
