//! Finds a repository by its name: in the snapshot's index of names, or (snapshots without one) by looking into every repository.

use std::collections::BTreeSet;

use super::RepositoryError;
use crate::{
    backup::{names, pages, unit::is_repository},
    causes,
    progress::{Event, Progress},
    restore::{
        entry::show,
        view::{SnapshotView, ViewError},
    },
};

/// Names that are offered when a wanted one is not there.
const SIMILAR_MAX: usize = 3;

/// Largest difference, in edits, between a wanted name and one that is offered.
const EDITS_MAX: usize = 4;

/// A repository of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// `OWNER/NAME`, `OWNER/NAME.wiki` or `gist/NAME`.
    pub name: String,
    /// Its path in the snapshot.
    pub path: Vec<u8>,
}

/// Finds the repository that `wanted` means: its name in any case, or its path in the snapshot.
///
/// # Errors
/// [`RepositoryError::NotFound`], [`RepositoryError::Ambiguous`], or the snapshot cannot be read.
pub fn find(view: SnapshotView<'_>, wanted: &str, progress: &dyn Progress) -> Result<Named, RepositoryError> {
    let wanted = wanted.trim_matches('/');
    if wanted.starts_with("repositories/") {
        return by_path(view, wanted);
    }
    let index = match index(view) {
        Ok(index) => index,
        Err(error) => {
            let text = format!("the index of repository names cannot be used ({error})");
            progress.event(Event::Warning { text: &text });
            Vec::new()
        }
    };
    match choose(&index, wanted) {
        Err(RepositoryError::NotFound { .. }) => {}
        found => return found,
    }
    // Older and foreign snapshots have no index, or one that lacks what has not changed since.
    let text = "not in the index of names: every repository is looked at, which takes a while";
    progress.event(Event::Warning { text });
    let mut unreadable = Vec::new();
    let mut all = scan(view, &index, &mut unreadable)?;
    all.extend(index);
    match (choose(&all, wanted), unreadable.first()) {
        (Err(RepositoryError::NotFound { wanted, .. }), Some((path, what))) => {
            let (path, what) = (path.clone(), what.clone());
            Err(RepositoryError::Unreadable { wanted, count: unreadable.len(), path, what })
        }
        (found, _) => found,
    }
}

fn by_path(view: SnapshotView<'_>, wanted: &str) -> Result<Named, RepositoryError> {
    let path = wanted.as_bytes();
    let there = is_repository(path) && view.find(path)?.is_some_and(|entry| entry.is_directory());
    if !there {
        return Err(RepositoryError::NotFound { wanted: wanted.into(), similar: Vec::new() });
    }
    let name = name_in(view, path)?.unwrap_or_else(|| wanted.to_owned());
    Ok(Named { name, path: path.to_vec() })
}

/// The snapshot's own index of names; empty when it has none.
///
/// # Errors
/// It cannot be read.
pub fn index(view: SnapshotView<'_>) -> Result<Vec<Named>, ViewError> {
    let mut all = Vec::new();
    let folder = pages::NAMES.as_bytes();
    let Some(found) = view.find(folder)? else { return Ok(all) };
    for entry in view.children(folder, &found.kind)?.0 {
        let mut content = Vec::new();
        view.dump(folder, &entry, &mut content)?;
        for (path, name) in pages::read(&content).unwrap_or_default() {
            if let Ok(name) = String::from_utf8(name) {
                all.push(Named { name, path });
            }
        }
    }
    Ok(all)
}

/// Looks into every repository that is not among `known`; those that cannot be read are noted with the reason.
fn scan(
    view: SnapshotView<'_>,
    known: &[Named],
    unreadable: &mut Vec<(String, String)>,
) -> Result<Vec<Named>, ViewError> {
    let known: BTreeSet<&[u8]> = known.iter().map(|named| &named.path[..]).collect();
    let root = b"repositories";
    let Some(top) = view.find(root)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    view.walk::<ViewError>(root, &top.kind, &mut |path, entry| {
        let inside = path.strip_prefix(b"repositories/").unwrap_or_default();
        if !entry.is_directory() || inside.starts_with(b"__") {
            return Ok(false);
        }
        if !is_repository(path) {
            return Ok(true);
        }
        if !known.contains(path) {
            // One that is hurt must not keep the others from being found.
            match name_below(view, path, &entry.kind) {
                Ok(Some(name)) => found.push(Named { name, path: path.to_vec() }),
                Ok(None) => {}
                Err(error) => unreadable.push((show(path), causes::on_one_line(&error))),
            }
        }
        Ok(false)
    })?;
    Ok(found)
}

