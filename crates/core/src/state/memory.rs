//! What a part of the program wants to know again the next time, as JSON in a file of its own.

use serde::{Serialize, de::DeserializeOwned};

use super::{StateError, StateFolder};

impl StateFolder {
    /// What was kept under this file name.
    ///
    /// # Errors
    /// The file cannot be read, or is not what was written.
    pub fn recall<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StateError> {
        let Some(text) = self.read(name)? else { return Ok(None) };
        let damaged = |source: serde_json::Error| StateError::Damaged {
            path: self.path().join(name),
            reason: source.to_string(),
        };
        serde_json::from_str(&text).map(Some).map_err(damaged)
    }

    /// Keeps something under a file name, in place of what was there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep<T: Serialize>(&self, name: &str, what: &T) -> Result<(), StateError> {
        let damaged = |source: serde_json::Error| StateError::Damaged {
            path: self.path().join(name),
            reason: source.to_string(),
        };
        self.write(name, &serde_json::to_vec(what).map_err(damaged)?)
    }
}
