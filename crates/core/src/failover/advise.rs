//! Promote or restore? Pure: what was seen and what the vault has in, advice out.
//!
//! The order of the questions is the order of the harm that a wrong answer does: two primaries, altered data, a primary
//! that may still serve; then whether there is anything to do; and only then which way is the better one.

use serde::Serialize;

use super::{
    cluster,
    observe::{Doubt, Node, Observation},
    repl_status::{Level, ReplStatus},
    sight::Sight,
    traps::{self, Trap},
    ways::{self, PromoteWay, RestoreWay, VaultFacts},
};
use crate::appliance::facts::Role;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A primary serves.
    NothingToDo,
    /// Promote the replica.
    Promote,
    /// Restore the snapshot.
    Restore,
    /// Somebody is at work on the primary.
    Wait,
    /// Not enough is known, or something is wrong that neither way mends.
    Investigate,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Advice {
    /// What to do.
    pub verdict: Verdict,
    /// On what, when the verdict is about one host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Why, the weightiest first.
    pub reasons: Vec<String>,
    /// The way by promotion, when there is a replica.
    pub promote: Option<PromoteWay>,
    /// The way by restore, when there is a complete snapshot.
    pub restore: Option<RestoreWay>,
    /// Traps of the ways that are open.
    pub traps: Vec<Trap>,
}

/// Decides.
#[must_use]
pub fn advise(seen: &Observation, vault: &VaultFacts, suspect_tampering: bool) -> Advice {
    let sight = Sight::new(seen, vault);
    let (verdict, mut reasons) = sight.judge(suspect_tampering);
    reasons.extend(sight.remarks());
    let promote = sight
        .best()
        .map(|(host, node, status)| ways::promotion(host, &node.version, status, &sight.behind(node)));
    let restore = ways::restore(vault, seen.at, sight.fresh());
    let mut traps = Vec::new();
    if let Some((_, node, _)) = sight.best() {
        traps.extend(traps::of_promotion(node, sight.behind(node).uuid));
    }
    if restore.is_some() && matches!(verdict, Verdict::Restore | Verdict::Investigate) {
        traps.extend(traps::of_restore(vault, sight.replicates()));
    }
    let host = match verdict {
        Verdict::NothingToDo | Verdict::Wait => {
            let member = sight.nodes().find(|(_, node)| node.role == Role::Cluster && node.configured);
            sight.serving().next().or(member).map(|(host, _)| host.to_owned())
        }
        Verdict::Promote => promote.as_ref().map(|way| way.host.clone()),
        Verdict::Restore | Verdict::Investigate => None,
    };
    Advice { verdict, host, reasons, promote, restore, traps }
}

