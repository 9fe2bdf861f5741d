//! Compares every complete snapshot that was not compared yet with the last good one before it.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;

use super::{
    Assessment, Measures, QuarantineError, Quarantined, Severity, State, gather, judge,
    records::{self, active, all},
};
use crate::{
    retention,
    seal::{Seal, SealKey},
    vault::{Snapshot, SnapshotId, SnapshotList, Vault, VaultError, VaultReader, tree_hex},
};

/// Snapshots that are made up for at most, newest ones.
const LATE_MAX: usize = 16;
/// Comparisons that make the baseline.
const BASELINE: usize = 48;
/// Older snapshots that the appliance may have been restored to.
const EARLIER_MAX: usize = 48;
/// What no comparison looks at in this release.
const NOT_LOOKED: &str = "site administrators of whom the audit log says nothing: they are rows of the database, whose form is not known";

/// How to compare.
#[derive(Clone, Copy, Debug)]
pub struct AssessOptions<'a> {
    /// Where private folders for commits are made; without it moves are not asked of the commits.
    pub scratch: Option<&'a Path>,
    /// Now.
    pub now: Timestamp,
}

/// The complete snapshots of a vault in the order of their seals.
struct Line<'a> {
    places: Vec<(Seal, &'a Snapshot)>,
}

impl<'a> Line<'a> {
    fn of(vault: &Vault, list: &'a SnapshotList) -> Result<Self, VaultError> {
        let mut places = Vec::new();
        for seal in retention::chain(vault, list)? {
            if let Some(one) =
                list.snapshots.iter().find(|one| tree_hex(&one.tree) == seal.manifest.tree && has(one, &seal))
            {
                places.push((seal, one));
            }
        }
        Ok(Self { places })
    }
}

fn has(snapshot: &Snapshot, seal: &Seal) -> bool {
    let read = crate::seal::read(snapshot.description.as_deref(), &tree_hex(&snapshot.tree));
    read.is_ok_and(|read| read.hash == seal.hash)
}

/// Compares what was not compared yet, and what is in quarantine and has another good snapshot before it by now. Returns what
/// was compared, oldest first.
///
/// # Errors
/// The vault cannot be read or written.
pub fn assess(
    vault: &Vault,
    key: &SealKey,
    options: AssessOptions<'_>,
) -> Result<Vec<Assessment>, QuarantineError> {
    let list = vault.snapshots()?;
    let line = Line::of(vault, &list)?;
    let mut known = all(vault)?;
    let mut quarantined = active(vault)?;
    let mut reader: Option<VaultReader> = None;
    let mut done = Vec::new();
    let first = line.places.len().saturating_sub(LATE_MAX);
    for (place, (seal, snapshot)) in line.places.iter().enumerate().skip(first) {
        let good = line.places[..place].iter().rev().find(|(seal, _)| !quarantined.contains_key(&seal.hash));
        // without a good one to compare with, what was said before stands: the good one may be what an attacker deleted
        if good.is_none() && quarantined.contains_key(&seal.hash) {
            continue;
        }
        let base = good.map(|(_, snapshot)| snapshot.id.to_string());
        let is_new = match known.get(&seal.hash) {
            None => true,
            Some(before) => quarantined.contains_key(&seal.hash) && before.base != base,
        };
        if !is_new {
            continue;
        }
        let reader = match &mut reader {
            Some(reader) => reader,
            none => none.insert(vault.index()?),
        };
        let earlier: Vec<&Snapshot> =
            line.places[..place].iter().rev().take(EARLIER_MAX).map(|(_, one)| *one).collect();
        let baseline: Vec<Measures> = line.places[..place]
            .iter()
            .rev()
            .filter(|(seal, _)| !quarantined.contains_key(&seal.hash))
            .filter_map(|(seal, _)| Some(known.get(&seal.hash)?.measures.clone()))
            .take(BASELINE)
            .collect();
        let evidence = match good {
            Some((before, old)) => {
                let (old, new) = ((*old, &before.manifest), (*snapshot, &seal.manifest));
                Some(gather(reader, old, new, &earlier, options.scratch)?)
            }
            None => None,
        };
        let mut not_looked = vec![NOT_LOOKED.to_owned()];
        not_looked.extend(evidence.iter().flat_map(|seen| seen.admins.not_looked.clone()));
        let one = Assessment {
            snapshot: snapshot.id,
            seal: seal.hash.clone(),
            time: snapshot.time,
            base,
            at: options.now,
            measures: evidence.as_ref().map(super::Evidence::measures).unwrap_or_default(),
            findings: evidence.map(|seen| judge(&seen, &baseline)).unwrap_or_default(),
            not_looked,
        };
        set(vault, key, &one, &mut quarantined, options.now)?;
        records::found(vault, key, &one)?;
        known.insert(seal.hash.clone(), one.clone());
        done.push(one);
    }
    Ok(done)
}

/// Puts a snapshot into quarantine, or takes it out, as was found.
fn set(
    vault: &Vault,
    key: &SealKey,
    one: &Assessment,
    quarantined: &mut BTreeMap<String, Quarantined>,
    now: Timestamp,
) -> Result<(), QuarantineError> {
    let high: Vec<&str> = one
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::High)
        .map(|finding| finding.kind.word())
        .collect();
    let is_in = quarantined.contains_key(&one.seal);
    let (state, reason) = match (high.is_empty(), is_in) {
        (true, false) => return Ok(()),
        (true, true) => (State::Cleared, "compared with an acknowledged snapshot nothing is odd".to_owned()),
        (false, _) => (State::Quarantined, high.join(", ")),
    };
    let record = Quarantined { snapshot: one.snapshot, seal: one.seal.clone(), state, reason, at: now };
    records::set(vault, key, &record)?;
    if state == State::Quarantined {
        quarantined.insert(one.seal.clone(), record);
    } else {
        quarantined.remove(&one.seal);
    }
    Ok(())
}

/// The snapshots of a list that are in quarantine: also a copy whose seal is.
///
/// # Errors
/// A record cannot be read.
pub fn quarantined_snapshots(
    vault: &Vault,
    list: &SnapshotList,
) -> Result<BTreeMap<SnapshotId, Quarantined>, VaultError> {
    let active = active(vault)?;
    if active.is_empty() {
        return Ok(BTreeMap::new());
    }
    let of = |one: &Snapshot| {
        let seal = crate::seal::read(one.description.as_deref(), &tree_hex(&one.tree)).ok()?;
        Some((one.id, active.get(&seal.hash)?.clone()))
    };
    Ok(list.snapshots.iter().filter_map(of).collect())
}
