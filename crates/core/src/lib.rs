//! ghevault without a face: pulls an appliance into a vault, proves it, and gives it back.
//!
//! The modules stand in the order of the data: appliance → backup → vault → verify → restore. The core reads no
//! environment and no home folder, and prints nothing: it takes settings, and returns reports and typed errors.

pub mod appliance;
pub mod aws;
pub mod backup;
pub mod causes;
pub mod compare;
pub mod drill;
pub mod failover;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod history;
pub mod import;
pub mod keys;
pub mod notify;
pub mod progress;
pub mod pulse;
pub mod quarantine;
pub mod restore;
pub mod retention;
pub mod schedule;
pub mod seal;
pub mod state;
pub mod status;
pub mod vault;
pub mod verify;
pub mod witness;
