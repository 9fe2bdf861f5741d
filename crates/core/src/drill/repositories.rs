//! Repositories: each is put together as a restore would, and git proves that no object is missing.

use std::{
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use super::report::{Proof, ProofState};
use crate::{
    progress::{Event, Progress},
    restore::{
        entry::show,
        repository::{self, RepositoryError, find::Named},
        view::SnapshotView,
    },
};

/// Repositories that are proven at a time.
const THREADS: usize = 2;

/// The part named in progress events.
pub(super) const PART: &str = "drill";

/// Proves the `chosen` of `all` repositories (paths in the snapshot); also returns the bytes that were read.
pub(super) fn prove(
    view: SnapshotView<'_>,
    all: usize,
    chosen: &[Vec<u8>],
    scratch: &Path,
    progress: &dyn Progress,
) -> (Proof, u64) {
    let part = "repositories";
    if all == 0 {
        return (Proof::new(part, ProofState::Absent, "the snapshot has none"), 0);
    }
    let (next, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
    let problems: Mutex<Vec<String>> = Mutex::default();
    let no_git: Mutex<Option<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(path) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let named = Named { name: show(path), path: path.clone() };
                    match repository::prove(view, &named, scratch) {
                        Ok(size) => {
                            bytes.fetch_add(size, Ordering::Relaxed);
                            progress.event(Event::Advanced { part: PART, bytes: size, items: 1 });
                        }
                        Err(error @ RepositoryError::NoGit { .. }) => {
                            next.store(chosen.len(), Ordering::Relaxed);
                            *no_git.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                        }
                        Err(error) => {
                            problems.lock().unwrap_or_else(PoisonError::into_inner).push(error.to_string());
                        }
                    }
                }
            });
        }
    });
    if let Some(why) = no_git.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return (Proof::new(part, ProofState::NotProven, why), 0);
    }
    let mut problems = problems.into_inner().unwrap_or_else(PoisonError::into_inner);
    problems.sort();
    let detail = "every object that a reference needs is there, borrowed ones too";
    (Proof::judged(part, chosen.len() as u64, all as u64, detail, problems), bytes.into_inner())
}
