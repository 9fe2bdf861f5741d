//! Pulling: a plan from facts and the last snapshot, a run that carries it out, a tally that says what it is worth.

mod commit;
pub mod context;
pub mod courtesy;
pub mod dataset;
pub mod files;
mod gated;
mod ground;
mod guard;
mod heal;
pub mod host_keys;
mod join;
pub mod layers;
pub mod machines;
pub mod mssql;
pub mod names;
pub mod pages;
pub mod report;
pub mod run;
mod serving;
pub mod settings;
pub mod shard;
pub mod spread;
mod still;
pub mod unit;

pub(crate) use guard::same_appliance;

pub use report::{BackupReport, DatasetReport, PartReport};
pub use run::{BackupError, BackupInputs, run};
pub use settings::{BackupSettings, CancelToken, DATASETS};
