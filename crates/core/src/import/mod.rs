//! Taking over what others backed up: data directories of backup-utils, and snapshots of the appliance's own Backup Service.
//!
//! Both have the same layout (contract §4, §11.2), so one builder makes a snapshot's tree out of a folder, wherever the folder is:
//! [`data`] looks at a data directory → [`plan`] decides (a value) → [`mod@run`] reads one snapshot after the other, oldest first, each
//! compared with the one before → a sealed snapshot for each. [`service`] does it for one folder on the appliance.

pub mod chain;
pub mod data;
mod folder;
mod judge;
mod name;
pub mod plan;
mod record;
mod remote;
pub mod report;
pub mod run;
mod seal_up;
pub mod service;
mod service_look;
mod small;
mod spine;
mod tree;

pub use data::DataListing;
pub use plan::{ImportOptions, ImportPlan, Planned, Step};
pub use record::recorded;
pub use report::{ImportReport, Imported};
pub use run::{ImportError, ImportInputs, run};

/// What an appliance's service and a data directory say, for [`crate::fuzzing`].
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(text: &str) {
    let _ = chain::Checkpoints::parse(text);
    if let Some(look) = service_look::read(text) {
        let _ = look.time(look.target.as_deref().unwrap_or_default());
    }
    for line in text.lines() {
        let _ = (name::is_snapshot(line), name::time(line, Some(jiff::Timestamp::UNIX_EPOCH)));
    }
}
