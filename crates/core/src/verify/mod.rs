//! Proving: is what the vault holds still what was sealed?
//!
//! Two depths: everything is present and hangs together, or besides every byte is read back and authenticated. The
//! vault's own check finds damage; this module says what it costs: which snapshots, which files, which repositories.
//! It never says that a vault is sound while something of it could not be looked at.

mod costs;
mod report;
mod verdict;

use std::sync::atomic::{AtomicU64, Ordering};

pub use report::{DamagedPath, DamagedRepository, SnapshotReport, VerifyOutcome, VerifyReport};
pub use verdict::{Verdict, judge};

use crate::{
    progress::{Event, Progress},
    vault::{CheckDepth, SnapshotId, Vault, VaultError},
};

/// The part named in progress events.
const PART: &str = "verify";

/// What to verify.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// How much is read.
    pub depth: CheckDepth,
    /// The snapshots; `None`: all.
    pub snapshots: Option<Vec<SnapshotId>>,
    /// Public keys (base64) whose seals count; empty: any key, as nobody has said which one is ours.
    pub trusted_keys: Vec<String>,
}

/// Verifies a vault.
///
/// # Errors
/// The vault cannot be listed at all. Everything else is in the report.
pub fn run(
    vault: &Vault,
    options: &VerifyOptions,
    progress: &dyn Progress,
) -> Result<VerifyReport, VaultError> {
    progress.event(Event::Started { part: PART, bytes_expected: None });
    let counted = Counted { progress, done: AtomicU64::new(0), total: AtomicU64::new(0) };
    let check =
        vault.check(options.depth, options.snapshots.as_deref(), &|done, total| counted.told(done, total));
    let check = check.inspect_err(|_| progress.event(Event::Ended { part: PART, ok: false }))?;
    let list = vault.snapshots()?;
    let wanted = |id: &SnapshotId| options.snapshots.as_ref().is_none_or(|chosen| chosen.contains(id));
    // Names of repositories are a comfort: without an index the paths stand alone.
    let reader = vault.index().ok();
    let mut snapshots: Vec<SnapshotReport> = list
        .snapshots
        .iter()
        .filter(|snapshot| wanted(&snapshot.id))
        .map(|snapshot| {
            let verdict = judge(snapshot, &options.trusted_keys);
            let costs = costs::of(snapshot, &check, reader.as_ref());
            SnapshotReport::new(snapshot, verdict, costs)
        })
        .collect();
    verdict::judge_chain(&list, &mut snapshots);
    let unreadable = list.damaged.iter().filter(|(id, _)| wanted(id));
    snapshots.extend(unreadable.map(|(id, why)| SnapshotReport::unreadable(*id, why)));
    let report = VerifyReport::new(options.depth, snapshots, check);
    progress.event(Event::Ended { part: PART, ok: report.outcome == VerifyOutcome::Sound });
    Ok(report)
}

/// Turns the check's running totals into increments.
struct Counted<'p> {
    progress: &'p dyn Progress,
    done: AtomicU64,
    total: AtomicU64,
}

impl Counted<'_> {
    fn told(&self, done: u64, total: u64) {
        let more = total.saturating_sub(self.total.fetch_max(total, Ordering::Relaxed));
        if more > 0 {
            self.progress.event(Event::Expected { part: PART, bytes: more });
        }
        let bytes = done.saturating_sub(self.done.fetch_max(done, Ordering::Relaxed));
        if bytes > 0 {
            self.progress.event(Event::Advanced { part: PART, bytes, items: 0 });
        }
    }
}
