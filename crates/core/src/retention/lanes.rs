//! Rules applied to the lines of a chain, each line and each key on its own.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::{
    plan::{Candidate, Ghost, Remark, Worth},
    policy::{Policy, Stretch},
    rules::{Place, Ways},
};
use crate::{
    seal::chain::{Chain, FUTURE_SLACK, Link},
    vault::SnapshotId,
};

/// The reasons that are collected while rules are applied.
type Reasons = Vec<Vec<String>>;

/// Whether a seal counts.
pub(super) fn trusted(policy: &Policy, link: &Link) -> bool {
    policy.trusted_keys.is_empty() || policy.trusted_keys.contains(&link.key)
}

/// The chain of the seals that count, and where each of them stands in the list of snapshots.
pub(super) struct Lanes {
    pub(super) chain: Chain,
    /// For each link the snapshot; `None` for one that is gone.
    at: Vec<Option<usize>>,
    /// Snapshots whose seal another snapshot has, too.
    copies: BTreeSet<SnapshotId>,
}

impl Lanes {
    pub(super) fn new(policy: &Policy, candidates: &[Candidate], ghosts: &[Ghost]) -> Self {
        let (mut links, mut copies) = (Vec::new(), BTreeSet::new());
        let mut at: Vec<Option<usize>> = Vec::new();
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (number, candidate) in candidates.iter().enumerate() {
            let Worth::Complete(link) = &candidate.worth else { continue };
            if !trusted(policy, link) {
                continue;
            }
            if let Some(first) = seen.get(link.hash.as_str()).copied() {
                // the same seal in another snapshot file: the one with the sealed time stands for both
                let known: &Candidate = &candidates[at[first].unwrap_or(number)];
                if known.time != link.started && candidate.time == link.started {
                    copies.insert(known.id);
                    at[first] = Some(number);
                } else {
                    copies.insert(candidate.id);
                }
                continue;
            }
            seen.insert(&link.hash, links.len());
            links.push(link.clone());
            // what is in quarantine has its place in the order, and satisfies no rule
            at.push(candidate.quarantine.is_none().then_some(number));
        }
        for ghost in ghosts.iter().filter(|ghost| trusted(policy, &ghost.link)) {
            if seen.insert(&ghost.link.hash, usize::MAX).is_none() {
                links.push(ghost.link.clone());
                at.push(None);
            }
        }
        let disowned: BTreeSet<&str> =
            ghosts.iter().filter(|g| g.by_name).map(|g| g.link.hash.as_str()).collect();
        let mut chain = Chain::new(links);
        if policy.join_gaps {
            chain = chain.joined();
        }
        let mut lanes = Self { chain, at, copies };
        lanes.disown(&disowned);
        lanes
    }

    /// Times of what somebody forgot by name say nothing about others any more; they are told by their forerunners'.
    fn disown(&mut self, hashes: &BTreeSet<&str>) {
        if hashes.is_empty() {
            return;
        }
        let gone =
            |place: usize, link: &Link| self.at[place].is_none() && hashes.contains(link.hash.as_str());
        let mut links = self.chain.links().to_vec();
        for line in self.chain.lines() {
            let mut before = Timestamp::MIN;
            for place in line {
                if gone(place, &links[place]) {
                    links[place].started = before;
                }
                before = links[place].started;
            }
        }
        self.chain = self.chain.with_links(links);
    }

    pub(super) fn remarks(&self, candidates: &[Candidate]) -> Vec<Remark> {
        let of = |link: &Link| {
            let place = self.chain.links().iter().position(|one| one.hash == link.hash)?;
            Some(candidates[self.at[place]?].id)
        };
        let forks = self.chain.forks().map(|link| Remark {
            snapshot: of(link),
            text: "several snapshots name it as the one before: the chain forks, and both branches are kept"
                .into(),
        });
        let loose = self.chain.loose().map(|link| Remark {
            snapshot: of(link),
            text: "the snapshot before it is not in the vault, and no record says that it was forgotten: what follows counts on its own".into(),
        });
        forks.chain(loose).filter(|remark| remark.snapshot.is_some()).collect()
    }

    /// Applies all rules to all lines, each key's snapshots on their own unless the trusted keys are named.
    pub(super) fn apply(
        &self,
        policy: &Policy,
        candidates: &[Candidate],
        now: Timestamp,
        reasons: &mut Reasons,
        remarks: &mut Vec<Remark>,
    ) {
        let links = self.chain.links();
        let latest = now.saturating_add(FUTURE_SLACK).unwrap_or(Timestamp::MAX);
        let ahead = |place: usize| links[place].started > latest;
        for (place, link) in links.iter().enumerate().filter(|(place, _)| ahead(*place)) {
            if let Some(at) = self.at[place] {
                add(&mut reasons[at], "its time has not come yet");
                let text = format!("it says that it shows {}, which is in the future", link.started);
                remarks.push(Remark { snapshot: Some(candidates[at].id), text });
            }
        }
        for line in self.chain.lines() {
            let mut keys: Vec<&str> = line.iter().map(|place| links[*place].key.as_str()).collect();
            keys.sort_unstable();
            keys.dedup();
            if !policy.trusted_keys.is_empty() {
                keys.truncate(1);
            }
            for key in &keys {
                let alone = policy.trusted_keys.is_empty();
                let lane: Vec<usize> = line
                    .iter()
                    .copied()
                    .filter(|place| !ahead(*place) && (!alone || links[*place].key == *key))
                    .collect();
                self.apply_to(policy, &lane, now, reasons);
            }
            self.remark_times(&line, candidates, &ahead, remarks);
            if policy.trusted_keys.is_empty() && keys.len() > 1 {
                let text = format!(
                    "seals of one chain are signed with {} keys ({}): name those that are yours as trusted",
                    keys.len(),
                    keys.join(", ")
                );
                let remark = Remark { snapshot: None, text };
                if !remarks.contains(&remark) {
                    remarks.push(remark);
                }
            }
        }
        if let Some(at) = self.newest(now) {
            add(&mut reasons[at], "newest");
        }
    }

