//! What the seal of a snapshot says, and whether the seals form a chain.

use std::collections::HashSet;

use serde::Serialize;

use super::report::SnapshotReport;
use crate::{
    seal::{self, Outcome, SealError},
    vault::{Snapshot, SnapshotList, tree_hex},
};

/// What a snapshot is worth by its seal alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Sealed as complete.
    Sealed,
    /// Sealed, and the seal names what is missing.
    Partial,
    /// A part of a sharded run: no snapshot by itself, and nothing that lacks.
    Part,
    /// No seal: made by another program, or by a run that did not get so far.
    Unsealed,
    /// The seal does not fit the snapshot, its signature, or our key.
    Broken,
}

/// A verdict with its reasons.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is not [`Verdict::Sealed`].
    pub reasons: Vec<String>,
    /// Hash of the seal, and of the seal before it.
    pub(super) chain: Option<(String, Option<String>)>,
}

/// Judges a snapshot by its seal. With `trusted` keys a seal of any other key is broken.
#[must_use]
pub fn judge(snapshot: &Snapshot, trusted: &[String]) -> Judged {
    let broken = |reason: String| Judged { verdict: Verdict::Broken, reasons: vec![reason], chain: None };
    let seal = match seal::read(snapshot.description.as_deref(), &tree_hex(&snapshot.tree)) {
        Ok(seal) => seal,
        Err(error @ SealError::Missing) => {
            let part = snapshot.description.as_deref().is_some_and(seal::is_part);
            if part {
                let reasons = vec!["it waits for `backup --join`, or for `forget`".into()];
                return Judged { verdict: Verdict::Part, reasons, chain: None };
            }
            return Judged { verdict: Verdict::Unsealed, reasons: vec![error.to_string()], chain: None };
        }
        Err(error) => return broken(error.to_string()),
    };
    if !trusted.is_empty() && !trusted.contains(&seal.key) {
        return broken(format!("the seal was signed with an unknown key ({})", seal.key));
    }
    let chain = Some((seal.hash, seal.manifest.previous));
    let datasets = seal.manifest.datasets.iter().filter(|(_, dataset)| dataset.outcome != Outcome::Complete);
    let reasons: Vec<String> = datasets
        .map(|(name, dataset)| match dataset.problems.first() {
            Some(first) => format!("{name}: {first}"),
            None => format!("{name} is not complete"),
        })
        .collect();
    match seal.manifest.outcome {
        Outcome::Complete if reasons.is_empty() => Judged { verdict: Verdict::Sealed, reasons, chain },
        Outcome::Complete => {
            // A seal that contradicts itself proves nothing.
            Judged { verdict: Verdict::Broken, reasons, chain }
        }
        Outcome::Partial => Judged { verdict: Verdict::Partial, reasons, chain },
        Outcome::Failed => broken("the seal says that the backup failed".into()),
    }
}

/// Remarks where a seal names a forerunner that the vault does not have. That is so after `forget`, and when somebody
/// removed a snapshot; only a witness outside the vault can tell the two apart.
pub(super) fn judge_chain(list: &SnapshotList, reports: &mut [SnapshotReport]) {
    let hashes: HashSet<String> = list
        .snapshots
        .iter()
        .filter_map(|s| seal::read(s.description.as_deref(), &tree_hex(&s.tree)).ok())
        .map(|seal| seal.hash)
        .collect();
    for report in reports {
        let previous = report.chain.as_ref().and_then(|(_, previous)| previous.as_ref());
        if previous.is_some_and(|previous| !hashes.contains(previous)) {
            report.remarks.push("the snapshot before it is not in the vault".into());
        }
    }
}
