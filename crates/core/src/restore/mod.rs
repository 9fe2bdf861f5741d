//! Giving back: a snapshot becomes a folder, a backup-utils directory, or an appliance again.
//!
//! All ways read through [`view::SnapshotView`], decide first (a plan is a value that can be printed) and act then, and
//! name everything that could not be given back in their report: a restore is complete or it says what is missing.

pub mod appliance;
pub mod entry;
pub mod error;
pub mod export;
pub mod folder;
pub mod report;
pub mod repository;
pub mod select;
pub mod tar;
pub mod view;

pub use error::RestoreError;
pub use report::{Problem, RestoreReport};
