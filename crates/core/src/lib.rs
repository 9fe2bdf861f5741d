//! ghevault without a face: pulls an appliance into a vault, proves it, and gives it back.
//!
//! The modules stand in the order of the data: appliance → backup → vault → verify → restore. The core reads no
//! environment and no home folder, and prints nothing: it takes settings, and returns reports and typed errors.

pub mod appliance;
pub mod backup;
pub mod failover;
pub mod import;
pub mod keys;
pub mod progress;
pub mod restore;
pub mod seal;
pub mod state;
pub mod vault;
pub mod verify;
