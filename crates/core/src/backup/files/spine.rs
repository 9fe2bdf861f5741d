//! The folders above the units: their facts, which entries they have, and stray files in them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    capture::{Tally, lossy},
    entry_node::node_of,
    fetch::{Fate, Wanted},
    survey::{Survey, Surveyed},
};
use crate::{
    backup::{
        context::{CaptureError, Captured, Context},
        unit::unit_of,
    },
    vault::Node,
};

impl Context<'_> {
    /// Captures the folders above the units: their facts, which entries they have, and stray files in them.
    ///
    /// # Errors
    /// The vault or the connection fails.
    pub fn take_spine(
        &self,
        part: &str,
        survey: &mut Survey,
        captured: &mut Captured,
        tally: &Tally,
    ) -> Result<(), CaptureError> {
        let changed: Vec<(&Vec<u8>, &Surveyed)> =
            survey.units.iter().filter(|(path, unit)| unit.changed() && is_spine(path)).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let mut folders: BTreeMap<Vec<u8>, (Node, BTreeSet<Vec<u8>>)> = BTreeMap::new();
        let mut strays = Vec::new();
        for (_, unit) in &changed {
            for entry in unit.entries()? {
                if entry.kind == crate::appliance::listing::Kind::Folder {
                    folders.insert(entry.path.clone(), (node_of(&entry, self.owners), BTreeSet::new()));
                } else {
                    strays.push(entry);
                }
            }
        }
        // Whatever the listing named below such a folder stays in it: units and other groups by their roots, strays by themselves.
        let roots: Vec<Vec<u8>> = folders.keys().cloned().collect();
        let named = survey.units.keys().chain(&survey.elsewhere).chain(&roots);
        for path in named.chain(strays.iter().map(|entry| &entry.path)) {
            if let Some(at) = memchr::memrchr(b'/', path)
                && let Some((_, names)) = folders.get_mut(&path[..at])
            {
                names.insert(path[at + 1..].to_vec());
            }
        }
        let mut wanted = Vec::new();
        let mut nodes = Vec::new();
        for stray in &strays {
            let mut node = node_of(stray, self.owners);
            if node.is_file() && stray.size > 0 {
                wanted.push(Wanted { path: stray.path.clone(), size: stray.size });
                nodes.push(node);
            } else {
                if node.is_file() {
                    node.content = Some(Vec::new());
                }
                captured.replace.insert(stray.path.clone(), node);
            }
        }
        let fates = self.fetch_contents(part, &wanted, tally)?;
        for ((file, mut node), fate) in wanted.iter().zip(nodes).zip(fates) {
            match fate {
                Fate::Stored(content) | Fate::Unsteady(content) => {
                    node.content = Some(content.ids);
                    node.meta.size = content.size;
                    captured.replace.insert(file.path.clone(), node);
                }
                Fate::Vanished => {
                    if let Some(at) = memchr::memrchr(b'/', &file.path)
                        && let Some((_, names)) = folders.get_mut(&file.path[..at])
                    {
                        names.remove(&file.path[at + 1..]);
                    }
                }
                Fate::Failed(why) => {
                    captured.problems.push(format!("cannot read `{}`: {why}", lossy(&file.path)));
                    forget(survey, &file.path);
                }
            }
        }
        for (path, (node, names)) in folders {
            let gone = self.gone_from(&path, &names)?;
            // What only an unreachable node has keeps its last good copy.
            captured.remove.extend(gone.into_iter().filter(|path| self.why_missing(path).is_none()));
            captured.folders.insert(path, node.meta);
        }
        Ok(())
    }
}

/// Gives the group of a file that could not be read a digest that no listing has: the next run takes the group again.
fn forget(survey: &mut Survey, file: &[u8]) {
    let unit = unit_of(file, false);
    if let Some(group) = survey.units.get_mut(&file[..unit.len]) {
        group.digest = [0; 16];
    }
}

/// Whether a unit's path names a group of folders above the units.
fn is_spine(path: &[u8]) -> bool {
    unit_of(path, true).spine
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        appliance::listing::Record,
        backup::files::survey::{Known, Surveyor},
    };

    fn survey(known: &Known) -> Survey {
        let mut surveyor = Surveyor::new(known, true);
        for (facts, path) in [
            ("d755 0 0 0 1.0 1.0 1 2 ", "repositories/c/nw/c4/ca/42/1"),
            ("f644 0 0 5 1.0 1.0 2 1 ", "repositories/c/nw/c4/ca/42/1/stray"),
        ] {
            surveyor.add(Record { facts: facts.as_bytes(), path: path.as_bytes() });
        }
        surveyor.finish()
    }

    #[test]
    fn a_stray_file_that_could_not_be_read_is_tried_again_by_the_next_run() {
        let mut first = survey(&Known::new());
        let digests =
            |survey: &Survey| survey.units.iter().map(|(path, unit)| (path.clone(), unit.digest)).collect();
        assert!(!survey(&digests(&first)).units.values().any(Surveyed::changed));
        forget(&mut first, b"repositories/c/nw/c4/ca/42/1/stray");
        assert!(survey(&digests(&first)).units.values().all(Surveyed::changed));
    }
}
