//! Bounds what is under way.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A number that is taken from; taking waits. What was taken comes back when it is dropped, by a panic too.
pub(super) struct Budget {
    free: Mutex<usize>,
    freed: Condvar,
    limit: usize,
}

/// A part of a [`Budget`].
pub(super) struct Taken {
    budget: Arc<Budget>,
    amount: usize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::new(limit), freed: Condvar::new(), limit })
    }

    /// Takes `amount`, or all there is if it is more than there ever can be.
    pub(super) fn take(self: &Arc<Self>, amount: usize) -> Taken {
        let amount = amount.min(self.limit);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free =
            self.freed.wait_while(free, |free| *free < amount).unwrap_or_else(PoisonError::into_inner);
        *free -= amount;
        Taken { budget: Arc::clone(self), amount }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        *self.budget.free.lock().unwrap_or_else(PoisonError::into_inner) += self.amount;
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_than_the_limit_is_out_at_any_time() {
        let budget = Budget::new(10);
        let out = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (budget, out) = (&budget, &out);
                scope.spawn(move || {
                    for round in 0..500 {
                        let amount = (thread * 7 + round) % 10 + 1;
                        let taken = budget.take(amount);
                        assert!(out.fetch_add(amount, Ordering::SeqCst) + amount <= 10);
                        out.fetch_sub(amount, Ordering::SeqCst);
                        drop(taken);
                    }
                });
            }
        });
        assert_eq!(*budget.free.lock().unwrap(), 10);
    }

    #[test]
    fn what_is_larger_than_the_limit_passes_alone() {
        let budget = Budget::new(10);
        drop(budget.take(1_000));
        assert_eq!(*budget.free.lock().unwrap(), 10);
    }

    #[test]
    fn a_panic_gives_back() {
        let budget = Budget::new(10);
        let held = Arc::clone(&budget);
        let panicked = std::thread::spawn(move || {
            let _taken = held.take(10);
            std::panic::resume_unwind(Box::new(())); // quiet
        });
        assert!(panicked.join().is_err());
        drop(budget.take(10));
    }
}
