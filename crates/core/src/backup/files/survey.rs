//! Sums up a listing per unit as it streams by, and keeps the records only of units that changed.

use std::collections::{BTreeMap, HashMap};

use crate::{
    appliance::listing::{Entry, ListingError, Record, SetDigest, parse},
    backup::unit::unit_of,
};

/// Digests of units as of the parent snapshot: unit path to digest.
pub type Known = HashMap<Vec<u8>, [u8; 16]>;

/// The folder in which the gate is made and removed. Our own doing, which shows in its ctime and in no other fact, is no change.
const GATED: &[u8] = b"repositories";

/// What a listing says about one unit.
#[derive(Debug, Default)]
pub struct Surveyed {
    /// Digest over the unit's records.
    pub digest: [u8; 16],
    /// Number of entries.
    pub entries: u64,
    /// The records themselves, of changed units only; packed.
    records: Option<Packed>,
}

impl Surveyed {
    /// Whether the unit differs from the parent snapshot (or there is none).
    #[must_use]
    pub fn changed(&self) -> bool {
        self.records.is_some()
    }

    /// The parsed entries of a changed unit, in the order of the listing.
    ///
    /// # Errors
    /// A record has not the expected form.
    pub fn entries(&self) -> Result<Vec<Entry>, ListingError> {
        self.records.as_ref().map_or_else(|| Ok(Vec::new()), Packed::entries)
    }
}

/// The units that a listing named, and the places that another listing covers.
#[derive(Debug, Default)]
pub struct Survey {
    /// All units, by path.
    pub units: BTreeMap<Vec<u8>, Surveyed>,
    /// Folders named with `FORMAT_PLACE`, e.g. every repository's `objects`.
    pub places: Vec<Vec<u8>>,
    /// Folders of units that another shard takes.
    pub elsewhere: Vec<Vec<u8>>,
    /// Regular files seen.
    pub files: u64,
    /// Bytes that they have.
    pub bytes: u64,
    /// All entries seen.
    pub entries: u64,
}

/// Takes records one by one; [`Surveyor::finish`] gives the survey.
#[derive(Debug)]
pub struct Surveyor<'a> {
    known: &'a Known,
    trust: bool,
    open: BTreeMap<Vec<u8>, Open>,
    current: Option<(Vec<u8>, Open)>,
    spread: bool,
    survey: Survey,
}

#[derive(Debug, Default)]
struct Open {
    digest: SetDigest,
    records: Vec<u8>,
}

impl<'a> Surveyor<'a> {
    /// Starts a survey; with `trust` false every unit counts as changed.
    #[must_use]
    pub fn new(known: &'a Known, trust: bool) -> Self {
        Self { known, trust, open: BTreeMap::new(), current: None, spread: false, survey: Survey::default() }
    }

    /// Takes one record.
    pub fn add(&mut self, record: Record<'_>) {
        if record.is_place() {
            self.survey.places.push(record.path.to_vec());
            return;
        }
        if record.path == GATED && record.is_folder() {
            let facts = without_ctime(record.facts);
            return self.take(Record { facts: &facts, ..record });
        }
        self.take(record);
    }

    fn take(&mut self, record: Record<'_>) {
        self.survey.entries += 1;
        if record.facts.first() == Some(&b'f') {
            self.survey.files += 1;
            self.survey.bytes = self.survey.bytes.saturating_add(size_of_record(record.facts));
        }
        let unit = unit_of(record.path, record.is_folder());
        let name = &record.path[..unit.len];
        if unit.spine || self.spread {
            let open = self.open.entry(name.to_vec()).or_default();
            open.add(record);
            return;
        }
        // `find` walks depth first: the entries of a closed unit stand together.
        if self.current.as_ref().is_none_or(|(current, _)| current != name) {
            self.close_current();
            let reopened = self.open.remove(name).unwrap_or_default();
            self.current = Some((name.to_vec(), reopened));
        }
        if let Some((_, open)) = self.current.as_mut() {
            open.add(record);
        }
    }

    fn close_current(&mut self) {
        if let Some((name, open)) = self.current.take() {
            self.close(name, &open);
        }
    }

