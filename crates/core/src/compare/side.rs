//! One of the two that are compared.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use jiff::Timestamp;
use serde::Serialize;

use super::{CompareError, ReferenceKey, RepositoryKey};

/// One snapshot of a side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Look {
    /// The snapshot: its id, or the hash of its seal when only its sheet is known.
    pub snapshot: String,
    /// Start of the backup.
    pub started: Timestamp,
    /// Its end: references were read somewhere between.
    pub ended: Timestamp,
}

/// References of a repository: keys and shown values.
pub type Table = BTreeMap<ReferenceKey, String>;

/// Ref digests of all repositories in one look.
pub type Digests = HashMap<RepositoryKey, [u8; 32]>;

/// One of the two that are compared.
pub trait Side {
    /// In words.
    fn place(&self) -> String;
    /// Its looks, oldest first.
    fn looks(&self) -> &[Look];
    /// The ref digests of a look.
    ///
    /// # Errors
    /// They cannot be read.
    fn digests(&self, at: usize) -> Result<Rc<Digests>, CompareError>;
    /// The references of one repository in a look; `None` when it is not there.
    ///
    /// # Errors
    /// They cannot be read.
    fn table(&self, at: usize, repository: &RepositoryKey) -> Result<Option<Table>, CompareError>;
}
