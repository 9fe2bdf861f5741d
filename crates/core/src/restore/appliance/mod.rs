//! A snapshot back onto an appliance (contract §5): standalone targets, configured or fresh, and clusters.
//!
//! What the target is ([`crate::appliance::facts`]) and what the snapshot holds ([`content`]) go through the [`guard`]
//! into a [`plan`](plan()), a list of typed steps that `--dry-run` prints; [`run`](run()) walks it. While it runs the appliance says
//! `restoring` and its scheduled jobs stand still, both held as a lease: whatever happens to us, the appliance says
//! `failed` and starts its jobs again. A repeated restore sends only what is not there yet.
//!
//! Never: switches maintenance mode, restores into a replicating appliance, follows a host name it was not given.

mod cluster;
pub mod content;
pub mod error;
pub mod guard;
pub mod isolated;
pub mod options;
pub mod plan;
mod remote;
pub mod report;
mod run;
mod step;
mod steps;
mod sync;
mod units;
mod vigil;

pub use error::{ApplianceRestoreError, StepError};
pub use guard::{Refusal, check};
pub use options::{ApplianceOptions, Dataset, Trust};
pub use plan::{RestorePlan, Step, plan};
pub use report::{ApplianceReport, Outcome};
pub use run::run;
pub use step::Importer;
