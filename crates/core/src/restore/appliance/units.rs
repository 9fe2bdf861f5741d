//! Where things stand below the file datasets (contract §2.11-2.13): which paths are units that are restored as a whole,
//! which are special, and which are foreign. Pure.

/// What a path below a dataset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A directory on the way to units.
    Way,
    /// A unit of the wanted kind.
    Unit,
    /// Something of the dataset that another step restores, or nobody.
    Elsewhere,
    /// Something that this layout does not know.
    Foreign,
}

/// Decides on a path below a dataset.
pub type Layout = fn(&[u8]) -> Place;

/// `<a>/nw/<ab>/<cd>/<ef>/<id>` below `repositories`.
#[must_use]
pub fn networks(path: &[u8]) -> Place {
    match repositories(path) {
        Repository::Network => Place::Unit,
        Repository::NetworkWay | Repository::Both => Place::Way,
        Repository::Gist | Repository::GistWay | Repository::Special => Place::Elsewhere,
        Repository::Foreign => Place::Foreign,
    }
}

/// `<a>/<ab>/<cd>/<ef>/gist/<name>.git` below `repositories`.
#[must_use]
pub fn gists(path: &[u8]) -> Place {
    match repositories(path) {
        Repository::Gist => Place::Unit,
        Repository::GistWay | Repository::Both => Place::Way,
        // What is foreign is named once, by the networks' step.
        _ => Place::Elsewhere,
    }
}

/// `info` and `__name__` below `repositories`.
#[must_use]
pub fn special(path: &[u8]) -> Place {
    if repositories(path) == Repository::Special { Place::Unit } else { Place::Elsewhere }
}

/// `<s>/<ab>/<cd>/<ef>/<id>` below `pages`.
#[must_use]
pub fn pages(path: &[u8]) -> Place {
    match parts(path).as_slice() {
        [_] | [_, [_, _]] | [_, [_, _], [_, _]] | [_, [_, _], [_, _], [_, _]] => Place::Way,
        [_, [_, _], [_, _], [_, _], _] => Place::Unit,
        _ => Place::Foreign,
    }
}

/// `<h1>/<h1h2>/<h3h4>/<sha256>` below `storage`.
#[must_use]
pub fn storage(path: &[u8]) -> Place {
    match parts(path).as_slice() {
        [[_]] | [[_], [_, _]] | [[_], [_, _], [_, _]] => Place::Way,
        [[_], [_, _], [_, _], hash] if hash.len() == 64 && hash.iter().all(u8::is_ascii_hexdigit) => {
            Place::Unit
        }
        _ => Place::Foreign,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repository {
    Both,
    NetworkWay,
    Network,
    GistWay,
    Gist,
    Special,
    Foreign,
}

fn repositories(path: &[u8]) -> Repository {
    match parts(path).as_slice() {
        [b"info"] => Repository::Special,
        [name] if name.len() > 4 && name.starts_with(b"__") && name.ends_with(b"__") => Repository::Special,
        [[_]] => Repository::Both,
        [_, b"nw"] | [_, b"nw", [_, _]] | [_, b"nw", [_, _], [_, _]] | [_, b"nw", [_, _], [_, _], [_, _]] => {
            Repository::NetworkWay
        }
        [_, b"nw", [_, _], [_, _], [_, _], _] => Repository::Network,
        [_, [_, _]]
        | [_, [_, _], [_, _]]
        | [_, [_, _], [_, _], [_, _]]
        | [_, [_, _], [_, _], [_, _], b"gist"] => Repository::GistWay,
        [_, [_, _], [_, _], [_, _], b"gist", name] if name.ends_with(b".git") => Repository::Gist,
        _ => Repository::Foreign,
    }
}

fn parts(path: &[u8]) -> Vec<&[u8]> {
    path.split(|b| *b == b'/').collect()
}

#[cfg(test)]
mod tests {
    use super::{Place, gists, networks, pages, special, storage};

    #[test]
    fn repositories_are_networks_gists_and_special_folders() {
        assert_eq!(networks(b"a/nw/a8/3f/02/100000855"), Place::Unit);
        assert_eq!(networks(b"a/nw/a8/3f"), Place::Way);
        assert_eq!(networks(b"0/01/aa/3f/gist/9306.git"), Place::Elsewhere);
        assert_eq!(networks(b"a/old.git"), Place::Foreign);
        assert_eq!(gists(b"0/01/aa/3f/gist/9306.git"), Place::Unit);
        assert_eq!(gists(b"0"), Place::Way);
        assert_eq!(gists(b"a/nw"), Place::Elsewhere);
        assert_eq!(special(b"info"), Place::Unit);
        assert_eq!(special(b"__purgatory__"), Place::Unit);
        assert_eq!(networks(b"info"), Place::Elsewhere);
        assert_eq!(special(b"a"), Place::Elsewhere);
    }

    #[test]
    fn pages_and_storage_have_their_depths() {
        assert_eq!(pages(b"4/c4/ca/42/1"), Place::Unit);
        assert_eq!(pages(b"4/c4"), Place::Way);
        let hash = [b"e/ed/1a/".as_slice(), &[b'a'; 64]].concat();
        assert_eq!(storage(&hash), Place::Unit);
        assert_eq!(storage(b"e/ed/1a/short"), Place::Foreign);
        assert_eq!(storage(b"tmp"), Place::Foreign);
    }
}
