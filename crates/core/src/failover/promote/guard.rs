//! May this replica be promoted? Pure: what was seen and what was typed in, a plan or a refusal out (contract §6.4).

use serde::Serialize;

use super::primary;
use crate::{
    appliance::{facts::Role, target::Target},
    failover::{
        observe::{Node, Observation, State},
        repl_status::{Level, ReplStatus},
        ways::{self, Behind, Command},
    },
};

/// What the operator typed.
#[derive(Clone, Debug, Default)]
pub struct PromoteOptions {
    /// The replica, as named.
    pub host: String,
    /// Its name once more.
    pub confirmation: Option<String>,
    /// The stores whose newest writes may be lost.
    pub accept_data_loss: Vec<String>,
    /// The primary's name once more, if it is to be ignored although it may be serving.
    pub despite_primary: Option<String>,
    /// Go on although the releases differ.
    pub allow_other_release: bool,
    /// Whether a backup of this host is running against one of the hosts.
    pub own_backup_runs: bool,
}

/// Why a promotion is refused. Nothing has been changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The host is not in the list of what was looked at.
    #[error("`{0}` was not looked at")]
    NotSeen(String),
    /// The host does not answer.
    #[error("`{host}` cannot be reached: {reason}")]
    Unreachable {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// The host shows a key that is not pinned, or refuses us.
    #[error("`{host}` cannot be trusted or asked: {reason}")]
    Unclear {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// The host is something else.
    #[error("`{host}` is {role}, not a replica")]
    NotAReplica {
        /// The host.
        host: String,
        /// What it is.
        role: &'static str,
    },
    /// Nobody confirmed.
    #[error("promoting `{host}` needs its name typed as confirmation")]
    NotConfirmed {
        /// The host.
        host: String,
    },
    /// Something else was typed.
    #[error("`{typed}` was typed, but the replica to promote is `{host}`")]
    ConfirmedOther {
        /// What was typed.
        typed: String,
        /// The host.
        host: String,
    },
    /// Two hosts serve already.
    #[error("{} serve at the same time", .0.iter().map(|host| format!("`{host}`")).collect::<Vec<_>>().join(" and "))]
    SplitBrain(Vec<String>),
    /// The primary serves users.
    #[error("the primary `{0}` answers and serves users")]
    PrimaryServes(String),
    /// A host that may be the primary cannot be judged.
    #[error("`{host}` may be the primary and may be serving: {reason}")]
    PrimaryUnclear {
        /// The host.
        host: String,
        /// Why it cannot be judged.
        reason: String,
    },
    /// None of the hosts is, or could have been, the primary.
    #[error("none of the hosts looked at is the primary{}", .0.as_ref().map(|name| format!("; the replica names `{name}`")).unwrap_or_default())]
    PrimaryUnknown(Option<String>),
    /// The primary that was typed is not the one in question.
    #[error("`{typed}` was typed, but the primary in question is `{primary}`")]
    DespiteOther {
        /// What was typed.
        typed: String,
        /// The primary.
        primary: String,
    },
    /// The replica's data is not in sync.
    #[error("replication to `{host}` is {level}: {} would lose writes", stores.join(", "))]
    Behind {
        /// The host.
        host: String,
        /// How it is.
        level: &'static str,
        /// What is not in sync.
        stores: Vec<String>,
    },
    /// Another loss was accepted than the one at hand.
    #[error("the loss of {} was accepted, but {} is not in sync", accepted.join(", "), stores.join(", "))]
    BehindOther {
        /// What was accepted.
        accepted: Vec<String>,
        /// What is not in sync.
        stores: Vec<String>,
    },
    /// Another replica would lose less.
    #[error("replica `{better}` is {level} and would lose less than `{host}`")]
    BetterReplica {
        /// The host.
        host: String,
        /// The other one.
        better: String,
        /// How that one is.
        level: &'static str,
    },
    /// The releases differ.
    #[error("`{host}` has release {found}, `{other}` has {expected}")]
    OtherRelease {
        /// The host.
        host: String,
        /// Its release.
        found: String,
        /// The host that it is compared with.
        other: String,
        /// That one's release.
        expected: String,
    },
    /// A backup of ours is running.
    #[error("a backup of this host is running against these appliances")]
    BackupRuns,
}

/// A step of a promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Wait until Git operations on the primary have ended, and a while longer.
    Drain,
    /// Ask the replica again: everything must be in sync now.
    CheckReplication,
    /// Remove a maintenance gate that an earlier run of ours left on a host that answers.
    HealGate,
    /// Run `ghe-repl-promote`.
    Promote,
    /// Ask the host who it is now, and look for a stale gate.
    Verify,
}

impl Step {
    /// The step in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Drain => "wait until no Git operation runs on the primary, and 30 s longer",
            Self::CheckReplication => "ask the replica again: everything must be in sync",
            Self::HealGate => "open a maintenance gate that an earlier backup left closed",
            Self::Promote => "run `ghe-repl-promote` (20 to 30 minutes)",
            Self::Verify => "ask who it is now, look for a stale gate",
        }
    }
}

/// What will be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PromotePlan {
    /// The replica.
    pub host: String,
    /// The primary that answers and is in maintenance mode; none: it is lost.
    pub primary: Option<String>,
    /// Its UUID, if known.
    pub primary_uuid: Option<String>,
    /// Release of the replica, as printed.
    pub release: String,
    /// How well replication is.
    pub replication: Level,
    /// What is lost.
    pub data_loss: String,
    /// The steps.
    pub steps: Vec<Step>,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// What follows, in order.
    pub next: Vec<Command>,
}

