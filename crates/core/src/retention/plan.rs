//! Which snapshots stay and which go, decided from seals, records and holds alone.
//!
//! Rules count complete, validly sealed snapshots only, each line of seals on its own: a fork cannot push out what stands on
//! the other branch. Within a line, see [`super::rules`]. A time that lies ahead of now is believed by no rule; such a
//! snapshot stays until its time has come, and takes no place.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    holds::Hold,
    lanes::{self, Lanes, trusted},
    policy::Policy,
};
use crate::{
    seal::chain::{Link, is_ahead},
    vault::SnapshotId,
};

/// What a snapshot is, as far as retention is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Worth {
    /// Sealed as complete.
    Complete(Link),
    /// Sealed, and something is missing.
    Partial(Link),
    /// A part of a sharded run: why it stays, or why it may go.
    Part(Result<String, String>),
    /// No seal: another program made it.
    Foreign,
    /// A seal that is wrong, or a file that cannot be read.
    Broken(String),
}

impl Worth {
    fn word(&self) -> &'static str {
        match self {
            Self::Complete(_) => "complete",
            Self::Partial(_) => "partial",
            Self::Part(_) => "part",
            Self::Foreign => "unsealed",
            Self::Broken(_) => "broken",
        }
    }
}

/// A snapshot that stands in the vault.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Which.
    pub id: SnapshotId,
    /// The moment that its file names.
    pub time: Timestamp,
    /// What it is.
    pub worth: Worth,
    /// Why it is in quarantine, if it is.
    pub quarantine: Option<String>,
    /// The sharded run that builds on it and is not joined yet.
    pub needed: Option<String>,
}

/// A complete snapshot that was forgotten; its place in the chain is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ghost {
    /// Its seal.
    pub link: Link,
    /// Whether somebody named it, instead of a policy.
    pub by_name: bool,
}

/// What becomes of one snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Which.
    pub snapshot: SnapshotId,
    /// The moment that its file names.
    pub time: Timestamp,
    /// `complete`, `partial`, `part`, `unsealed` or `broken`.
    pub worth: &'static str,
    /// Whether it stays.
    pub keep: bool,
    /// Why it stays, or goes.
    pub reasons: Vec<String>,
    /// Its seal's link, for the record.
    #[serde(skip)]
    pub link: Option<Link>,
}

/// Something about the vault that an operator should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The snapshot that it is about, if it is about one.
    pub snapshot: Option<SnapshotId>,
    /// What is so.
    pub text: String,
}

/// All decisions, in the order of the snapshots' times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RetentionPlan {
    /// One for each snapshot.
    pub decisions: Vec<Decision>,
    /// What is odd.
    pub remarks: Vec<Remark>,
}

impl RetentionPlan {
    /// Those that go.
    pub fn going(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter().filter(|decision| !decision.keep)
    }
}

/// Why a named snapshot is not forgotten.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamedRefusal {
    /// A hold is on it.
    #[error("snapshot {} is held: {reason}", .snapshot.short())]
    Held {
        /// Which.
        snapshot: SnapshotId,
        /// Why, in the words of whoever held it.
        reason: String,
    },
    /// A sharded run that is not joined yet builds on it.
    #[error("run `{run}` builds on snapshot {} and is not joined yet", .snapshot.short())]
    Needed {
        /// Which.
        snapshot: SnapshotId,
        /// The run.
        run: String,
    },
    /// It is in quarantine, or the last good one before one that is.
    #[error("snapshot {} {why}", .snapshot.short())]
    Quarantine {
        /// Which.
        snapshot: SnapshotId,
        /// In words.
        why: &'static str,
    },
    /// Nothing newer is complete.
    #[error("snapshot {} is the newest complete one", .snapshot.short())]
    Newest {
        /// Which.
        snapshot: SnapshotId,
    },
    /// Too few would remain.
    #[error("{remaining} complete snapshot(s) would remain, and {minimum} is the minimum")]
    TooFew {
        /// How many.
        remaining: usize,
        /// How many must.
        minimum: u32,
    },
}