    fn apply_to(&self, policy: &Policy, lane: &[usize], now: Timestamp, reasons: &mut Reasons) {
        let links = self.chain.links();
        let places: Vec<Place> = lane
            .iter()
            .map(|place| Place { time: links[*place].started.min(now), present: self.at[*place].is_some() })
            .collect();
        let ways = Ways::new(&places);
        let mut keep = |kept: Vec<usize>, why: &str| {
            for at in kept.into_iter().filter_map(|one| self.at[lane[one]]) {
                add(&mut reasons[at], why);
            }
        };
        let local: Vec<jiff::Zoned> = places.iter().map(|place| policy.local(place.time)).collect();
        for rule in policy.rules().into_iter().filter(|rule| rule.count > 0) {
            let stretches: Vec<Stretch> = local.iter().map(rule.stretch).collect();
            keep(ways.keep(rule.count, |at| stretches[at]), rule.name);
        }
        keep(ways.keep(1, |at| at), "newest");
        if policy.minimum > 1 {
            keep(ways.keep(policy.minimum, |at| at), "minimum");
        }
    }

    /// The newest complete snapshot, by its place in the list.
    pub(super) fn newest(&self, now: Timestamp) -> Option<usize> {
        let tip = self.chain.tip(now)?;
        std::iter::successors(Some(tip), |place| self.chain.before(*place)).find_map(|place| self.at[place])
    }

    /// The last complete snapshot before one, by its place in the list, that is there and not in quarantine.
    pub(super) fn good_before(&self, candidate: &Candidate) -> Option<usize> {
        let (Worth::Complete(link) | Worth::Partial(link)) = &candidate.worth else { return None };
        let place = self.chain.links().iter().position(|one| one.hash == link.hash)?;
        std::iter::successors(self.chain.before(place), |place| self.chain.before(*place))
            .find_map(|place| self.at[place])
    }

    /// Tells which snapshots are earlier than one before them.
    fn remark_times(
        &self,
        line: &[usize],
        candidates: &[Candidate],
        ahead: &dyn Fn(usize) -> bool,
        remarks: &mut Vec<Remark>,
    ) {
        let mut reached = Timestamp::MIN;
        for place in line.iter().filter(|place| !ahead(**place)) {
            let started = self.chain.links()[*place].started;
            if let Some(at) = self.at[*place].filter(|_| started < reached) {
                let text = format!(
                    "it says that it shows {started}, but follows one of {reached}: one of the two is wrong, and neither pushes the other out"
                );
                let remark = Remark { snapshot: Some(candidates[at].id), text };
                if !remarks.contains(&remark) {
                    remarks.push(remark);
                }
            }
            reached = reached.max(started);
        }
    }

    pub(super) fn why_not(&self, candidate: &Candidate) -> &'static str {
        match &candidate.worth {
            Worth::Partial(_) => "partial, and a newer one is complete",
            _ if self.copies.contains(&candidate.id) => "another snapshot has the same seal",
            _ => "no rule keeps it",
        }
    }
}

fn add(reasons: &mut Vec<String>, why: &str) {
    if !reasons.iter().any(|reason| reason == why) {
        reasons.push(why.to_owned());
    }
}

/// Partial snapshots: those that nothing complete came after, and the newest few.
pub(super) fn partials(policy: &Policy, candidates: &[Candidate], chain: &Chain, reasons: &mut Reasons) {
    let known = |hash: &String| chain.links().iter().any(|link| link.hash == *hash);
    let mut of: Vec<(usize, &Link)> = candidates
        .iter()
        .enumerate()
        .filter_map(|(at, candidate)| match &candidate.worth {
            Worth::Partial(link) => Some((at, link)),
            _ => None,
        })
        .collect();
    of.sort_by_key(|(at, link)| (std::cmp::Reverse(link.started), *at));
    for (number, (at, link)) in of.iter().enumerate() {
        let overtaken = match &link.previous {
            None => !chain.links().is_empty(),
            Some(before) => chain.has_successor(before),
        };
        if !overtaken {
            add(&mut reasons[*at], "partial, newer than the newest complete one");
        } else if link.previous.as_ref().is_some_and(|before| !known(before)) {
            add(&mut reasons[*at], "partial, and its place in the chain is unknown");
        }
        if number < usize::try_from(policy.partial).unwrap_or(usize::MAX) {
            add(&mut reasons[*at], "partial, one of the newest");
        }
    }
}
