//! What an import will do: a value made from what stands in the data directory and in the vault. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    chain::{self, Chain, Link},
    data::{DataListing, Found, InProgress},
    name::plain,
    record::Recorded,
};
use crate::seal::Outcome;

/// What the user wants of an import.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Only these directories; all if empty. `current` means where the link points.
    pub only: Vec<String>,
    /// Take directories with the file `incomplete` too, as partial snapshots.
    pub force_incomplete: bool,
    /// Go on although the vault's last snapshot is of another appliance.
    pub allow_other_appliance: bool,
}

/// What is done with one directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Step {
    /// It becomes a snapshot.
    Import {
        /// The partial snapshot that an earlier import made of it, hexadecimal.
        #[serde(skip_serializing_if = "Option::is_none")]
        again: Option<String>,
    },
    /// The vault has it.
    Present {
        /// The snapshot, hexadecimal.
        snapshot: String,
    },
    /// It is left out.
    Skip {
        /// Why.
        reason: String,
    },
}

/// One directory of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// The moment that it shows.
    pub time: Option<Timestamp>,
    /// What is done.
    #[serde(flatten)]
    pub step: Step,
    /// What its MySQL stream needs.
    pub chain: Chain,
    /// What makes it partial before a byte is read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Digest over its root's files.
    #[serde(skip)]
    pub fingerprint: String,
    /// UUID of the appliance.
    pub uuid: String,
}

/// A whole import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportPlan {
    /// The data directory.
    pub data: String,
    /// Its directories, oldest first.
    pub snapshots: Vec<Planned>,
    /// Things to know.
    pub warnings: Vec<String>,
}

/// Why a data directory is not imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A backup is running.
    #[error("a backup is running in `{data}`: process {pid} makes the snapshot `{snapshot}`")]
    BackupRunning {
        /// The data directory.
        data: String,
        /// The snapshot.
        snapshot: String,
        /// The process.
        pid: String,
    },
    /// A restore is running, or left its mark.
    #[error("a restore is marked as running in `{data}` by the file `in-progress-restore` ({content})")]
    RestoreRunning {
        /// The data directory.
        data: String,
        /// What the file says: start and process.
        content: String,
    },
    /// A mark of a very old client.
    #[error("`{data}/in-progress` is a symbolic link, as clients before 2.0 made it")]
    AncientMark {
        /// The data directory.
        data: String,
    },
    /// A name that is not there.
    #[error("there is no snapshot `{name}` in `{data}`; there are: {known}")]
    NoSuchSnapshot {
        /// The name.
        name: String,
        /// The data directory.
        data: String,
        /// Those that are there.
        known: String,
    },
    /// Nothing to import at all.
    #[error("`{data}` has no snapshots: no directory in it has a name like 20260131T235959")]
    NoSnapshots {
        /// The directory.
        data: String,
    },
    /// Another appliance than that of the vault.
    #[error("`{data}` holds snapshots of appliance {theirs}, the vault's last snapshot is of {ours}")]
    OtherAppliance {
        /// The data directory.
        data: String,
        /// UUID there.
        theirs: String,
        /// UUID in the vault.
        ours: String,
    },
}

/// Makes the plan. `vault_uuid` is the UUID in the vault's last seal.
///
/// # Errors
/// Somebody works in the directory, or nothing in it is what the user wants.
pub fn plan(
    listing: &DataListing,
    recorded: &[Recorded],
    vault_uuid: Option<&str>,
    options: &ImportOptions,
) -> Result<ImportPlan, PlanError> {
    let data = listing.path.display().to_string();
    let mut warnings = Vec::new();
    undisturbed(listing, &data, &mut warnings)?;
    if listing.snapshots.is_empty() {
        return Err(PlanError::NoSnapshots { data });
    }
    let wanted = wanted(listing, &data, options)?;
    let mut found: Vec<&Found> = listing.snapshots.iter().collect();
    found.sort_by_key(|one| (one.time, plain(&one.name)));
    same_appliance(&found, &data, vault_uuid, options, &mut warnings)?;
    for name in &listing.foreign {
        warnings.push(format!("`{name}` is no part of a data directory and is left alone"));
    }
    if !listing.pruned.is_empty() {
        warnings.push(format!("about to be deleted, and left alone: {}", listing.pruned.join(", ")));
    }
    let links: Vec<Link> = found.iter().map(|one| link(one)).collect();
    let snapshots = found
        .into_iter()
        .map(|one| {
            let chain = chain::of(&one.name, &links, &listing.cycles);
            let mut problems = Vec::new();
            if let Chain::Broken(why) = &chain {
                problems.push(format!("its incremental MySQL stream cannot be restored: {why}"));
            }
            if one.incomplete {
                problems.push("backup-utils did not finish it: it carries the file `incomplete`".into());
            }
            Planned {
                name: one.name.clone(),
                time: one.time,
                step: step(one, recorded, wanted.as_ref(), options),
                chain,
                problems,
                fingerprint: one.fingerprint.clone(),
                uuid: one.uuid.clone(),
            }
        })
        .collect();
    Ok(ImportPlan { data, snapshots, warnings })
}

