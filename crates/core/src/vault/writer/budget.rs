//! Bounds what is under way.

use std::sync::{Condvar, Mutex, PoisonError};

/// A number that is taken from and given back; taking waits.
pub(super) struct Budget {
    free: Mutex<usize>,
    freed: Condvar,
    pub limit: usize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Self {
        Self { free: Mutex::new(limit), freed: Condvar::new(), limit }
    }

    /// Takes `amount`, or all there is if it is more than there ever can be.
    pub(super) fn take(&self, amount: usize) -> usize {
        let amount = amount.min(self.limit);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free =
            self.freed.wait_while(free, |free| *free < amount).unwrap_or_else(PoisonError::into_inner);
        *free -= amount;
        amount
    }

    pub(super) fn give(&self, amount: usize) {
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += amount;
        self.freed.notify_all();
    }
}