fn name_in(view: SnapshotView<'_>, path: &[u8]) -> Result<Option<String>, ViewError> {
    let Some(entry) = view.find(path)? else { return Ok(None) };
    name_below(view, path, &entry.kind)
}

/// The name of the repository at `path`, whose folder is `kind`.
fn name_below(
    view: SnapshotView<'_>,
    path: &[u8],
    kind: &crate::restore::entry::Kind,
) -> Result<Option<String>, ViewError> {
    let info = view.children(path, kind)?.0.into_iter().find(|entry| entry.name == b"info");
    let file = match &info {
        Some(info) => view.children(path, &info.kind)?.0.into_iter().find(|entry| entry.name == b"nwo"),
        None => None,
    };
    let mut nwo = Vec::new();
    if let Some(file) = file.filter(|file| file.is_file() && file.size <= names::BYTES_MAX) {
        view.dump(path, &file, &mut nwo)?;
    }
    Ok(names::indexed(path, Some(&nwo)))
}

/// Chooses among names: the exact one first, then the same in another case.
///
/// # Errors
/// None or several fit.
pub fn choose(all: &[Named], wanted: &str) -> Result<Named, RepositoryError> {
    let wanted = wanted.strip_suffix(".git").unwrap_or(wanted);
    let exact: Vec<&Named> = all.iter().filter(|named| named.name == wanted).collect();
    let folded = wanted.to_lowercase();
    let fitting = if exact.is_empty() {
        all.iter().filter(|named| named.name.to_lowercase() == folded).collect()
    } else {
        exact
    };
    match fitting[..] {
        [only] => Ok(only.clone()),
        [] => Err(RepositoryError::NotFound { wanted: wanted.to_owned(), similar: similar(all, &folded) }),
        _ => {
            let mut paths: Vec<String> = fitting.iter().map(|named| show(&named.path)).collect();
            paths.sort();
            Err(RepositoryError::Ambiguous { wanted: wanted.to_owned(), paths })
        }
    }
}

/// Names near a wanted one: few edits away, or the same name under another owner.
fn similar(all: &[Named], folded: &str) -> Vec<String> {
    let last = folded.rsplit('/').next().unwrap_or(folded);
    let mut near: Vec<(usize, &str)> = all
        .iter()
        .filter_map(|named| {
            let name = named.name.to_lowercase();
            let moved = name.split_once('/').is_some_and(|(_, rest)| rest == last);
            let edits = strsim::levenshtein(&name, folded);
            (moved || edits <= EDITS_MAX.min(folded.len() / 3)).then_some((edits, named.name.as_str()))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(SIMILAR_MAX).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Named, RepositoryError, choose};

    fn all() -> Vec<Named> {
        [
            ("Mona/Hello", "1"),
            ("mona/hello-world", "2"),
            ("hubot/tools", "3"),
            ("twice/x", "4"),
            ("twice/x", "5"),
        ]
        .map(|(name, path)| Named { name: name.into(), path: path.into() })
        .to_vec()
    }

    #[test]
    fn a_name_is_found_in_any_case_and_with_the_usual_ending() {
        for wanted in ["Mona/Hello", "mona/hello", "MONA/HELLO.git"] {
            assert_eq!(choose(&all(), wanted).expect(wanted).path, b"1");
        }
    }

    #[test]
    fn the_exact_name_wins_over_the_same_in_another_case() {
        let mut all = all();
        all.push(Named { name: "mona/hello".into(), path: b"6".to_vec() });
        assert_eq!(choose(&all, "mona/hello").expect("the exact one").path, b"6");
        assert!(matches!(choose(&all, "MONA/hello"), Err(RepositoryError::Ambiguous { .. })));
    }

    #[test]
    fn a_name_that_is_not_there_gets_its_neighbours_named() {
        let similar = |wanted: &str| match choose(&all(), wanted) {
            Err(RepositoryError::NotFound { similar, .. }) => similar,
            other => panic!("{other:?}"),
        };
        assert_eq!(similar("mona/helo"), ["Mona/Hello"]);
        assert_eq!(similar("mona/tools"), ["hubot/tools"], "moved to another owner");
        assert_eq!(similar("nobody/nothing"), Vec::<String>::new());
    }

    #[test]
    fn a_name_that_two_have_is_not_guessed() {
        let error = choose(&all(), "twice/x").expect_err("two");
        assert!(
            matches!(&error, RepositoryError::Ambiguous { paths, .. } if *paths == ["4", "5"]),
            "{error}"
        );
    }
}
