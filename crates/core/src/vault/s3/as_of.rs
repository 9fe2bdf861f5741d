//! A bucket as it was at a moment: of every file the newest version that was written by then.
//!
//! Who may delete but not delete versions hides files behind delete markers. Markers that came after the moment count for
//! nothing here, and neither does what was written after it.

use super::{
    super::error::VaultResult,
    bucket::{Bucket, Listed},
};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
};

/// One version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// The store's name for it.
    pub id: String,
    /// Bytes.
    pub size: u64,
    /// When it was written.
    pub modified: Timestamp,
}

/// What is known of a file's past while the versions are listed.
#[derive(Default)]
struct Past {
    version: Option<Version>,
    hidden: Option<Timestamp>,
}

/// The files of one moment, by name below the vault.
#[derive(Debug, Default)]
pub(super) struct Files(BTreeMap<String, Version>);

/// Files of a moment, listed when they are first asked for.
pub(super) struct Versions {
    moment: Timestamp,
    files: Mutex<Option<Arc<Files>>>,
}

impl Past {
    fn wrote(&mut self, version: Version) {
        if self.version.as_ref().is_none_or(|known| version.modified > known.modified) {
            self.version = Some(version);
        }
    }

    fn hid(&mut self, when: Timestamp) {
        self.hidden = self.hidden.max(Some(when));
    }

    /// The version that could be read. Times are seconds: of a tie the content wins.
    fn seen(self) -> Option<Version> {
        self.version.filter(|version| self.hidden.is_none_or(|hidden| hidden <= version.modified))
    }
}

impl Versions {
    pub(super) fn new(moment: Timestamp) -> Self {
        Self { moment, files: Mutex::default() }
    }

    pub(super) fn load(&self, bucket: &Bucket) -> VaultResult<Arc<Files>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(files) = &*files {
            return Ok(Arc::clone(files));
        }
        let loaded = Arc::new(list(bucket, self.moment)?);
        *files = Some(Arc::clone(&loaded));
        Ok(loaded)
    }
}

impl Files {
    pub(super) fn get(&self, name: &str) -> Option<&Version> {
        self.0.get(name)
    }

    pub(super) fn below(&self, folder: &str, after: &str) -> Vec<Listed> {
        let start = format!("{folder}{after}");
        self.0
            .range::<str, _>((Bound::Excluded(&*start), Bound::Unbounded))
            .map_while(|(name, version)| Some((name.strip_prefix(folder)?, version)))
            .map(|(name, version)| Listed {
                name: name.to_owned(),
                size: version.size,
                modified: version.modified,
            })
            .collect()
    }
}

fn list(bucket: &Bucket, until: Timestamp) -> VaultResult<Files> {
    let mut pasts: BTreeMap<String, Past> = BTreeMap::new();
    for found in bucket.list_versions("")? {
        if found.modified > until {
            continue;
        }
        let past = pasts.entry(found.name).or_default();
        if found.marker {
            past.hid(found.modified);
        } else {
            past.wrote(Version { id: found.version, size: found.size, modified: found.modified });
        }
    }
    Ok(Files(pasts.into_iter().filter_map(|(name, past)| Some((name, past.seen()?))).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn version(id: &str, second: i64) -> Version {
        Version { id: id.into(), size: 1, modified: at(second) }
    }

    fn seen(versions: &[(&str, i64)], markers: &[i64]) -> Option<String> {
        let mut past = Past::default();
        for (id, second) in versions {
            past.wrote(version(id, *second));
        }
        for second in markers {
            past.hid(at(*second));
        }
        past.seen().map(|version| version.id)
    }

    #[test]
    fn the_newest_version_is_seen_unless_a_later_marker_hides_it() {
        assert_eq!(seen(&[("new", 7), ("old", 3)], &[]).as_deref(), Some("new"));
        assert_eq!(seen(&[("new", 7)], &[5]).as_deref(), Some("new"));
        assert_eq!(seen(&[("new", 7)], &[9]), None);
        assert_eq!(seen(&[], &[9]), None);
        assert_eq!(
            seen(&[("first listed is newer", 7), ("old", 7)], &[7]).as_deref(),
            Some("first listed is newer")
        );
    }

    #[test]
    fn listings_are_those_of_one_folder_after_a_name() {
        let names = ["data/ab/1", "ghevault/leases/1", "ghevault/leases/2", "index/x"];
        let files = Files(names.into_iter().map(|name| (name.to_owned(), version("v", 1))).collect());
        let below = |folder, after| -> Vec<String> {
            files.below(folder, after).into_iter().map(|file| file.name).collect()
        };
        assert_eq!(below("ghevault/leases/", ""), ["1", "2"]);
        assert_eq!(below("ghevault/leases/", "1"), ["2"]);
        assert_eq!(below("data/", ""), ["ab/1"]);
        assert!(below("snapshots/", "").is_empty());
    }
}
