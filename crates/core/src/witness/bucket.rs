//! A notice board in a bucket: one folder per origin.

use std::thread;

use super::board::{Board, BoardError, BoardFile, read_each};
use crate::vault::NoteBucket;

/// Files that are read at once: a board of a year has some thousands, and each is one request.
const AT_ONCE: usize = 16;

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

    fn files(&self, origin: &str) -> Result<Vec<BoardFile>, BoardError> {
        let names = self.names(origin)?;
        let share = names.len().div_ceil(AT_ONCE).max(1);
        thread::scope(|scope| {
            let shares: Vec<_> = names
                .chunks(share)
                .map(|names| scope.spawn(|| read_each(self, origin, names.to_vec())))
                .collect();
            let mut files = Vec::with_capacity(names.len());
            for one in shares {
                files.extend(one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
            }
            Ok(files)
        })
    }

    fn create(&self, origin: &str, name: &str, text: &str) -> Result<bool, BoardError> {
        Ok(self.0.create(origin, name, text.as_bytes())?)
    }
}
