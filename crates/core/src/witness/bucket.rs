//! A notice board in a bucket: one folder per origin.

use super::board::{Board, BoardError};
use crate::vault::NoteBucket;

/// See the module.
#[derive(Debug)]
pub(super) struct BucketBoard(pub(super) NoteBucket);

impl Board for BucketBoard {
    fn place(&self) -> String {
        self.0.place()
    }

    fn origins(&self) -> Result<Vec<String>, BoardError> {
        Ok(self.0.folders()?)
    }

    fn names(&self, origin: &str) -> Result<Vec<String>, BoardError> {
        Ok(self.0.names(origin)?)
    }

    fn read(&self, origin: &str, name: &str) -> Result<Option<String>, BoardError> {
        let bytes = self.0.read(origin, name)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn create(&self, origin: &str, name: &str, text: &str) -> Result<bool, BoardError> {
        Ok(self.0.create(origin, name, text.as_bytes())?)
    }
}
