//! What is measured of a snapshot, beside the one that it is compared with.

use std::collections::BTreeMap;

use crate::history::admins::Appointments;
use serde::{Deserialize, Serialize};

/// Size of one dataset before and after; `None` where it was not part of the backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetSizes {
    /// Items and bytes before.
    pub before: Option<(u64, u64)>,
    /// Items and bytes after.
    pub after: Option<(u64, u64)>,
}

/// Everything that is judged. Lists hold names or paths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Whether the release is another one.
    pub upgraded: bool,
    /// Whether the appliance's UUID is another one.
    pub other_uuid: bool,
    /// Repositories in the snapshot before.
    pub repositories: u64,
    /// Repositories that are gone.
    pub vanished: Vec<String>,
    /// Repositories whose references changed.
    pub changed: u64,
    /// Those of them whose references were compared one by one.
    pub looked: u64,
    /// Those of them that lost their default branch, or most of their branches.
    pub emptied: Vec<String>,
    /// Repositories whose moved default branch was asked of the commits.
    pub asked: u64,
    /// Those of them where it was rewritten.
    pub rewound: Vec<String>,
    /// Of changed and vanished repositories the share that is as one earlier snapshot shows it; none when that was not asked.
    pub as_before: Option<f64>,
    /// New Git files that were looked into.
    pub files_looked: u64,
    /// Those of them that are not what their names say.
    pub unreadable: Vec<String>,
    /// Plain bytes that were new to the vault; none when unknown.
    pub bytes_new: Option<u64>,
    /// Bytes of the whole snapshot.
    pub bytes: u64,
    /// Sizes of datasets.
    pub datasets: BTreeMap<String, DatasetSizes>,
    /// Keys that may enter the admin shell now.
    pub keys_added: Vec<String>,
    /// Keys that may not any more.
    pub keys_removed: Vec<String>,
    /// Who became a site administrator, and who no longer is one.
    pub admins: Appointments,
    /// Files of hooks that are new or other ones.
    pub hooks_changed: Vec<String>,
    /// Files of hooks that are gone.
    pub hooks_removed: Vec<String>,
}

/// The numbers of a comparison, as later ones use them for their baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Repositories that were gone.
    pub vanished: u64,
    /// Repositories that lost their branches.
    pub emptied: u64,
    /// Repositories whose default branch was rewritten, among those that were asked.
    pub rewound: u64,
    /// Share of the snapshot's bytes that was new; none when unknown.
    pub new_share: Option<f64>,
}

impl Evidence {
    /// The numbers that are kept.
    #[must_use]
    pub fn measures(&self) -> Measures {
        Measures {
            vanished: self.vanished.len() as u64,
            emptied: self.emptied.len() as u64,
            rewound: self.rewound.len() as u64,
            new_share: self.new_share(),
        }
    }

    /// Share of the snapshot's bytes that was new.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share; its digits do not matter")]
    pub fn new_share(&self) -> Option<f64> {
        self.bytes_new.filter(|_| self.bytes > 0).map(|new| new as f64 / self.bytes as f64)
    }
}
