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

    proptest::proptest! {
        #[test]
        fn every_place_below_repositories_belongs_to_one_step(path in "([0-9a-f]{1,2}|nw|gist|info|__[a-z]{1,5}__|[0-9]{1,9}|[a-z]{1,5}\\.git)(/([0-9a-f]{2}|nw|gist|[0-9]{1,9}|[a-z]{1,5}\\.git)){0,6}") {
            let path = path.as_bytes();
            let units = [networks(path), gists(path), special(path)].iter().filter(|p| **p == Place::Unit).count();
            proptest::prop_assert!(units <= 1);
            // what is foreign is named once, by the networks' step
            proptest::prop_assert!(gists(path) != Place::Foreign && special(path) != Place::Foreign);
        }

        #[test]
        fn above_a_unit_there_are_only_ways(id in 1_u64..1_000_000_000, digits in "[0-9a-f]{6}") {
            let (a, b, c) = (&digits[..2], &digits[2..4], &digits[4..]);
            let first = &digits[..1];
            for (layout, path) in [
                (networks as super::Layout, format!("{first}/nw/{a}/{b}/{c}/{id}")),
                (gists, format!("{first}/{a}/{b}/{c}/gist/{id}.git")),
                (pages, format!("{first}/{a}/{b}/{c}/{id}")),
                (storage, format!("{first}/{a}/{b}/{}", digits.repeat(11).split_at(64).0)),
            ] {
                proptest::prop_assert_eq!(layout(path.as_bytes()), Place::Unit, "{}", path);
                for (at, _) in path.match_indices('/') {
                    proptest::prop_assert_eq!(layout(&path.as_bytes()[..at]), Place::Way, "{}", &path[..at]);
                }
            }
        }
    }
}
