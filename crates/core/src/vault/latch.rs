//! What keeps a snapshot from being written while something fatal is known.
//!
//! Everybody who takes part in a backup reports to one [`Collector`]. Only its verdict makes a [`LatchOpen`], and only
//! with that does the store under a vault accept a snapshot file. A fatal problem that is reported after the verdict
//! closes the latch again.

use super::{
    error::{VaultError, VaultResult},
    store::Store,
};
use bytes::Bytes;
use rustic_core::{Id, repofile::FileType};
use std::sync::{Arc, Mutex, PoisonError};

/// Something that went wrong during a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The dataset that was being stored.
    pub dataset: String,
    /// The path inside the dataset, if it concerns one.
    pub path: Option<Vec<u8>>,
    /// What happened.
    pub what: String,
    /// Whether a snapshot would be wrong (true), or only lack something that is named (false).
    pub fatal: bool,
}

#[derive(Debug, Default)]
struct Problems {
    kept: Vec<Problem>,
    fatal: usize,
    total: usize,
}

/// Problems that are kept in full; of more only the number is known (fatal ones are kept first).
pub const PROBLEMS_KEPT_MAX: usize = 10_000;

/// A list of problems, shared by the threads of one backup.
#[derive(Clone, Debug, Default)]
pub struct Collector(Arc<Mutex<Problems>>);

impl Collector {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn problems(&self) -> std::sync::MutexGuard<'_, Problems> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a problem.
    pub fn report(&self, problem: Problem) {
        let mut problems = self.problems();
        problems.total += 1;
        if problem.fatal {
            problems.fatal += 1;
        }
        if problems.kept.len() < PROBLEMS_KEPT_MAX {
            problems.kept.push(problem);
        } else if problem.fatal
            && let Some(minor) = problems.kept.iter().position(|p| !p.fatal)
        {
            problems.kept[minor] = problem;
        }
    }

    /// Whether anything fatal was reported.
    #[must_use]
    pub fn has_fatal(&self) -> bool {
        self.problems().fatal > 0
    }

    /// How many problems were reported, fatal ones among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.problems().total
    }

    /// Whether nothing was reported.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The problems so far.
    #[must_use]
    pub fn list(&self) -> Vec<Problem> {
        self.problems().kept.clone()
    }

    /// Opens the latch when nothing fatal was reported.
    ///
    /// # Errors
    /// [`VaultError::LatchClosed`] otherwise.
    pub fn verdict(&self) -> VaultResult<LatchOpen> {
        let open = LatchOpen(self.clone());
        open.check()?;
        Ok(open)
    }
}

/// The right to write one snapshot; made by [`Collector::verdict`] alone.
#[derive(Debug)]
pub struct LatchOpen(Collector);

impl LatchOpen {
    fn check(&self) -> VaultResult<()> {
        match self.0.problems().fatal {
            0 => Ok(()),
            problems => Err(VaultError::LatchClosed { problems }),
        }
    }
}

/// A store that refuses snapshot files, except through [`Latch::write_snapshot`].
#[derive(Clone)]
pub(super) struct Latch(Arc<dyn Store>);

impl Latch {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    /// Writes one snapshot file, if nothing fatal has been reported since the verdict.
    pub(super) fn write_snapshot(&self, open: &LatchOpen, id: &Id, content: Bytes) -> VaultResult<()> {
        open.check()?;
        self.0.write(FileType::Snapshot, id, &[content])
    }
}

impl Store for Latch {
    fn location(&self) -> String {
        self.0.location()
    }
    fn writes_at_once(&self) -> usize {
        self.0.writes_at_once()
    }
    fn create(&self) -> VaultResult<()> {
        self.0.create()
    }
    fn exists(&self, kind: FileType, id: &Id) -> VaultResult<bool> {
        self.0.exists(kind, id)
    }
    fn list(&self, kind: FileType) -> VaultResult<Vec<(Id, u64)>> {
        self.0.list(kind)
    }
    fn read(&self, kind: FileType, id: &Id) -> VaultResult<Bytes> {
        self.0.read(kind, id)
    }
    fn read_part(&self, kind: FileType, id: &Id, offset: u64, length: usize) -> VaultResult<Bytes> {
        self.0.read_part(kind, id, offset, length)
    }
    fn write(&self, kind: FileType, id: &Id, content: &[Bytes]) -> VaultResult<()> {
        if kind == FileType::Snapshot {
            return Err(VaultError::LatchClosed { problems: 0 });
        }
        self.0.write(kind, id, content)
    }
    fn remove(&self, kind: FileType, id: &Id) -> VaultResult<()> {
        self.0.remove(kind, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::folder::FolderStore;

    fn problem(fatal: bool) -> Problem {
        Problem { dataset: "mysql".into(), path: None, what: "cut short".into(), fatal }
    }

    fn latch() -> (tempfile::TempDir, Latch) {
        let dir = tempfile::tempdir().unwrap();
        let store = FolderStore::new(dir.path());
        store.create().unwrap();
        (dir, Latch::new(Arc::new(store)))
    }

    #[test]
    fn a_snapshot_passes_after_a_clean_verdict() {
        let (_dir, latch) = latch();
        let collector = Collector::new();
        collector.report(problem(false));
        latch.write_snapshot(&collector.verdict().unwrap(), &Id::random(), Bytes::from_static(b"x")).unwrap();
        assert_eq!(latch.list(FileType::Snapshot).unwrap().len(), 1);
    }

    #[test]
    fn a_fatal_problem_closes_the_latch() {
        let collector = Collector::new();
        collector.report(problem(true));
        assert!(matches!(collector.verdict(), Err(VaultError::LatchClosed { problems: 1 })));
    }

    #[test]
    fn a_fatal_problem_after_the_verdict_closes_it_again() {
        let (_dir, latch) = latch();
        let collector = Collector::new();
        let open = collector.verdict().unwrap();
        collector.report(problem(true));
        let written = latch.write_snapshot(&open, &Id::random(), Bytes::from_static(b"x"));
        assert!(matches!(written, Err(VaultError::LatchClosed { problems: 1 })));
        assert!(latch.list(FileType::Snapshot).unwrap().is_empty());
    }

    #[test]
    fn snapshots_do_not_pass_beside_the_latch() {
        let (_dir, latch) = latch();
        let written = latch.write(FileType::Snapshot, &Id::random(), &[Bytes::from_static(b"x")]);
        assert!(matches!(written, Err(VaultError::LatchClosed { .. })));
        latch.write(FileType::Index, &Id::random(), &[Bytes::from_static(b"x")]).unwrap();
    }

    #[test]
    fn fatal_problems_are_kept_before_minor_ones() {
        let collector = Collector::new();
        for _ in 0..PROBLEMS_KEPT_MAX {
            collector.report(problem(false));
        }
        collector.report(problem(true));
        assert_eq!(collector.len(), PROBLEMS_KEPT_MAX + 1);
        assert!(collector.list().iter().any(|p| p.fatal));
    }
}