    fn close(&mut self, name: Vec<u8>, open: &Open) {
        let digest = open.digest.finish();
        let same = self.trust && self.known.get(&name) == Some(&digest);
        let records = (!same).then(|| Packed::new(&open.records, open.digest.count()));
        let mut surveyed = Surveyed { digest, entries: open.digest.count(), records };
        // A unit seen in two places of the listing (its folder was moved while `find` ran) is never trusted.
        if let Some(before) = self.survey.units.remove(&name) {
            surveyed.digest = [0; 16];
            surveyed.entries += before.entries;
            surveyed.records = Some(surveyed.records.unwrap_or_default().joined(before.records));
        }
        self.survey.units.insert(name, surveyed);
    }

    /// Takes over what another listing of the same dataset, from another node, has seen: units that lie on both are one.
    pub fn absorb(&mut self, mut other: Self) {
        self.close_current();
        other.close_current();
        for (name, open) in other.open {
            let ours = self.open.entry(name).or_default();
            ours.digest.absorb(&open.digest);
            ours.records.extend_from_slice(&open.records);
        }
        let Survey { units, places, files, bytes, entries, elsewhere: _ } = other.survey;
        self.survey.units.extend(units);
        self.survey.places.extend(places);
        self.survey.files += files;
        self.survey.bytes = self.survey.bytes.saturating_add(bytes);
        self.survey.entries += entries;
    }

    /// Whether any unit lies at or below a path.
    #[must_use]
    pub fn has_unit_in(&self, path: &[u8]) -> bool {
        let below = [path, b"/"].concat();
        let from = (std::ops::Bound::Included(&below[..]), std::ops::Bound::Unbounded);
        self.open.contains_key(path)
            || self.open.range::<[u8], _>(from).next().is_some_and(|(name, _)| name.starts_with(&below))
    }

    /// The same survey, for a dataset whose units may lie on several nodes: they stay open until the end.
    #[must_use]
    pub fn spread(mut self) -> Self {
        self.spread = true;
        self
    }

    /// Ends the survey.
    #[must_use]
    pub fn finish(mut self) -> Survey {
        self.close_current();
        for (name, open) in std::mem::take(&mut self.open) {
            self.close(name, &open);
        }
        self.survey
    }
}

impl Open {
    fn add(&mut self, record: Record<'_>) {
        self.digest.add(record);
        self.records.extend_from_slice(record.facts);
        self.records.push(0);
        self.records.extend_from_slice(record.path);
        self.records.push(0);
    }
}

/// The facts of a record with its mtime (the fifth field) in place of its ctime (the sixth).
fn without_ctime(facts: &[u8]) -> Vec<u8> {
    let mut fields: Vec<&[u8]> = facts.splitn(9, |b| *b == b' ').collect();
    if let [_, _, _, _, mtime, ctime, ..] = &mut fields[..] {
        *ctime = mtime;
    }
    fields.join(&b' ')
}

