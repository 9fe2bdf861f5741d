//! Units: the folders that are compared, and taken again, as a whole.
//!
//! A pure function of the path says to which unit an entry belongs, so that a listing can be summed up while it streams by.
//! *Closed* units end in a folder whose subtree is theirs (a repository, a page, a slice of storage). The objects of a
//! repository are a closed unit of their own inside it, because they are captured after its references. Folders above the
//! units (*spine*) are grouped, so that a new network is noticed without comparing all of them.

/// To which unit an entry belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitOf {
    /// Length of the prefix of the path that names the unit.
    pub len: usize,
    /// Whether the unit is part of the spine.
    pub spine: bool,
}

/// The name of the folder that holds a repository's objects.
const OBJECTS: &[u8] = b"objects";

/// Finds the unit of an entry; `path` is relative to the data folder, e.g. `repositories/c/nw/c4/ca/42/1/1.git/HEAD`.
#[must_use]
pub fn unit_of(path: &[u8], is_folder: bool) -> UnitOf {
    // Ends of the first components: nobody needs more than ten.
    let mut ends = [0_usize; 10];
    let mut count = 0;
    for (at, byte) in path.iter().enumerate() {
        if *byte == b'/' {
            if count == ends.len() {
                break;
            }
            ends[count] = at;
            count += 1;
        }
    }
    if count < ends.len() {
        ends[count] = path.len();
        count += 1;
    }
    let depth = count;
    let component = |n: usize| -> &[u8] {
        let start = if n == 0 { 0 } else { ends[n - 1] + 1 };
        path.get(start..ends[n]).unwrap_or_default()
    };
    // A unit of `n` components exists for this entry when it lies inside it, or is its root folder.
    let inside = |n: usize| depth > n || (depth == n && is_folder);
    let closed = |n: usize| UnitOf { len: ends[n - 1], spine: false };
    let spine = |n: usize| UnitOf { len: ends[n.min(depth) - 1], spine: true };

    match component(0) {
        b"repositories" => {
            let repository = |n: usize| {
                if depth > n && component(n) == OBJECTS && inside(n + 1) { closed(n + 1) } else { closed(n) }
            };
            if depth >= 2 && (component(1).starts_with(b"__") || component(1) == b"info") {
                if inside(2) { closed(2) } else { spine(2) }
            } else if depth >= 3 && component(2) == b"nw" {
                if inside(8) { repository(8) } else { spine(4) }
            } else if depth >= 6 && component(5) == b"gist" {
                if inside(7) { repository(7) } else { spine(3) }
            } else if depth >= 3 && component(2).ends_with(b".git") && inside(3) {
                repository(3)
            } else {
                spine(3)
            }
        }
        b"pages" if inside(6) => closed(6),
        b"storage" | b"minio" if inside(3) => closed(3),
        b"git-hooks" if depth >= 3 && component(1) == b"environments" && inside(4) => closed(4),
        b"git-hooks" if depth >= 2 && component(1) == b"repos" && inside(3) => closed(3),
        b"elasticsearch" if depth >= 2 && component(1) == b"nodes" => {
            if inside(5) {
                closed(5)
            } else {
                spine(5)
            }
        }
        b"elasticsearch" | b"actions" if inside(2) => closed(2),
        _ => spine(3),
    }
}

/// Whether a unit holds the objects of a repository.
#[must_use]
pub fn is_objects(unit: &[u8]) -> bool {
    unit.starts_with(b"repositories/") && unit.ends_with(b".git/objects")
}

/// The repository to which an objects unit belongs.
#[must_use]
pub fn repository_of(objects: &[u8]) -> &[u8] {
    &objects[..objects.len().saturating_sub(OBJECTS.len() + 1)]
}

/// Whether a closed unit is a repository (bare, with refs and `HEAD`), by its place.
#[must_use]
pub fn is_repository(unit: &[u8]) -> bool {
    unit.starts_with(b"repositories/")
        && !unit.starts_with(b"repositories/__")
        && unit.ends_with(b".git")
        && unit_of(unit, true) == UnitOf { len: unit.len(), spine: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(path: &str, is_folder: bool) -> (&str, bool) {
        let found = unit_of(path.as_bytes(), is_folder);
        (&path[..found.len], found.spine)
    }

    #[test]
    fn a_repository_of_a_network_is_a_unit_and_its_objects_another() {
        let repo = "repositories/c/nw/c4/ca/42/1/1.git";
        assert_eq!(unit(repo, true), (repo, false));
        assert_eq!(unit(&format!("{repo}/refs/heads/objects/x"), false), (repo, false));
        assert_eq!(unit(&format!("{repo}/objects"), true), (format!("{repo}/objects").as_str(), false));
        assert_eq!(
            unit(&format!("{repo}/objects/pack/p"), false),
            (format!("{repo}/objects").as_str(), false)
        );
    }

    #[test]
    fn a_gist_is_a_unit() {
        let gist = "repositories/0/01/aa/3f/gist/93069ad4.git";
        assert_eq!(unit(&format!("{gist}/HEAD"), false), (gist, false));
        assert_eq!(unit("repositories/0/01/aa/3f/gist", true), ("repositories/0/01", true));
    }

    #[test]
    fn folders_above_the_units_are_grouped() {
        assert_eq!(unit("repositories", true), ("repositories", true));
        assert_eq!(unit("repositories/c", true), ("repositories/c", true));
        assert_eq!(unit("repositories/c/nw/c4/ca/42/1", true), ("repositories/c/nw/c4", true));
        assert_eq!(unit("repositories/c/nw/c4/ca/42/1/stray", false), ("repositories/c/nw/c4", true));
    }

    #[test]
    fn special_folders_are_units() {
        assert_eq!(unit("repositories/info/nw-layout", false), ("repositories/info", false));
        assert_eq!(unit("repositories/__purgatory__/a/b", false), ("repositories/__purgatory__", false));
    }

    #[test]
    fn pages_storage_hooks_and_indices_have_units_of_fixed_depth() {
        assert_eq!(unit("pages/1/02/03/04/9/x/y", false), ("pages/1/02/03/04/9", false));
        assert_eq!(unit("storage/e/ed/1a/ed1a", false), ("storage/e/ed", false));
        assert_eq!(
            unit("git-hooks/environments/tarballs/1/a/x.tar.gz", false),
            ("git-hooks/environments/tarballs/1", false)
        );
        assert_eq!(
            unit("elasticsearch/nodes/0/indices/u/0/x", false),
            ("elasticsearch/nodes/0/indices/u", false)
        );
        assert_eq!(unit("elasticsearch/idx/0/seg0", false), ("elasticsearch/idx", false));
    }

    #[test]
    fn only_repositories_are_repositories() {
        assert!(is_repository(b"repositories/c/nw/c4/ca/42/1/1.wiki.git"));
        assert!(!is_repository(b"repositories/c/nw/c4/ca/42/1/1.git/objects"));
        assert!(!is_repository(b"repositories/info"));
        assert!(is_objects(b"repositories/c/nw/c4/ca/42/1/1.git/objects"));
    }
}