/// Refuses a directory that somebody works in.
fn undisturbed(listing: &DataListing, data: &str, warnings: &mut Vec<String>) -> Result<(), PlanError> {
    let data = data.to_owned();
    if let Some(content) = &listing.in_progress_restore {
        return Err(PlanError::RestoreRunning { data, content: content.clone() });
    }
    match &listing.in_progress {
        None => Ok(()),
        Some(InProgress::Link) => Err(PlanError::AncientMark { data }),
        Some(InProgress::Run { snapshot, pid, alive: true }) => {
            Err(PlanError::BackupRunning { data, snapshot: snapshot.clone(), pid: pid.clone() })
        }
        Some(InProgress::Run { snapshot, pid, alive: false }) => {
            warnings.push(format!(
                "`in-progress` is left of a backup that died: process {pid}, snapshot `{snapshot}`"
            ));
            Ok(())
        }
    }
}

/// The names that the user wants; `None` is all.
fn wanted(
    listing: &DataListing,
    data: &str,
    options: &ImportOptions,
) -> Result<Option<BTreeSet<String>>, PlanError> {
    if options.only.is_empty() {
        return Ok(None);
    }
    let mut names = BTreeSet::new();
    for name in &options.only {
        let meant = match (name.as_str(), &listing.current) {
            ("current", Some(target)) => target,
            _ => name,
        };
        if !listing.snapshots.iter().any(|found| found.name == *meant) {
            let mut known: Vec<&str> = listing.snapshots.iter().map(|found| found.name.as_str()).collect();
            known.sort_unstable();
            let (name, known) = (name.clone(), known.join(", "));
            return Err(PlanError::NoSuchSnapshot { name, data: data.to_owned(), known });
        }
        names.insert(meant.clone());
    }
    Ok(Some(names))
}

/// A vault belongs to one appliance; a directory may hold two UUIDs, before and after a promotion.
fn same_appliance(
    found: &[&Found],
    data: &str,
    vault_uuid: Option<&str>,
    options: &ImportOptions,
    warnings: &mut Vec<String>,
) -> Result<(), PlanError> {
    let uuids: BTreeSet<&str> =
        found.iter().map(|one| one.uuid.as_str()).filter(|uuid| !uuid.is_empty()).collect();
    if uuids.len() > 1 {
        let all: Vec<&str> = uuids.iter().copied().collect();
        warnings.push(format!(
            "the snapshots have several UUIDs ({}), as after a promotion or a new installation",
            all.join(", ")
        ));
    }
    let Some(ours) = vault_uuid.filter(|uuid| !uuid.is_empty() && !uuids.is_empty() && !uuids.contains(uuid))
    else {
        return Ok(());
    };
    let theirs = uuids.iter().copied().collect::<Vec<_>>().join(", ");
    if options.allow_other_appliance {
        warnings.push(format!("the vault's last snapshot is of another appliance ({ours})"));
        return Ok(());
    }
    Err(PlanError::OtherAppliance { data: data.to_owned(), theirs, ours: ours.to_owned() })
}

fn link(found: &Found) -> Link {
    Link {
        name: found.name.clone(),
        usable: !found.incomplete && found.has_dump,
        checkpoints: found.checkpoints.clone(),
    }
}

fn step(
    found: &Found,
    recorded: &[Recorded],
    wanted: Option<&BTreeSet<String>>,
    options: &ImportOptions,
) -> Step {
    let skip = |reason: &str| Step::Skip { reason: reason.into() };
    if wanted.is_some_and(|names| !names.contains(&found.name)) {
        return skip("not asked for");
    }
    if let Some(why) = &found.unreadable {
        return skip(&format!("it cannot be listed: {why}"));
    }
    if found.incomplete && !options.force_incomplete {
        return skip("backup-utils did not finish it: it carries the file `incomplete`");
    }
    let same = |one: &&Recorded| {
        let record = &one.record;
        record.name == plain(&found.name)
            && record.uuid == found.uuid
            && record.fingerprint == found.fingerprint
    };
    match recorded.iter().rfind(same) {
        Some(one) if one.outcome == Outcome::Complete => Step::Present { snapshot: one.snapshot.to_string() },
        Some(one) => Step::Import { again: Some(one.snapshot.to_string()) },
        None => Step::Import { again: None },
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
