//! The living appliance: writes to repositories, gists, pages and storage, and maintenance that respects the gate.

pub mod journal;
pub mod refs;
