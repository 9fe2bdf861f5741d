//! Carries a retention plan out: first the record of what goes, then the snapshots, one after the other.
//!
//! Killed at any point, it leaves snapshots that are wholly there or wholly gone, and a chain without holes: a record of a
//! snapshot that is still there does no harm. The next run goes on.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    gather::{FOLDER, Forgotten, ForgottenFile, Gathered},
    holds,
    plan::{Decision, RetentionPlan},
};
use crate::{
    backup::shard::run,
    progress::{Event, Progress},
    vault::{SnapshotId, Vault, VaultError, WriteLease},
};

/// The part named in progress events.
const PART: &str = "forget";
/// Record files that are left apart before they are joined.
const FILES_MAX: usize = 32;

/// What was forgotten.
#[derive(Clone, Debug, Serialize)]
pub struct ForgetReport {
    /// All decisions and remarks.
    #[serde(flatten)]
    pub plan: RetentionPlan,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Snapshots that are gone now.
    pub forgotten: Vec<SnapshotId>,
}

/// Why not everything was forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The user ended the run.
    #[error("forget was interrupted after {done} snapshot(s)")]
    Cancelled {
        /// How many are gone.
        done: usize,
    },
}

/// Removes what a plan lets go; the plan must have been made under the same lease.
///
/// # Errors
/// See [`ForgetError`]; what was removed before stays removed, and the next run goes on.
pub fn carry_out(
    vault: &Vault,
    plan: RetentionPlan,
    gathered: &Gathered,
    by_name: bool,
    lease: &WriteLease,
    cancelled: &dyn Fn() -> bool,
    progress: &dyn Progress,
) -> Result<ForgetReport, ForgetError> {
    let going: Vec<Decision> = plan.going().cloned().collect();
    let mut forgotten = Vec::new();
    if !going.is_empty() {
        progress.event(Event::Started { part: PART, bytes_expected: None });
        record(vault, &going, gathered, by_name, lease)?;
        for decision in &going {
            if cancelled() {
                return Err(ForgetError::Cancelled { done: forgotten.len() });
            }
            // somebody may have held it since the plan was made
            if holds::active(vault, Timestamp::now())?.contains_key(&decision.snapshot) {
                let id = decision.snapshot.short();
                progress
                    .event(Event::Warning { text: &format!("snapshot {id} was held meanwhile and stays") });
                continue;
            }
            if vault.remove_snapshot(decision.snapshot, lease)? {
                forgotten.push(decision.snapshot);
            }
            progress.event(Event::Advanced { part: PART, bytes: 0, items: 1 });
        }
        progress.event(Event::Ended { part: PART, ok: true });
    }
    // Parts are let go with their run; a record that stays keeps its name from being used again.
    let left = |decision: &&Decision| decision.worth == "part" && !forgotten.contains(&decision.snapshot);
    if !plan.decisions.iter().any(|decision| left(&decision)) {
        run::drop_records(vault, &gathered.ended_runs);
    }
    Ok(ForgetReport { plan, dry_run: false, forgotten })
}

/// Writes down the seals that go, so that the chain keeps its order without them.
fn record(
    vault: &Vault,
    going: &[Decision],
    gathered: &Gathered,
    by_name: bool,
    lease: &WriteLease,
) -> Result<(), VaultError> {
    let at = Timestamp::now();
    let new = going.iter().filter_map(|decision| {
        let link = decision.link.clone()?;
        Some(Forgotten {
            snapshot: decision.snapshot,
            seal: link.hash,
            previous: link.previous,
            started: link.started,
            key: link.key,
            at,
            by_name,
        })
    });
    let known = |one: &Forgotten| gathered.ghosts.iter().any(|ghost| ghost.link.hash == one.seal);
    let mut file = ForgottenFile { forgotten: new.filter(|one| !known(one)).collect() };
    if file.forgotten.is_empty() {
        return Ok(());
    }
    let join = gathered.files.len() >= FILES_MAX;
    if join {
        let before = gathered.files.iter().flat_map(|(_, file)| file.forgotten.clone());
        file.forgotten.extend(before);
    }
    lease.lasts(Duration::ZERO)?;
    if !vault.add_record(FOLDER, &format!("{:010}.forgotten", lease.token()), &file)? {
        return Err(VaultError::Invalid("a record of this very run exists already".into()));
    }
    if join {
        for (name, _) in &gathered.files {
            vault.drop_record(FOLDER, name);
        }
    }
    Ok(())
}
