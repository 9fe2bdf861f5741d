//! Looking twice: does a snapshot look like an attack?
//!
//! After each backup the new snapshot is compared with the last good one before it, and with what earlier comparisons
//! measured in this vault. [`judge()`] is pure: from [`Evidence`] and a baseline to [`Finding`]s. A finding of high severity
//! puts the snapshot into quarantine: it is kept, is never `latest`, satisfies no rule of retention, and the last good
//! snapshot before it stays, until somebody acknowledges it with a reason.
//!
//! Records are named by the hash of the seal, so that they hold for copies, too.
//!
//! Storyline: [`gather()`] → [`judge()`] → [`assess()`] → [`active()`], [`acknowledge()`].

mod evidence;
mod finding;
mod gather;
mod hooks;
mod judge;
mod objects;
mod records;
mod rewinds;
mod run;

pub use evidence::{DatasetSizes, Evidence, Measures};
pub use finding::{Finding, FindingKind, Severity};
pub use gather::gather;
pub use judge::judge;
pub use objects::{ObjectFile, is_sound};
pub use records::{
    Assessment, QuarantineError, Quarantined, State, acknowledge, active, all as assessments, carry, states,
};
pub use run::{AssessOptions, assess, quarantined_snapshots};
