//! The own vault beside what was published of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::{
    finding::{Finding, FindingKind},
    judge::SLACK,
    log::{Entry, Log},
};
use crate::{
    retention,
    seal::{self, Outcome, Source, chain::Link},
    vault::{Vault, VaultError, tree_hex},
};

/// What a vault holds, as far as its chain is concerned.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Complete seals of snapshots that stand, by hash.
    pub sealed: BTreeMap<String, Entry>,
    /// Complete seals of snapshots that were forgotten, by hash.
    pub forgotten: BTreeMap<String, Entry>,
    /// Snapshots whose file names another moment than their seal: snapshot, file, seal.
    pub redated: Vec<(String, Timestamp, Timestamp)>,
    /// Snapshots whose seal is not theirs or is broken, or whose file cannot be read: snapshot and reason.
    pub broken: Vec<(String, String)>,
}

impl Standing {
    /// Reads snapshots and the records of what was forgotten.
    ///
    /// # Errors
    /// They cannot be listed, or a record is damaged.
    pub fn of(vault: &Vault, now: Timestamp) -> Result<Self, VaultError> {
        let list = vault.snapshots()?;
        let mut standing = Self::default();
        for snapshot in &list.snapshots {
            let seal = match seal::read(snapshot.description.as_deref(), &tree_hex(&snapshot.tree)) {
                Ok(seal) => seal,
                Err(seal::SealError::Missing) => continue,
                Err(error) => {
                    standing.broken.push((snapshot.id.to_string(), error.to_string()));
                    continue;
                }
            };
            let Some(link) = seal.link() else { continue };
            if snapshot.time.as_second() != link.started.as_second() {
                standing.redated.push((snapshot.id.to_string(), snapshot.time, link.started));
            }
            if seal.manifest.outcome != Outcome::Complete {
                continue;
            }
            let lasted = SignedDuration::try_from_secs_f64(seal.manifest.seconds).ok();
            let ended = (seal.manifest.source != Source::Import).then_some(lasted).flatten();
            let ended = ended.and_then(|lasted| link.started.checked_add(lasted).ok());
            standing.sealed.insert(link.hash.clone(), entry(link, ended));
        }
        standing.broken.extend(list.damaged.iter().map(|(id, why)| (id.to_string(), why.to_string())));
        let ghosts = retention::gather(vault, now)?.ghosts;
        standing.forgotten =
            ghosts.into_iter().map(|ghost| (ghost.link.hash.clone(), entry(ghost.link, None))).collect();
        Ok(standing)
    }

    fn get(&self, hash: &str) -> Option<&Entry> {
        self.sealed.get(hash).or_else(|| self.forgotten.get(hash))
    }

    /// Entries that a log does not have yet, each after the one that it follows.
    #[must_use]
    pub fn news(&self, log: &Log) -> Vec<Entry> {
        let mut known: HashSet<&str> = log.entries().iter().map(|entry| entry.hash.as_str()).collect();
        let mut waiting: Vec<&Entry> = self.forgotten.values().chain(self.sealed.values()).collect();
        waiting.sort_by_key(|entry| (entry.started, entry.hash.as_str()));
        let mut news = Vec::new();
        for entry in waiting {
            let mut line = Vec::new();
            let mut next = self.get(&entry.hash);
            // hashes form no circles, but a record that somebody made up may
            while let Some(one) = next.filter(|one| !known.contains(one.hash.as_str())) {
                known.insert(&one.hash);
                line.push(one.clone());
                next = one.previous.as_deref().and_then(|previous| self.get(previous));
            }
            news.extend(line.into_iter().rev());
        }
        news
    }

    /// What of a published history the vault cannot show, and what it shows that cannot be true; `at` is the time of the
    /// newest checkpoint, `own` the public key that signed it.
    #[must_use]
    pub fn compare(&self, origin: &str, own: &str, log: &Log, at: Option<Timestamp>) -> Vec<Finding> {
        let mut findings = BTreeSet::new();
        let mut find = |kind, on: &str, what: String| {
            findings.insert(Finding::new(kind, origin, on, what));
        };
        for entry in log.entries() {
            let Some(here) = self.get(&entry.hash) else {
                let what = format!(
                    "the snapshot of {} with this seal was published, is not in the vault, and was not forgotten",
                    entry.started
                );
                find(FindingKind::Removed, &entry.hash, what);
                continue;
            };
            let same =
                here.previous == entry.previous && here.started == entry.started && here.key == entry.key;
            if !same {
                find(FindingKind::Swapped, &entry.hash, "the vault tells another story of this seal".into());
            }
        }
        let whole = log.clone().with(&self.news(log));
        let mut followed: HashSet<(&str, &str)> = HashSet::new();
        let mut before: HashSet<&str> = HashSet::new();
        for (place, entry) in whole.entries().iter().enumerate() {
            before.insert(&entry.hash);
            let Some(previous) = entry.previous.as_deref() else { continue };
            let is_new = place >= log.size();
            if !followed.insert((previous, &entry.key)) && is_new {
                let what = format!("another seal of the same key follows {previous}, too");
                find(FindingKind::Fork, &entry.hash, what);
            }
            if is_new && log.size() > 0 && !before.contains(previous) {
                let what = format!("{} follows this seal, which the vault does not know", entry.hash);
                find(FindingKind::Removed, previous, what);
            }
        }
        for entry in &whole.entries()[log.size()..] {
            let late = |at: &Timestamp| entry.ended.is_some_and(|ended| ended + SLACK < *at);
            if let Some(at) = at.filter(|at| entry.key == own && late(at)) {
                let what = format!("it shows {}, but the checkpoint of {at} did not know it", entry.started);
                find(FindingKind::BackDated, &entry.hash, what);
            }
        }
        for (snapshot, file, seal) in &self.redated {
            find(FindingKind::BackDated, snapshot, format!("its file says {file}, its seal {seal}"));
        }
        for (snapshot, why) in &self.broken {
            find(FindingKind::Swapped, snapshot, why.clone());
        }
        findings.into_iter().collect()
    }
}

fn entry(link: Link, ended: Option<Timestamp>) -> Entry {
    Entry { hash: link.hash, previous: link.previous, started: link.started, ended, key: link.key }
}
