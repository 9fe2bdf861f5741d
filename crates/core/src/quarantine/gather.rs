//! From two snapshots to evidence. What costs much is looked at in samples, another one for each snapshot.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::{
    evidence::{DatasetSizes, Evidence},
    hooks, objects,
    rewinds::{self, Moved},
};
use crate::{
    backup::pages,
    history::{HistoryError, RefTable, admins, diff::keys},
    restore::{entry::show, view::SnapshotView},
    seal::{Manifest, Outcome},
    vault::{Snapshot, VaultReader},
};

/// Repositories whose references are compared one by one at most.
const LOOKED_MAX: usize = 400;
/// Units whose new Git files are looked into at most.
const UNITS_MAX: usize = 48;
/// New Git files of one unit that are looked into at most.
const FILES_MAX: usize = 4;
/// Largest `authorized-keys.json`, in bytes.
const SMALL_MAX: u64 = 16 << 20;

/// A snapshot, what was sealed of it, and the ref digests of its repositories.
pub(super) struct Whole<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) manifest: &'a Manifest,
}

/// Measures `after` beside `before`. With `scratch` moved default branches are asked of the commits; `earlier` are older
/// snapshots, one of which may be what the appliance was restored to.
///
/// # Errors
/// One of them cannot be read.
pub fn gather(
    reader: &VaultReader,
    (before, sealed_before): (&Snapshot, &Manifest),
    (after, sealed_after): (&Snapshot, &Manifest),
    earlier: &[&Snapshot],
    scratch: Option<&Path>,
) -> Result<Evidence, HistoryError> {
    let (old, new) = (
        Whole { snapshot: before, manifest: sealed_before },
        Whole { snapshot: after, manifest: sealed_after },
    );
    let mut seen = Evidence {
        upgraded: old.manifest.version != new.manifest.version,
        other_uuid: old.manifest.uuid != new.manifest.uuid,
        bytes_new: after.bytes_added,
        bytes: new.manifest.datasets.values().map(|dataset| dataset.bytes).sum(),
        ..Evidence::default()
    };
    let names = old.manifest.datasets.keys().chain(new.manifest.datasets.keys());
    for name in names {
        let of = |whole: &Whole<'_>| {
            let dataset = whole.manifest.datasets.get(name)?;
            (dataset.outcome == Outcome::Complete).then_some((dataset.items, dataset.bytes))
        };
        seen.datasets.insert(name.clone(), DatasetSizes { before: of(&old), after: of(&new) });
    }
    let view = |whole: &Whole<'_>| SnapshotView::new(reader, whole.snapshot.tree);
    access(view(&old), view(&new), &mut seen)?;
    seen.admins = admins::between(reader, old.snapshot.tree, new.snapshot.tree)?;
    repositories(reader, &old, &new, scratch, earlier, &mut seen)?;
    git_files(reader, &old, &new, &mut seen)?;
    Ok(seen)
}

fn access(
    before: SnapshotView<'_>,
    after: SnapshotView<'_>,
    seen: &mut Evidence,
) -> Result<(), HistoryError> {
    let read = |view: SnapshotView<'_>| -> Result<BTreeSet<String>, HistoryError> {
        Ok(keys(&view.read(b"authorized-keys.json", SMALL_MAX)?.unwrap_or_default()))
    };
    let (old, new) = (read(before)?, read(after)?);
    seen.keys_added = new.difference(&old).cloned().collect();
    seen.keys_removed = old.difference(&new).cloned().collect();
    (seen.hooks_changed, seen.hooks_removed) = hooks::changed(before, after)?;
    Ok(())
}

type Digests = HashMap<Vec<u8>, Vec<u8>>;

fn digests(reader: &VaultReader, snapshot: &Snapshot) -> Result<Digests, HistoryError> {
    Ok(pages::read_all(reader, snapshot.tree, pages::REFS)?)
}

