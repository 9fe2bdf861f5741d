//! From damage in the vault to what it costs a snapshot: files, and the repositories they belong to.

use std::collections::BTreeMap;

use super::report::{Costs, DamagedPath, DamagedRepository};
use crate::{
    restore::{entry::show, view::SnapshotView},
    vault::{CheckReport, DAMAGES_MAX, Snapshot, VaultReader},
};

/// Longest `owner/name` that is read.
const NAME_BYTES_MAX: u64 = 4096;

/// What the damages of a check cost one snapshot.
pub(super) fn of(snapshot: &Snapshot, check: &CheckReport, reader: Option<&VaultReader>) -> Costs {
    let mut costs = Costs::default();
    let mut repositories: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for damage in &check.damages {
        for touched in damage.touched.iter().filter(|touched| touched.snapshot == snapshot.id) {
            let path = if touched.path.is_empty() { "/".into() } else { show(&touched.path) };
            costs.paths.push(DamagedPath { path, why: damage.why.clone() });
            if let Some(repository) = repository_of(&touched.path) {
                *repositories.entry(repository.to_vec()).or_insert(0) += 1;
            }
        }
        // What is not listed may be of this snapshot.
        costs.more |= damage.touched_total > damage.touched.len() as u64;
    }
    costs.more |= check.damages_total > check.damages.len() as u64 && check.damages.len() >= DAMAGES_MAX;
    costs.paths.sort();
    costs.paths.dedup();
    costs.repositories = repositories
        .into_iter()
        .map(|(path, files)| {
            let name = reader.and_then(|reader| name(SnapshotView::new(reader, snapshot.tree), &path));
            DamagedRepository { path: show(&path), name, files }
        })
        .collect();
    costs
}

/// The repository that a path belongs to: up to the first part that ends in `.git`.
fn repository_of(path: &[u8]) -> Option<&[u8]> {
    path.strip_prefix(b"repositories/")?;
    let mut end = 0;
    for part in path.split(|b| *b == b'/') {
        end += part.len();
        if part.ends_with(b".git") {
            return Some(&path[..end]);
        }
        end += 1;
    }
    None
}

/// `owner/name` as the repository itself says (contract §2.11).
fn name(view: SnapshotView<'_>, repository: &[u8]) -> Option<String> {
    let nwo = [repository, b"/info/nwo"].concat();
    let text = String::from_utf8(view.read(&nwo, NAME_BYTES_MAX).ok()??).ok()?;
    let text = text.trim();
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::repository_of;

    #[test]
    fn a_path_belongs_to_the_repository_it_lies_in() {
        let of = |path: &str| repository_of(path.as_bytes()).map(|p| String::from_utf8_lossy(p).into_owned());
        let network = "repositories/a/nw/a8/3f/02/100";
        assert_eq!(of(&format!("{network}/1.git/objects/ab/c")), Some(format!("{network}/1.git")));
        assert_eq!(of(&format!("{network}/1.wiki.git")), Some(format!("{network}/1.wiki.git")));
        assert_eq!(of(network), None);
        assert_eq!(of("pages/x.git/y"), None);
    }
}
