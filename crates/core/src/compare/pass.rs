//! Both passes: what they saw inside our windows, and what we saw inside theirs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{
    Class, CompareError, Look, ReferenceKey, RepositoryKey, Seen, Side, Table, VaultSide, Verdict, Window,
    judge,
};
use crate::{
    history::{Ancestry, ancestry::Unasked},
    restore::entry::show,
};

/// How to compare.
#[derive(Clone, Debug)]
pub struct CompareOptions<'a> {
    /// How far the clocks of the two hosts may be apart.
    pub slack: SignedDuration,
    /// Where private folders for commits are made; without it moves are not asked of the commits.
    pub scratch: Option<&'a Path>,
}

/// How much a disagreement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Possible in a normal history.
    Low,
    /// No normal history explains it.
    High,
}

/// A reference that the two saw differently, in a way that time does not explain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disagreement {
    /// How much it says.
    pub severity: Severity,
    /// The repository; the hash of its path when only the other side knows it.
    pub repository: String,
    /// The reference; its hash when only the other side knows it; none for the repository itself.
    pub reference: Option<String>,
    /// What this vault saw: the value, or before and after.
    pub ours: String,
    /// What the other saw.
    pub theirs: String,
    /// The first snapshot that differs.
    pub snapshot: String,
    /// Whose it is: `ours` or `theirs`.
    pub seen_by: &'static str,
    /// The moment that it shows.
    pub time: Timestamp,
    /// In words.
    pub what: String,
    /// Snapshots in which it differs.
    pub snapshots: usize,
}

/// What comparing found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Comparison {
    /// Snapshots of this vault that were compared.
    pub ours: usize,
    /// Snapshots of the other.
    pub theirs: usize,
    /// Pairs of repository and snapshot whose ref digests were the same at once.
    pub same: u64,
    /// Those that time explains.
    pub explained: u64,
    /// References whose commits could not be asked: repository, reference and why, the first ones.
    pub unproven: Vec<String>,
    /// What time does not explain, by severity and time.
    pub disagreements: Vec<Disagreement>,
}

impl Comparison {
    /// Whether something is there that no normal history explains.
    #[must_use]
    pub fn is_contradiction(&self) -> bool {
        self.disagreements.iter().any(|one| one.severity == Severity::High)
    }
}

/// Reasons that are listed.
const UNPROVEN_MAX: usize = 50;

type Key = (RepositoryKey, Option<ReferenceKey>);

struct Pass<'a> {
    ours: &'a VaultSide,
    options: &'a CompareOptions<'a>,
    found: BTreeMap<Key, Disagreement>,
    result: Comparison,
}

/// Compares.
///
/// # Errors
/// One of the sides cannot be read.
pub fn compare(
    ours: &VaultSide,
    theirs: &dyn Side,
    options: &CompareOptions<'_>,
) -> Result<Comparison, CompareError> {
    let result =
        Comparison { ours: ours.looks().len(), theirs: theirs.looks().len(), ..Comparison::default() };
    let mut pass = Pass { ours, options, found: BTreeMap::new(), result };
    pass.run(theirs, ours, "theirs")?;
    pass.run(ours, theirs, "ours")?;
    let mut result = pass.result;
    result.disagreements = pass.found.into_values().collect();
    result.disagreements.sort_by(|a, b| {
        (b.severity, a.time, &a.repository, &a.reference).cmp(&(
            a.severity,
            b.time,
            &b.repository,
            &b.reference,
        ))
    });
    Ok(result)
}

/// The looks of one side around a look of the other.
struct Around {
    before: Option<usize>,
    during: Vec<usize>,
    after: Option<usize>,
}

fn around(looks: &[Look], look: &Look, slack: SignedDuration) -> Around {
    let earlier = |one: &Look| one.ended.saturating_add(slack).unwrap_or(one.ended) <= look.started;
    let later = |one: &Look| one.started >= look.ended.saturating_add(slack).unwrap_or(look.ended);
    let before = looks.iter().rposition(earlier);
    let after = looks.iter().position(later);
    let during = (0..looks.len()).filter(|at| !earlier(&looks[*at]) && !later(&looks[*at])).collect();
    Around { before, during, after }
}