/// Decides.
#[must_use]
pub fn plan(
    policy: &Policy,
    candidates: &[Candidate],
    ghosts: &[Ghost],
    holds: &BTreeMap<SnapshotId, Hold>,
    now: Timestamp,
) -> RetentionPlan {
    let chain = Lanes::new(policy, candidates, ghosts);
    let mut reasons = vec![Vec::new(); candidates.len()];
    let mut remarks = chain.remarks(candidates);
    chain.apply(policy, candidates, now, &mut reasons, &mut remarks);
    for (at, candidate) in candidates.iter().enumerate() {
        if let Some(hold) = holds.get(&candidate.id) {
            reasons[at].push(hold.words());
        }
        match &candidate.worth {
            Worth::Part(Ok(why)) => reasons[at].push(why.clone()),
            Worth::Foreign => reasons[at].push("made by another program".into()),
            Worth::Broken(why) => {
                reasons[at].push("left as evidence".into());
                remarks.push(Remark { snapshot: Some(candidate.id), text: why.clone() });
            }
            Worth::Complete(link) | Worth::Partial(link) if !trusted(policy, link) => {
                reasons[at].push("signed with a key that is not trusted".into());
                let text = format!("its seal is signed with {}, which is no trusted key", link.key);
                remarks.push(Remark { snapshot: Some(candidate.id), text });
            }
            _ => {}
        }
        if let Some(run) = &candidate.needed {
            reasons[at].push(format!("run {run} builds on it and is not joined yet"));
        }
        if let Some(why) = &candidate.quarantine {
            reasons[at].push("in quarantine until it is acknowledged".into());
            remarks.push(Remark { snapshot: Some(candidate.id), text: format!("quarantined: {why}") });
            if let Some(good) = chain.good_before(candidate) {
                reasons[good].push("the last good one before a snapshot in quarantine".into());
            }
        }
    }
    lanes::partials(policy, candidates, &chain.chain, &mut reasons);
    let mut decisions: Vec<Decision> = candidates
        .iter()
        .zip(reasons)
        .map(|(candidate, reasons)| Decision {
            snapshot: candidate.id,
            time: candidate.time,
            worth: candidate.worth.word(),
            keep: !reasons.is_empty(),
            reasons: match &candidate.worth {
                Worth::Part(Err(why)) if reasons.is_empty() => vec![why.clone()],
                _ if reasons.is_empty() => vec![chain.why_not(candidate).into()],
                _ => reasons,
            },
            link: match &candidate.worth {
                Worth::Complete(link) => Some(link.clone()),
                _ => None,
            },
        })
        .collect();
    decisions.sort_by_key(|decision| (decision.time, decision.snapshot));
    RetentionPlan { decisions, remarks }
}

/// Decides about snapshots that somebody named: they go, the others stay.
///
/// # Errors
/// One of them must not go.
pub fn named(
    policy: &Policy,
    names: &[SnapshotId],
    candidates: &[Candidate],
    ghosts: &[Ghost],
    holds: &BTreeMap<SnapshotId, Hold>,
    now: Timestamp,
) -> Result<RetentionPlan, NamedRefusal> {
    let lanes = Lanes::new(policy, candidates, ghosts);
    let newest = lanes.newest(now).map(|at| candidates[at].id);
    // the newest of the chain, and what `latest` means: an import may come after a backup and show an earlier time
    let latest = candidates
        .iter()
        .filter(|one| matches!(&one.worth, Worth::Complete(link) if trusted(policy, link)))
        .filter(|one| !is_ahead(one.time, now) && one.quarantine.is_none())
        .max_by_key(|one| (one.time, one.id))
        .map(|one| one.id);
    for name in names {
        if let Some(hold) = holds.get(name) {
            return Err(NamedRefusal::Held { snapshot: *name, reason: hold.reason.clone() });
        }
        if let Some(run) = candidates.iter().find(|one| one.id == *name).and_then(|one| one.needed.clone()) {
            return Err(NamedRefusal::Needed { snapshot: *name, run });
        }
        let refuse = |why| Err(NamedRefusal::Quarantine { snapshot: *name, why });
        let in_quarantine = || candidates.iter().filter(|one| one.quarantine.is_some());
        if in_quarantine().any(|one| one.id == *name) {
            return refuse("is in quarantine");
        }
        if in_quarantine().filter_map(|one| lanes.good_before(one)).any(|at| candidates[at].id == *name) {
            return refuse("is the last good one before one in quarantine");
        }
        if newest == Some(*name) || latest == Some(*name) {
            return Err(NamedRefusal::Newest { snapshot: *name });
        }
    }
    let is_complete = |one: &&Candidate| matches!(&one.worth, Worth::Complete(link) if trusted(policy, link));
    let complete: Vec<&Candidate> = candidates.iter().filter(is_complete).collect();
    let remaining = complete.iter().filter(|one| !names.contains(&one.id)).count();
    if remaining < complete.len() && remaining < usize::try_from(policy.minimum).unwrap_or(usize::MAX) {
        return Err(NamedRefusal::TooFew { remaining, minimum: policy.minimum });
    }
    let mut plan = plan(policy, candidates, ghosts, holds, now);
    for decision in &mut plan.decisions {
        decision.keep = !names.contains(&decision.snapshot);
        decision.reasons = vec![if decision.keep { "not named".into() } else { "named".into() }];
    }
    Ok(plan)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