/// The size field (the fourth) of a record, without parsing the others.
fn size_of_record(facts: &[u8]) -> u64 {
    facts
        .split(|b| *b == b' ')
        .nth(3)
        .and_then(|field| std::str::from_utf8(field).ok())
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// Records, compressed: a million entries wait for their turn in a few tens of megabytes.
#[derive(Debug, Default)]
struct Packed {
    /// Compressed records, with their number.
    parts: Vec<(Vec<u8>, u64)>,
}

impl Packed {
    fn new(records: &[u8], count: u64) -> Self {
        // Should compression ever fail, the count does not agree on the way back, and that is an error there.
        Self { parts: vec![(zstd::bulk::compress(records, 1).unwrap_or_default(), count)] }
    }

    fn joined(mut self, other: Option<Self>) -> Self {
        self.parts.extend(other.unwrap_or_default().parts);
        self
    }

    fn entries(&self) -> Result<Vec<Entry>, ListingError> {
        let mut entries = Vec::new();
        for (part, count) in &self.parts {
            let before = entries.len() as u64;
            let reader = zstd::Decoder::new(part.as_slice()).map_err(ListingError::Read)?;
            crate::appliance::listing::for_each_record::<ListingError>(reader, |record| {
                entries.push(parse(record)?);
                Ok(())
            })?;
            if entries.len() as u64 != before + count {
                return Err(ListingError::Truncated);
            }
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(known: &Known, lines: &[(&str, &str)]) -> Survey {
        let mut surveyor = Surveyor::new(known, true);
        for (facts, path) in lines {
            surveyor.add(Record { facts: facts.as_bytes(), path: path.as_bytes() });
        }
        surveyor.finish()
    }

    const DIR: &str = "d755 0 0 4096 1.0 1.0 1 2 ";
    const FILE: &str = "f644 0 0 5 1.0 1.0 2 1 ";
    const REPO: &str = "repositories/c/nw/c4/ca/42/1/1.git";

    fn lines() -> Vec<(&'static str, &'static str)> {
        vec![
            (DIR, "repositories"),
            (DIR, "repositories/c"),
            (DIR, "repositories/c/nw"),
            (DIR, "repositories/c/nw/c4"),
            (DIR, "repositories/c/nw/c4/ca"),
            (DIR, "repositories/c/nw/c4/ca/42"),
            (DIR, "repositories/c/nw/c4/ca/42/1"),
            (DIR, REPO),
            (FILE, "repositories/c/nw/c4/ca/42/1/1.git/HEAD"),
            ("@", "repositories/c/nw/c4/ca/42/1/1.git/objects"),
            (DIR, "repositories/c/nw/c4/ca/42/1/2.git"),
        ]
    }

    #[test]
    fn everything_is_changed_when_nothing_is_known() {
        let survey = survey(&Known::new(), &lines());
        assert!(survey.units.values().all(Surveyed::changed));
        assert_eq!(survey.places.len(), 1);
        assert_eq!((survey.files, survey.bytes), (1, 5));
        assert_eq!(survey.units[REPO.as_bytes()].entries().unwrap().len(), 2);
    }

    #[test]
    fn a_unit_with_the_known_digest_is_unchanged_and_one_byte_more_changes_only_its_unit() {
        let known: Known =
            survey(&Known::new(), &lines()).units.into_iter().map(|(n, u)| (n, u.digest)).collect();
        assert!(!survey(&known, &lines()).units.values().any(Surveyed::changed));
        let mut other = lines();
        other[8].0 = "f644 0 0 6 1.0 1.0 2 1 ";
        let changed: Vec<_> =
            survey(&known, &other).units.into_iter().filter(|(_, u)| u.changed()).map(|(n, _)| n).collect();
        assert_eq!(changed, [REPO.as_bytes().to_vec()]);
    }

    #[test]
    fn the_trace_of_the_gate_is_no_change_and_a_new_entry_is_one() {
        let known: Known =
            survey(&Known::new(), &lines()).units.into_iter().map(|(n, u)| (n, u.digest)).collect();
        let changed = |facts: &'static str| {
            let mut other = lines();
            other[0].0 = facts;
            survey(&known, &other).units[&b"repositories"[..]].changed()
        };
        assert!(!changed("d755 0 0 4096 1.0 2.0 1 2 "));
        assert!(changed("d755 0 0 4096 2.0 2.0 1 2 "));
        assert!(changed("d755 0 0 4096 1.0 2.0 1 3 "));
        assert!(changed("d700 0 0 4096 1.0 2.0 1 2 "));
        let mut other = lines();
        other[1].0 = "d755 0 0 4096 1.0 2.0 1 2 ";
        assert!(survey(&known, &other).units[&b"repositories/c"[..]].changed(), "no gate is made there");
    }

    #[test]
    fn without_trust_everything_is_changed() {
        let known: Known =
            survey(&Known::new(), &lines()).units.into_iter().map(|(n, u)| (n, u.digest)).collect();
        let mut surveyor = Surveyor::new(&known, false);
        for (facts, path) in lines() {
            surveyor.add(Record { facts: facts.as_bytes(), path: path.as_bytes() });
        }
        assert!(surveyor.finish().units.values().all(Surveyed::changed));
    }
}