impl Around {
    fn all(&self) -> impl Iterator<Item = usize> + '_ {
        self.before.iter().chain(&self.during).chain(&self.after).copied()
    }

    fn window<T>(
        &self,
        at: impl Fn(usize) -> Result<T, CompareError>,
        seen: impl Fn(&T) -> Seen,
    ) -> Result<Window, CompareError> {
        let one = |place: Option<usize>| match place {
            Some(place) => Ok::<Seen, CompareError>(seen(&at(place)?)),
            None => Ok(Seen::NoLook),
        };
        let during = self.during.iter().map(|place| one(Some(*place))).collect::<Result<_, _>>()?;
        Ok(Window { before: one(self.before)?, during, after: one(self.after)? })
    }
}

impl Pass<'_> {
    /// What `one` saw at each of its looks, inside the windows of `other`.
    fn run(&mut self, one: &dyn Side, other: &dyn Side, seen_by: &'static str) -> Result<(), CompareError> {
        for (at, look) in one.looks().iter().enumerate() {
            let around = around(other.looks(), look, self.options.slack);
            if around.before.is_none() && around.after.is_none() {
                continue;
            }
            let here = one.digests(at)?;
            let there: Vec<_> = around.all().map(|at| other.digests(at)).collect::<Result<_, _>>()?;
            let mut all: BTreeSet<&RepositoryKey> = here.keys().collect();
            all.extend(there.iter().flat_map(|digests| digests.keys()));
            for key in all {
                let digest = here.get(key);
                if there.iter().any(|digests| digests.get(key) == digest) {
                    self.result.same += 1;
                    continue;
                }
                self.repository((one, at), (other, &around), key, seen_by)?;
            }
        }
        Ok(())
    }

    fn repository(
        &mut self,
        (one, at): (&dyn Side, usize),
        (other, around): (&dyn Side, &Around),
        key: &RepositoryKey,
        seen_by: &'static str,
    ) -> Result<(), CompareError> {
        let table = one.table(at, key)?;
        let tables = |place: usize| other.table(place, key);
        let mut others: Vec<Table> = Vec::new();
        for place in around.all() {
            others.extend(other.table(place, key)?);
        }
        let table = match table {
            Some(table) if !others.is_empty() => table,
            table => {
                self.missing((one, at), (around, others.len()), key, table.is_some(), seen_by);
                return Ok(());
            }
        };
        let mut ours: Vec<usize> = if seen_by == "ours" { vec![at] } else { around.all().collect() };
        ours.extend(self.ours.looks().len().checked_sub(1));
        let (own, scratch) = (self.ours, self.options.scratch);
        // what is missing here has its name from the looks beside it
        let beside = if seen_by == "ours" { at.checked_sub(1) } else { None };
        for place in beside.into_iter().chain(own.looks().len().checked_sub(1)) {
            own.table(place, key)?;
        }
        let mut commits = scratch.and_then(|scratch| own.commits(key, &ours, scratch));
        let mut unasked = Unasked;
        let names: BTreeSet<ReferenceKey> =
            table.keys().chain(others.iter().flat_map(|table| table.keys())).copied().collect();
        let heads: BTreeSet<&String> = self.heads(key, &table, &others);
        let mut is_explained = true;
        for name in names {
            let value = |table: &Option<Table>| match table.as_ref().and_then(|table| table.get(&name)) {
                Some(value) => Seen::At(value.clone()),
                None => Seen::Absent,
            };
            let window = around.window(tables, value)?;
            let seen = table.get(&name).map_or(Seen::Absent, |value| Seen::At(value.clone()));
            let class = self.class(name, &heads);
            let ancestry: &mut dyn Ancestry = match &mut commits {
                Some(commits) => commits,
                None => &mut unasked,
            };
            let (severity, what) = match judge(class, &window, &seen, ancestry) {
                Verdict::Explained => continue,
                Verdict::Unproven(why) => {
                    if self.result.unproven.len() < UNPROVEN_MAX {
                        let text = format!(
                            "{} {}: {why}",
                            self.repository_name(key),
                            self.reference_name(Some(&name)).unwrap_or_default()
                        );
                        self.result.unproven.push(text);
                    }
                    continue;
                }
                Verdict::Rewritten(what) => (Severity::Low, what),
                Verdict::Contradiction(what) => (Severity::High, what),
            };
            is_explained = false;
            self.add((key, Some(&name)), (severity, what), &window, &seen, (&one.looks()[at], seen_by));
        }
        self.result.explained += u64::from(is_explained);
        Ok(())
    }

    /// A repository that one side has and the other, all around, has not.
    fn missing(
        &mut self,
        (one, at): (&dyn Side, usize),
        (around, there): (&Around, usize),
        key: &RepositoryKey,
        has: bool,
        seen_by: &'static str,
    ) {
        let enclosed = around.before.is_some() && around.after.is_some();
        let all = around.all().count();
        let presence = |has: bool| if has { Seen::At("there".into()) } else { Seen::Absent };
        let (severity, what) = match has {
            true if enclosed => (Severity::Low, "it was there between two looks of the other side only"),
            false if enclosed && there == all => {
                (Severity::High, "the other side saw the repository before and after")
            }
            _ => {
                self.result.explained += 1;
                return;
            }
        };
        let window = Window { before: presence(!has), during: Vec::new(), after: presence(!has) };
        self.add((key, None), (severity, what), &window, &presence(has), (&one.looks()[at], seen_by));
    }

    /// Values of `HEAD` on both sides.
    fn heads<'t>(&self, key: &RepositoryKey, table: &'t Table, others: &'t [Table]) -> BTreeSet<&'t String> {
        let Some(path) = self.ours.path(key) else { return BTreeSet::new() };
        let head = self.ours.blind().reference(&path, b"HEAD");
        std::iter::once(table).chain(others).filter_map(|table| table.get(&head)).collect()
    }

    fn class(&self, name: ReferenceKey, heads: &BTreeSet<&String>) -> Class {
        let Some(name) = self.ours.reference(&name) else { return Class::Branch };
        let target = self.ours.blind().value(&[b"ref: ", &name[..]].concat());
        Class::of(&name, heads.contains(&target))
    }

    fn repository_name(&self, key: &RepositoryKey) -> String {
        let newest = self.ours.looks().len().saturating_sub(1);
        self.ours.name(newest, key).unwrap_or_else(|| format!("#{}", hex::encode(key)))
    }

    fn reference_name(&self, key: Option<&ReferenceKey>) -> Option<String> {
        let key = key?;
        let name = self.ours.reference(key).map(|name| show(&name));
        Some(name.unwrap_or_else(|| format!("#{}", hex::encode(key))))
    }

    fn add(
        &mut self,
        (repository, reference): (&RepositoryKey, Option<&ReferenceKey>),
        (severity, what): (Severity, &str),
        window: &Window,
        seen: &Seen,
        (look, seen_by): (&Look, &'static str),
    ) {
        let around = match (text(&window.before), text(&window.after)) {
            (before, after) if before == after => before,
            (before, after) => format!("{before}, then {after}"),
        };
        let (ours, theirs) = if seen_by == "ours" { (text(seen), around) } else { (around, text(seen)) };
        let new = Disagreement {
            severity,
            repository: self.repository_name(repository),
            reference: self.reference_name(reference),
            ours,
            theirs,
            snapshot: look.snapshot.clone(),
            seen_by,
            time: look.started,
            what: what.to_owned(),
            snapshots: 1,
        };
        match self.found.entry((*repository, reference.copied())) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(new);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                known.snapshots += 1;
                let count = known.snapshots;
                if (std::cmp::Reverse(new.severity), new.time)
                    < (std::cmp::Reverse(known.severity), known.time)
                {
                    *known = Disagreement { snapshots: count, ..new };
                }
            }
        }
    }
}

fn text(seen: &Seen) -> String {
    match seen {
        Seen::NoLook => "not looked at".into(),
        Seen::Absent => "absent".into(),
        Seen::At(value) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(start: i64, end: i64) -> Look {
        let at = |second| Timestamp::from_second(second).unwrap();
        Look { snapshot: start.to_string(), started: at(start), ended: at(end) }
    }

    #[test]
    fn looks_around_a_moment_are_before_during_and_after_it() {
        let looks = [look(0, 10), look(100, 110), look(115, 125), look(200, 210)];
        let found = around(&looks, &look(120, 130), SignedDuration::ZERO);
        assert_eq!((found.before, found.during, found.after), (Some(1), vec![2], Some(3)));
        let wide = around(&looks, &look(120, 130), SignedDuration::from_secs(30));
        assert_eq!((wide.before, wide.during, wide.after), (Some(0), vec![1, 2], Some(3)));
    }
}
