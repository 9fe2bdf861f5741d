//! Work that finds more work, shared by a few threads: going through trees.

use super::error::{VaultError, VaultResult};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Threads at most.
const THREADS_MAX: usize = 8;

struct State<T> {
    todo: Vec<T>,
    /// Threads that have a piece of work.
    busy: usize,
    failed: Option<VaultError>,
}

/// Does `work` for each of `first`, and for everything that it returns; ends at the first error.
///
/// # Errors
/// That one.
pub(super) fn fan_out<T: Send>(
    first: Vec<T>,
    work: impl Fn(T) -> VaultResult<Vec<T>> + Sync,
) -> VaultResult<()> {
    let state = Mutex::new(State { todo: first, busy: 0, failed: None });
    let changed = Condvar::new();
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(THREADS_MAX);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(piece) = next(&state, &changed) {
                    let done = work(piece);
                    let mut state = locked(&state);
                    state.busy -= 1;
                    match done {
                        Ok(more) => state.todo.extend(more),
                        Err(error) => state.failed = Some(error),
                    }
                    changed.notify_all();
                }
            });
        }
    });
    state.into_inner().unwrap_or_else(PoisonError::into_inner).failed.map_or(Ok(()), Err)
}

fn locked<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next piece; waits while others may find more.
fn next<T>(state: &Mutex<State<T>>, changed: &Condvar) -> Option<T> {
    let mut state = locked(state);
    loop {
        if state.failed.is_some() || (state.todo.is_empty() && state.busy == 0) {
            return None;
        }
        if let Some(piece) = state.todo.pop() {
            state.busy += 1;
            return Some(piece);
        }
        state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn all_that_is_found_is_done() {
        let done = AtomicU64::new(0);
        fan_out(vec![10_u64, 3], |depth| {
            done.fetch_add(1, Ordering::Relaxed);
            Ok(if depth > 0 { vec![depth - 1, 0] } else { Vec::new() })
        })
        .unwrap();
        assert_eq!(done.into_inner(), 21 + 7);
    }

    #[test]
    fn the_first_error_ends_it() {
        let failed = fan_out(vec![5_u64], |depth| match depth {
            0 => Err(VaultError::Internal("the bottom")),
            more => Ok(vec![more - 1, more]),
        });
        assert!(matches!(failed, Err(VaultError::Internal("the bottom"))));
    }
}