fn repositories(
    reader: &VaultReader,
    old: &Whole<'_>,
    new: &Whole<'_>,
    scratch: Option<&Path>,
    earlier: &[&Snapshot],
    seen: &mut Evidence,
) -> Result<(), HistoryError> {
    let before = digests(reader, old.snapshot)?;
    seen.repositories = before.len() as u64;
    if pages::are_same(reader, [old.snapshot.tree, new.snapshot.tree], pages::REFS)? {
        return Ok(());
    }
    let after = digests(reader, new.snapshot)?;
    let salt = new.snapshot.id.to_string();
    let mut changed: Vec<&Vec<u8>> =
        before.keys().filter(|path| after.get(*path).is_some_and(|now| *now != before[*path])).collect();
    let vanished: Vec<&Vec<u8>> = before.keys().filter(|path| !after.contains_key(*path)).collect();
    seen.changed = changed.len() as u64;
    let names = if vanished.is_empty() && changed.is_empty() {
        Digests::new()
    } else {
        pages::read_all(reader, old.snapshot.tree, pages::NAMES)?
    };
    let name = |path: &[u8]| {
        names.get(path).map_or_else(|| show(path), |name| String::from_utf8_lossy(name).into_owned())
    };
    seen.vanished = sorted(vanished.iter().map(|path| name(path)));
    changed.sort_by_cached_key(|path| lot(&salt, path));
    let view = |whole: &Whole<'_>| SnapshotView::new(reader, whole.snapshot.tree);
    let (mut emptied, mut moved) = (Vec::new(), Vec::<Moved>::new());
    for path in changed.iter().take(LOOKED_MAX) {
        let table = |whole: &Whole<'_>| RefTable::read(view(whole), path).map(Option::unwrap_or_default);
        let (was, is) = (table(old)?, table(new)?);
        seen.looked += 1;
        if is_emptied(&was, &is) {
            emptied.push(name(path));
        }
        moved.extend(rewinds::moved(path, &was, &is));
    }
    seen.emptied = sorted(emptied.into_iter());
    if let Some(scratch) = scratch {
        let (asked, rewound) = rewinds::ask(view(new), &salt, moved, scratch);
        seen.asked = asked;
        seen.rewound = sorted(rewound.iter().map(|path| name(path)));
    }
    if seen.vanished.len() > 2 || seen.emptied.len() > 2 || seen.rewound.len() > 2 {
        let touched: Vec<&Vec<u8>> = changed.into_iter().chain(vanished).collect();
        let mut share: f64 = 0.0;
        for snapshot in earlier {
            let there = digests(reader, snapshot)?;
            let same = touched.iter().filter(|path| there.get(**path) == after.get(**path)).count();
            share = share.max(ratio(same, touched.len()));
        }
        seen.as_before = (!earlier.is_empty()).then_some(share);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a share; its digits do not matter")]
fn ratio(part: usize, of: usize) -> f64 {
    part as f64 / of.max(1) as f64
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Whether the default branch is gone without another one in its place, or most of at least four branches are.
fn is_emptied(before: &RefTable, after: &RefTable) -> bool {
    let branches = |table: &RefTable| {
        table.refs.keys().filter(|name| name.starts_with(b"refs/heads/")).cloned().collect::<BTreeSet<_>>()
    };
    let (was, is) = (branches(before), branches(after));
    let has_default = |table: &RefTable| rewinds::default_branch(table).is_some();
    let left = was.intersection(&is).count();
    (has_default(before) && !has_default(after)) || (was.len() >= 4 && left * 4 < was.len())
}

/// New Git files in a sample of the units that changed.
fn git_files(
    reader: &VaultReader,
    old: &Whole<'_>,
    new: &Whole<'_>,
    seen: &mut Evidence,
) -> Result<(), HistoryError> {
    if pages::are_same(reader, [old.snapshot.tree, new.snapshot.tree], pages::UNITS)? {
        return Ok(());
    }
    let units = |whole: &Whole<'_>| pages::read_all::<Vec<u8>>(reader, whole.snapshot.tree, pages::UNITS);
    let (before, after) = (units(old)?, units(new)?);
    let salt = new.snapshot.id.to_string();
    let is_objects = |path: &[u8]| path.starts_with(b"repositories/") && path.ends_with(b".git/objects");
    let mut changed: Vec<&Vec<u8>> = after
        .iter()
        .filter(|(path, now)| is_objects(path) && before.get(*path) != Some(*now))
        .map(|(path, _)| path)
        .collect();
    changed.sort_by_cached_key(|path| lot(&salt, path));
    for path in changed.into_iter().take(UNITS_MAX) {
        let tree = |whole: &Whole<'_>| {
            reader.node_at(whole.snapshot.tree, path).map(|node| node.and_then(|node| node.subtree))
        };
        let Some(now) = tree(new)? else { continue };
        let (looked, odd) = objects::look(reader, path, (tree(old)?, now), FILES_MAX)?;
        seen.files_looked += looked;
        seen.unreadable.extend(odd);
    }
    seen.unreadable.sort();
    Ok(())
}

/// The place of a path in the order of a snapshot's sample.
fn lot(snapshot: &str, path: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(snapshot).chain_update([0]).chain_update(path).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(head: &str, branches: &[&str]) -> RefTable {
        let refs = branches.iter().map(|name| (format!("refs/heads/{name}").into_bytes(), b"a".to_vec()));
        RefTable { head: format!("ref: refs/heads/{head}").into_bytes(), refs: refs.collect() }
    }

    #[test]
    fn a_repository_is_emptied_when_its_default_branch_or_most_branches_are_gone() {
        let full = table("main", &["main", "a", "b", "c"]);
        assert!(is_emptied(&full, &table("main", &["a", "b", "c"])));
        assert!(is_emptied(&full, &table("main", &[])));
        assert!(!is_emptied(&full, &table("main", &["main", "a"])), "branches are merged and deleted");
        assert!(!is_emptied(&table("main", &["main"]), &table("next", &["next"])), "another default branch");
        assert!(!is_emptied(&table("main", &[]), &table("main", &[])), "it was empty before");
    }
}
