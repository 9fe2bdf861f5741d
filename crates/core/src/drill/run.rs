//! The storyline: choose, give back, prove, report.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Instant,
};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    archives, database, redis,
    report::{DrillDepth, DrillReport, FORMAT, Proof},
    repositories, secrets, storage,
};
use crate::{
    backup::pages,
    progress::{Event, Progress},
    restore::{appliance::content::SnapshotContent, view::SnapshotView},
    vault::{Snapshot, VaultError, VaultReader},
};

/// How to drill.
#[derive(Clone, Debug)]
pub struct DrillOptions {
    /// How much.
    pub depth: DrillDepth,
    /// Repositories, and storage objects, of a sample.
    pub sample: usize,
    /// A folder below which a private one is made.
    pub scratch: PathBuf,
    /// Where programs of this host are looked for.
    pub path: Option<OsString>,
}

impl DrillOptions {
    /// A sample of a hundred.
    #[must_use]
    pub fn new(scratch: impl Into<PathBuf>, path: Option<OsString>) -> Self {
        Self { depth: DrillDepth::Sample, sample: 100, scratch: scratch.into(), path }
    }
}

/// Why a drill could not be held.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The snapshot cannot be read at all.
    #[error(transparent)]
    View(#[from] crate::restore::view::ViewError),
    /// The private folder cannot be made.
    #[error("cannot make a private folder in {folder}")]
    Scratch {
        /// Where.
        folder: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

/// Drills a snapshot.
///
/// # Errors
/// Nothing could be looked at. What does not hold is in the report.
pub fn run(
    reader: &VaultReader,
    snapshot: &Snapshot,
    options: &DrillOptions,
    progress: &dyn Progress,
) -> Result<DrillReport, DrillError> {
    let (started, clock) = (Timestamp::now(), Instant::now());
    let view = SnapshotView::new(reader, snapshot.tree);
    let content = SnapshotContent::read(view)?;
    let scratch = tempfile::Builder::new()
        .prefix(".ghevault-drill-")
        .tempdir_in(&options.scratch)
        .map_err(|source| DrillError::Scratch { folder: options.scratch.clone(), source })?;
    let path = options.path.as_deref();
    progress.event(Event::Started { part: repositories::PART, bytes_expected: None });
    let all: BTreeSet<Vec<u8>> =
        pages::read_all::<Vec<u8>>(reader, snapshot.tree, pages::REFS)?.into_keys().collect();
    let id = snapshot.id.to_string();
    let chosen = chosen(&all, &id, options);
    let mut bytes = 0;
    let mut proofs = Vec::new();
    let mut timed = |make: &mut dyn FnMut(&Path) -> (Vec<Proof>, u64)| {
        let clock = Instant::now();
        let (mut made, read) = make(scratch.path());
        bytes += read;
        if let Some(first) = made.first_mut() {
            first.seconds = clock.elapsed().as_secs_f64();
        }
        proofs.append(&mut made);
    };
    let one = |(proof, read): (Proof, u64)| (vec![proof], read);
    timed(&mut |scratch| one(repositories::prove(view, all.len(), &chosen, scratch, progress)));
    timed(&mut |scratch| one(database::prove(view, &content, scratch, path)));
    timed(&mut |scratch| (vec![redis::prove(view, scratch, path)], 0));
    let objects = content.amount("storage").files;
    let sampled =
        |path: &[u8]| options.depth == DrillDepth::Full || in_sample(&id, path, objects, options.sample);
    timed(&mut |_| one(storage::prove(view, &sampled)));
    timed(&mut |_| (archives::prove(view, path), 0));
    timed(&mut |_| (vec![secrets::prove(&content)], 0));
    let verdict = DrillReport::verdict_of(&proofs);
    progress.event(Event::Ended { part: repositories::PART, ok: verdict != super::DrillVerdict::Failed });
    Ok(DrillReport {
        format: FORMAT,
        verdict,
        snapshot: id,
        snapshot_time: snapshot.time.to_string(),
        started: started.to_string(),
        seconds: clock.elapsed().as_secs_f64(),
        depth: options.depth,
        release: content.version.map(|version| version.to_string()).unwrap_or_default(),
        bytes,
        proofs,
        program: concat!("ghevault ", env!("CARGO_PKG_VERSION")).into(),
    })
}

/// The place of a path in the order of a snapshot's sample: another one for each snapshot, so that samples rotate.
fn lot(snapshot: &str, path: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(snapshot).chain_update([0]).chain_update(path).finalize().into()
}

/// The repositories that are looked at.
fn chosen(all: &BTreeSet<Vec<u8>>, snapshot: &str, options: &DrillOptions) -> Vec<Vec<u8>> {
    let mut paths: Vec<Vec<u8>> = all.iter().cloned().collect();
    if options.depth == DrillDepth::Sample && paths.len() > options.sample {
        paths.sort_by_cached_key(|path| lot(snapshot, path));
        paths.truncate(options.sample);
        paths.sort();
    }
    paths
}

/// Whether one of `of` things is in a sample of about `sample`.
fn in_sample(snapshot: &str, path: &[u8], of: u64, sample: usize) -> bool {
    let [a, b, c, d, ..] = lot(snapshot, path);
    u64::from(u32::from_be_bytes([a, b, c, d])) * of.max(1) < (sample as u64) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_of_the_wanted_size_and_rotate() {
        let all: BTreeSet<Vec<u8>> = (0..500_u32).map(|n| n.to_be_bytes().to_vec()).collect();
        let options = DrillOptions { sample: 50, ..DrillOptions::new("/tmp", None) };
        let (one, other) = (chosen(&all, "a", &options), chosen(&all, "b", &options));
        assert_eq!((one.len(), other.len()), (50, 50));
        assert_ne!(one, other);
        let full = DrillOptions { depth: DrillDepth::Full, ..options };
        assert_eq!(chosen(&all, "a", &full).len(), 500);
        let picked = all.iter().filter(|path| in_sample("a", path, 500, 50)).count();
        assert!((20..100).contains(&picked), "{picked}");
        assert!(all.iter().all(|path| in_sample("a", path, 500, 500)));
    }
}