impl Sight<'_> {
    fn judge(&self, suspect_tampering: bool) -> (Verdict, Vec<String>) {
        let serving: Vec<_> = self.serving().collect();
        if let [_, _, ..] = serving[..] {
            return (Verdict::Investigate, self.split_brain(&serving));
        }
        if suspect_tampering {
            return self.tampered();
        }
        if let Some(verdict) = cluster::judge(self) {
            return verdict;
        }
        match serving.first() {
            Some((host, node)) if node.maintenance => {
                let mut reasons = vec![format!(
                    "the primary `{host}` answers and is in maintenance mode: find out who set it"
                )];
                if self.best().is_some() {
                    reasons.push("for a planned failover, go on with the promotion below".into());
                }
                (Verdict::Wait, reasons)
            }
            Some((host, node)) => (
                Verdict::NothingToDo,
                vec![format!("`{host}` is {} and serves release {}", role(node.role), node.version_text)],
            ),
            None => self.nobody_serves(),
        }
    }

    fn split_brain(&self, serving: &[(&str, &Node)]) -> Vec<String> {
        let names: Vec<String> = serving
            .iter()
            .map(|(host, node)| format!("`{host}` ({}, UUID {})", role(node.role), node.uuid))
            .collect();
        let mut reasons = vec![
            format!("split brain: {} serve at the same time", names.join(" and ")),
            "decide which one is right and switch the other one off now: every minute both take writes"
                .to_owned(),
        ];
        if let Some(newest) = &self.vault.newest
            && let Some((host, _)) = serving.iter().find(|(_, node)| node.uuid == newest.uuid)
        {
            reasons.push(format!("the newest snapshot ({}) is of `{host}`", newest.time));
        }
        reasons
    }

    fn tampered(&self) -> (Verdict, Vec<String>) {
        let copied =
            "the replica has the same data: what was altered, deleted or encrypted there was replicated";
        if self.vault.newest.is_none() {
            let text = "there is no complete snapshot to go back to; cut the appliances off from the network and keep their disks";
            return (Verdict::Investigate, vec![text.into(), copied.into(), self.no_snapshot()]);
        }
        let mut reasons =
            vec!["tampering is suspected: a promotion would carry it on".to_owned(), copied.to_owned()];
        reasons.push(
            "choose a snapshot from before the tampering (`ghevault snapshots`); the newest one may hold it, too".into(),
        );
        if self.serving().next().is_some() {
            reasons.push(
                "cut the appliances off from the network first, and keep their disks as evidence".into(),
            );
        }
        (Verdict::Restore, reasons)
    }

    fn nobody_serves(&self) -> (Verdict, Vec<String>) {
        let doubts: Vec<_> = self.unclear().collect();
        if !doubts.is_empty() {
            let mut reasons: Vec<String> =
                doubts.iter().map(|(host, doubt, why)| doubt_text(host, *doubt, why)).collect();
            reasons.push(
                "as long as it may be the primary and serve, a promotion could make two of them".into(),
            );
            return (Verdict::Investigate, reasons);
        }
        if let Some((host, peer)) = self.reached_by_a_replica() {
            return (
                Verdict::Investigate,
                vec![
                    format!(
                        "this host does not reach the primary, but the replica `{host}` still reaches `{peer}`"
                    ),
                    "it may be serving: mend the network between here and there, or switch it off first"
                        .to_owned(),
                ],
            );
        }
        let lost: Vec<String> = self
            .unreachable()
            .map(|(host, reason)| format!("`{host}` cannot be reached: {reason}"))
            .collect();
        match self.best() {
            Some((host, node, status)) => self.replica_left(host, node, status, lost),
            None => self.nothing_left(lost),
        }
    }

    /// The primary does not answer, a replica does.
    fn replica_left(
        &self,
        host: &str,
        node: &Node,
        status: &ReplStatus,
        lost: Vec<String>,
    ) -> (Verdict, Vec<String>) {
        if lost.is_empty() && self.fresh().is_none() {
            let names: Vec<&str> =
                node.peers.iter().filter(|peer| !peer.replica).map(|peer| peer.name.as_str()).collect();
            let hint = if names.is_empty() {
                String::new()
            } else {
                format!(" (`{}` by its own account)", names.join("`, `"))
            };
            return (
                Verdict::Investigate,
                vec![format!(
                    "only replicas were looked at: name their primary{hint} too, it may be serving"
                )],
            );
        }
        let mut reasons = lost;
        let said = match status.level {
            Level::Ok => format!("the replica `{host}` says that everything is in sync"),
            Level::NotStarted => {
                format!("replication to `{host}` was not running: its data is of unknown age")
            }
            Level::Unknown => format!(
                "the replica `{host}` did not tell its state: {}",
                status.said.as_deref().unwrap_or("no reason")
            ),
            level => format!("the replica `{host}` says {}: {}", level.word(), status.behind().join(", ")),
        };
        reasons.push(said);
        if status.level == Level::NotStarted
            && let Some(newest) = &self.vault.newest
        {
            reasons.push(format!(
                "the snapshot of {} is of a known moment, the replica's data is not",
                newest.time
            ));
            return (Verdict::Restore, reasons);
        }
        if status.level >= Level::Critical {
            reasons.push(
                "a replica that has lost its primary may say so for that reason alone; what was not replicated is lost \
                 either way, and `ghevault restore` can bring parts back"
                    .into(),
            );
        }
        reasons.push("a promotion takes 20 to 30 minutes and loses less than a restore would".into());
        (Verdict::Promote, reasons)
    }

    /// Neither primary nor replica answers.
    fn nothing_left(&self, lost: Vec<String>) -> (Verdict, Vec<String>) {
        let many = lost.len() > 1;
        let mut reasons = lost;
        reasons.push("no replica answers: there is nothing to promote".into());
        if self.vault.newest.is_none() {
            reasons.push(self.no_snapshot());
            return (Verdict::Investigate, reasons);
        }
        if many && self.nodes().next().is_none() {
            reasons.insert(
                0,
                "no host answers at all: that is rather the network between here and there; look from a second place \
                 before you restore"
                    .into(),
            );
            return (Verdict::Investigate, reasons);
        }
        if self.fresh().is_none() {
            reasons
                .push("look from a second place first: it may be the network between here and there".into());
        }
        (Verdict::Restore, reasons)
    }

    fn no_snapshot(&self) -> String {
        match &self.vault.problem {
            Some(problem) => format!("the vault cannot be looked at: {problem}"),
            None => "the vault has no complete snapshot".to_owned(),
        }
    }

    /// What is worth knowing whatever the verdict is.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if let Some((_, serving)) = self.serving().next() {
            for (host, reason) in self.unreachable() {
                remarks.push(format!("`{host}` cannot be reached: {reason}"));
            }
            for (host, doubt, why) in self.unclear() {
                remarks.push(doubt_text(host, doubt, why));
            }
            for (host, node, status) in self.replicas() {
                if status.level != Level::Ok {
                    let behind = status.behind().join(", ");
                    remarks.push(format!(
                        "replica `{host}` is {}: {behind}; mend that before you need it",
                        status.level.word()
                    ));
                }
                if node.version != serving.version {
                    remarks.push(format!(
                        "replica `{host}` has release {}, the primary {}: a pair must have one release",
                        node.version_text, serving.version_text
                    ));
                }
            }
            if serving.role == Role::Primary && self.replicas().next().is_none() {
                remarks.push("the primary has replicas, but none of the hosts looked at is one".into());
            }
        }
        if let (Some(newest), None) = (&self.vault.newest, &self.vault.problem) {
            let hours = self.at.as_second().saturating_sub(newest.time.as_second()) / 3_600;
            if hours >= 24 {
                remarks.push(format!("the newest complete snapshot is {hours} hours old"));
            }
            match &self.vault.verified {
                None => remarks.push("no snapshot of this vault has been verified by this host".into()),
                Some(verified) if verified.snapshot.id != newest.id => remarks.push(format!(
                    "the newest snapshot is not verified; the newest verified one is {} of {}",
                    verified.snapshot.id.get(..8).unwrap_or(&verified.snapshot.id),
                    verified.snapshot.time
                )),
                Some(_) => {}
            }
        } else if self.vault.problem.is_some() {
            remarks.push(format!("{}; a restore cannot be weighed", self.no_snapshot()));
        } else {
            remarks.push(self.no_snapshot());
        }
        let mut told = std::collections::BTreeSet::new();
        remarks.retain(|remark| told.insert(remark.clone()));
        remarks
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Standalone => "standalone",
        Role::Primary => "the primary",
        Role::Replica => "a replica",
        Role::Cluster => "a node of a cluster",
    }
}

fn doubt_text(host: &str, doubt: Doubt, why: &str) -> String {
    match doubt {
        Doubt::HostKeyChanged => format!(
            "`{host}` answers with another host key: a promotion does not explain that; compare with its console, then \
             `ghevault trust {host}`"
        ),
        Doubt::HostKeyUnknown => {
            format!("nobody has pinned the host key of `{host}`: run `ghevault trust {host}`")
        }
        Doubt::NotLetIn | Doubt::NoAnswer => format!("`{host}` is there but cannot be asked: {why}"),
    }
}

#[cfg(test)]
#[path = "advise_tests.rs"]
mod tests;
