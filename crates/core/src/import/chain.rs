//! Incremental MySQL chains of backup-utils (contract §4.5): which snapshot needs which others, and whether they are all there. Pure.
//!
//! The lists hold absolute paths, which moving the data directory breaks, and names change when a cycle becomes the previous one: members
//! are found by the last part of their path, without the mark of the previous cycle.

use std::collections::BTreeMap;

use serde::Serialize;

use super::name::plain;

/// What `xtrabackup_checkpoints` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoints {
    /// Whether the stream holds only what changed since `from`.
    pub incremental: bool,
    /// Log sequence number that the stream begins at.
    pub from: u64,
    /// Log sequence number that it reaches.
    pub to: u64,
}

impl Checkpoints {
    /// Reads the file; `None` when it says neither kind nor end.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut found = BTreeMap::new();
        for line in text.lines() {
            if let Some((key, value)) = line.split_once('=') {
                found.insert(key.trim(), value.trim());
            }
        }
        let number = |key: &str| found.get(key).and_then(|value| value.parse::<u64>().ok());
        let from = number("from_lsn").unwrap_or(0);
        Some(Self {
            incremental: found.get("backup_type").map_or(from > 0, |kind| *kind == "incremental"),
            from,
            to: number("to_lsn")?,
        })
    }
}

/// The lists of one cycle, as they stand in the data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cycle {
    /// Path of the full snapshot.
    pub full: Option<String>,
    /// Paths of the incremental ones, oldest first.
    pub incrementals: Vec<String>,
}

impl Cycle {
    /// Names of the members, full one first.
    fn members(&self) -> impl Iterator<Item = &str> {
        self.full.iter().chain(&self.incrementals).map(|path| plain(last_part(path)))
    }
}

/// A snapshot as far as chains are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The directory's name.
    pub name: String,
    /// Whether it can be used: finished, with a MySQL stream.
    pub usable: bool,
    /// Its checkpoints, of chains only.
    pub checkpoints: Option<Checkpoints>,
}

/// What a snapshot's MySQL stream needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Chain {
    /// Nothing: it is whole by itself.
    Whole,
    /// These directories, oldest first, the snapshot itself last.
    Members(Vec<String>),
    /// Something that is not there.
    Broken(String),
}

/// What the snapshot `name` needs, given all directories and the lists of both cycles.
#[must_use]
pub fn of(name: &str, links: &[Link], cycles: &[Cycle]) -> Chain {
    let link = |wanted: &str| links.iter().find(|link| plain(&link.name) == wanted);
    let Some(own) =
        link(plain(name)).and_then(|link| link.checkpoints.as_ref()).filter(|own| own.incremental)
    else {
        return Chain::Whole;
    };
    let Some(cycle) = cycles.iter().find(|cycle| cycle.members().any(|member| member == plain(name))) else {
        return Chain::Broken(format!(
            "its stream begins at {}, and no list of the data directory names it",
            own.from
        ));
    };
    let mut members = Vec::new();
    let mut reached = 0;
    for member in cycle.members() {
        let Some(found) = link(member) else {
            return Chain::Broken(format!("`{member}` of its chain is not there"));
        };
        let Some(points) = found.checkpoints.as_ref().filter(|_| found.usable) else {
            return Chain::Broken(format!("`{member}` of its chain has no finished stream"));
        };
        if points.from != reached {
            return Chain::Broken(format!(
                "`{member}` of its chain begins at {}, the one before ends at {reached}",
                points.from
            ));
        }
        reached = points.to;
        members.push(found.name.clone());
        if member == plain(name) {
            return Chain::Members(members);
        }
    }
    Chain::Broken("the list ends before it".into())
}

fn last_part(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str, from: u64, to: u64) -> Link {
        let checkpoints = Checkpoints { incremental: from > 0, from, to };
        Link { name: name.into(), usable: true, checkpoints: Some(checkpoints) }
    }

    fn cycle(full: &str, incrementals: &[&str]) -> Cycle {
        let path = |name: &str| format!("/old/place/{name}");
        Cycle { full: Some(path(full)), incrementals: incrementals.iter().map(|name| path(name)).collect() }
    }

    #[test]
    fn a_member_needs_the_full_one_and_all_before_it_wherever_the_directory_was_moved() {
        let links = [link("1", 0, 10), link("2", 10, 20), link("3", 20, 30)];
        let cycles = [cycle("1", &["2", "3"])];
        assert_eq!(of("1", &links, &cycles), Chain::Whole);
        assert_eq!(of("2", &links, &cycles), Chain::Members(vec!["1".into(), "2".into()]));
        assert_eq!(of("3", &links, &cycles), Chain::Members(vec!["1".into(), "2".into(), "3".into()]));
    }

    #[test]
    fn members_of_the_previous_cycle_are_found_under_their_new_names() {
        let links = [link("inc_previous_1", 0, 10), link("inc_previous_2", 10, 20)];
        let cycles = [Cycle::default(), cycle("inc_previous_1", &["inc_previous_2"])];
        let members = vec!["inc_previous_1".into(), "inc_previous_2".into()];
        assert_eq!(of("inc_previous_2", &links, &cycles), Chain::Members(members));
    }

    #[test]
    fn a_missing_an_unfinished_or_an_unlisted_member_breaks_the_chain() {
        let broken = |links: &[Link], cycles: &[Cycle]| match of("3", links, cycles) {
            Chain::Broken(why) => why,
            other => panic!("{other:?}"),
        };
        let cycles = [cycle("1", &["2", "3"])];
        assert!(broken(&[link("1", 0, 10), link("3", 20, 30)], &cycles).contains("`2`"));
        let mut unfinished = [link("1", 0, 10), link("2", 10, 20), link("3", 20, 30)];
        unfinished[0].usable = false;
        assert!(broken(&unfinished, &cycles).contains("no finished stream"));
        assert!(
            broken(&[link("1", 0, 10), link("2", 11, 20), link("3", 20, 30)], &cycles)
                .contains("begins at 11")
        );
        assert!(broken(&[link("3", 20, 30)], &[]).contains("no list"));
    }

    #[test]
    fn checkpoints_are_read_by_their_keys() {
        let text = "backup_type = incremental\nfrom_lsn = 1000\nto_lsn = 2000\nlast_lsn = 2001\n";
        assert_eq!(Checkpoints::parse(text), Some(Checkpoints { incremental: true, from: 1000, to: 2000 }));
        assert_eq!(Checkpoints::parse("nonsense"), None);
    }
}
