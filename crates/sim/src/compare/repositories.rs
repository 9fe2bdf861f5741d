//! Each repository's references, and the set of its objects.

use std::{collections::BTreeSet, path::Path};

use super::{Aspects, Finding, tree};
use crate::{
    appliance::Place,
    build::git,
    error::SimError,
    live::{
        journal::{reference_text, repositories},
        refs,
    },
};

pub(super) fn references(a: &Place, b: &Place, _: &Aspects) -> Result<Finding, SimError> {
    let mut finding = Finding::default();
    for route in both(a, b, &mut finding)? {
        let all_a = refs::read_all(&a.repositories().join(&route))?;
        let mut all_b = refs::read_all(&b.repositories().join(&route))?;
        for (name, value) in all_a {
            finding.items += 1;
            let now = all_b.remove(&name);
            if now.as_ref() != Some(&value) {
                let now = now.unwrap_or_else(|| "nothing".to_owned());
                finding.differs(format!("`{route}` {}: {value} became {now}", reference_text(&name)));
            }
        }
        for name in all_b.keys() {
            finding.items += 1;
            finding.differs(format!("`{route}` {} is too much", reference_text(name)));
        }
    }
    Ok(finding)
}

/// Repositories that exist on both sides; others are differences.
fn both(a: &Place, b: &Place, finding: &mut Finding) -> Result<Vec<String>, SimError> {
    let all_a: BTreeSet<_> = repositories(a)?.into_iter().collect();
    let all_b: BTreeSet<_> = repositories(b)?.into_iter().collect();
    for route in all_a.symmetric_difference(&all_b) {
        finding.differs(format!("`{route}` exists on one side only"));
    }
    Ok(all_a.intersection(&all_b).cloned().collect())
}

/// Where the files below `objects` are the same, so are the objects; otherwise `git` lists them.
pub(super) fn objects(a: &Place, b: &Place, _: &Aspects) -> Result<Finding, SimError> {
    let mut finding = Finding::default();
    for route in both(a, b, &mut finding)? {
        finding.items += 1;
        let (path_a, path_b) = (a.repositories().join(&route), b.repositories().join(&route));
        if same_files(&path_a.join("objects"), &path_b.join("objects"))? {
            continue;
        }
        let (all_a, all_b) = (names(&path_a)?, names(&path_b)?);
        if all_a != all_b {
            let (less, more) = (all_a.difference(&all_b).count(), all_b.difference(&all_a).count());
            finding.differs(format!("`{route}`: {less} objects are missing, {more} are too much"));
        }
    }
    Ok(finding)
}

fn same_files(a: &Path, b: &Path) -> Result<bool, SimError> {
    let (all_a, all_b) = (tree::entries(a, |_| true)?, tree::entries(b, |_| true)?);
    if !all_a.keys().eq(all_b.keys()) {
        return Ok(false);
    }
    for (path, meta) in all_a {
        if meta.is_file() && !tree::same_bytes(&a.join(&path), &b.join(&path))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn names(repository: &Path) -> Result<BTreeSet<String>, SimError> {
    let args = ["cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)"];
    let list = git::run(repository, &args, b"")?;
    Ok(String::from_utf8_lossy(&list).lines().map(str::to_owned).collect())
}