/// Decides whether the promotion may start, and plans it.
///
/// # Errors
/// The first reason against it.
pub fn plan(seen: &Observation, options: &PromoteOptions) -> Result<PromotePlan, Refusal> {
    let (node, status) = replica(seen, &options.host)?;
    confirmed(options)?;
    if options.own_backup_runs {
        return Err(Refusal::BackupRuns);
    }
    let mut warnings = Vec::new();
    let left = primary::primary(seen, node, options, &mut warnings)?;
    releases(seen, node, options, &mut warnings)?;
    in_sync(seen, status, options, &mut warnings)?;
    let answers = left.node.is_some();
    let uuid = left.node.map(|found| found.uuid.clone()).or_else(|| {
        let peer = node.peers.iter().find(|peer| !peer.replica && !peer.uuid.is_empty());
        peer.map(|peer| peer.uuid.clone())
    });
    let behind = Behind { host: left.host.as_deref(), uuid: uuid.as_deref(), answers };
    let loss = ways::PromoteLoss::of(status, answers);
    let planned = left.node.is_some_and(|found| found.maintenance);
    let mut steps = Vec::new();
    if planned {
        steps.push(Step::Drain);
        if status.level == Level::Ok {
            steps.push(Step::CheckReplication);
        }
    }
    steps.extend([Step::HealGate, Step::Promote, Step::Verify]);
    Ok(PromotePlan {
        host: options.host.clone(),
        primary: left.node.and(left.host.clone()),
        primary_uuid: uuid.clone(),
        release: node.version_text.clone(),
        replication: status.level,
        data_loss: loss.words,
        steps,
        warnings,
        next: ways::after_promotion(&options.host, &node.version, &behind),
    })
}

fn replica<'a>(seen: &'a Observation, host: &str) -> Result<(&'a Node, &'a ReplStatus), Refusal> {
    let found = seen.hosts.iter().find(|seen| seen.host == host);
    let host = || host.to_owned();
    match found.map(|seen| &seen.state) {
        None => Err(Refusal::NotSeen(host())),
        Some(State::Unreachable { reason }) => {
            Err(Refusal::Unreachable { host: host(), reason: reason.clone() })
        }
        Some(State::Unclear { reason, .. }) => Err(Refusal::Unclear { host: host(), reason: reason.clone() }),
        Some(State::Answers(node)) => match (node.role, &node.replication) {
            (Role::Replica, Some(status)) => Ok((node, status)),
            (Role::Primary, _) => Err(Refusal::NotAReplica { host: host(), role: "the primary" }),
            (Role::Cluster, _) => Err(Refusal::NotAReplica { host: host(), role: "a node of a cluster" }),
            _ => Err(Refusal::NotAReplica { host: host(), role: "an appliance of its own" }),
        },
    }
}

/// Whether what was typed names the host: `ghe:122` is `ghe`, because the port is the usual one.
pub(super) fn names(typed: &str, host: &str) -> bool {
    typed == host || Target::parse(typed).is_ok_and(|target| target.to_string() == host)
}

fn confirmed(options: &PromoteOptions) -> Result<(), Refusal> {
    let host = || options.host.clone();
    match options.confirmation.as_deref().map(str::trim) {
        None | Some("") => Err(Refusal::NotConfirmed { host: host() }),
        Some(typed) if names(typed, &options.host) => Ok(()),
        Some(typed) => Err(Refusal::ConfirmedOther { typed: typed.into(), host: host() }),
    }
}

fn releases(
    seen: &Observation,
    replica: &Node,
    options: &PromoteOptions,
    warnings: &mut Vec<String>,
) -> Result<(), Refusal> {
    for other in &seen.hosts {
        let State::Answers(node) = &other.state else { continue };
        if !node.configured || node.version == replica.version {
            continue;
        }
        let refusal = Refusal::OtherRelease {
            host: options.host.clone(),
            found: replica.version_text.clone(),
            other: other.host.clone(),
            expected: node.version_text.clone(),
        };
        if !options.allow_other_release {
            return Err(refusal);
        }
        warnings.push(refusal.to_string());
    }
    Ok(())
}

fn in_sync(
    seen: &Observation,
    status: &ReplStatus,
    options: &PromoteOptions,
    warnings: &mut Vec<String>,
) -> Result<(), Refusal> {
    let stores = status.behind();
    if stores.is_empty() {
        return Ok(());
    }
    let host = options.host.clone();
    if options.accept_data_loss.is_empty() {
        let better = seen.hosts.iter().find_map(|other| match &other.state {
            State::Answers(node) if other.host != host && node.role == Role::Replica => {
                let level = node.replication.as_ref()?.level;
                (level < status.level).then(|| (other.host.clone(), level))
            }
            _ => None,
        });
        if let Some((better, level)) = better {
            return Err(Refusal::BetterReplica { host, better, level: level.word() });
        }
        return Err(Refusal::Behind { host, level: status.level.word(), stores });
    }
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    if sorted(&options.accept_data_loss) != sorted(&stores) {
        return Err(Refusal::BehindOther { accepted: options.accept_data_loss.clone(), stores });
    }
    warnings.push(format!("the newest writes in {} are given up", stores.join(", ")));
    Ok(())
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
