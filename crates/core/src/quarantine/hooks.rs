//! What changed about pre-receive hooks. A hook's repository that was only packed anew has not changed.

use std::collections::HashMap;

use crate::{
    history::{
        HistoryError, RefTable,
        diff::{Change, Changed, changed_paths},
    },
    restore::view::SnapshotView,
};

/// The folder in a snapshot.
const FOLDER: &[u8] = b"git-hooks";

/// Files that are new or other ones, and files that are gone.
pub(super) fn changed(
    before: SnapshotView<'_>,
    after: SnapshotView<'_>,
) -> Result<(Vec<String>, Vec<String>), HistoryError> {
    let mut all = Vec::new();
    changed_paths((before, after), FOLDER, &mut all)?;
    let mut same: HashMap<String, bool> = HashMap::new();
    let (mut changed, mut removed) = (Vec::new(), Vec::new());
    for Changed { name, change } in all {
        if let Some(repository) = inside(&name) {
            if !same.contains_key(repository) {
                let digest = |view| {
                    RefTable::read(view, repository.as_bytes()).map(|table| table.map(|one| one.digest()))
                };
                let is_same = digest(before)? == digest(after)?;
                same.insert(repository.to_owned(), is_same);
            }
            if same.get(repository) == Some(&true) {
                continue;
            }
        }
        if change == Change::Removed { removed.push(name) } else { changed.push(name) }
    }
    Ok((changed, removed))
}

/// The repository whose references say whether a file of it matters: those that hold objects and references.
fn inside(name: &str) -> Option<&str> {
    let at = name.find(".git/")? + ".git".len();
    let rest = &name[at + 1..];
    let part = rest.split('/').next()?;
    matches!(part, "objects" | "refs" | "packed-refs" | "logs" | "info").then_some(&name[..at])
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn only_what_a_repack_touches_is_judged_by_references() {
        assert_eq!(inside("git-hooks/repos/1.git/objects/pack/x.pack"), Some("git-hooks/repos/1.git"));
        assert_eq!(inside("git-hooks/repos/1.git/packed-refs"), Some("git-hooks/repos/1.git"));
        assert_eq!(inside("git-hooks/repos/1.git/hooks/post-update"), None);
        assert_eq!(inside("git-hooks/environments/tarballs/1/x/environment.tar.gz"), None);
    }
}
