//! The difference between the snapshot and the appliance. Pure.

use std::collections::HashSet;

use super::{
    Item, Sameness, Transfer,
    standing::{Map, Standing},
};
use crate::restore::entry::{Entry, Kind};

/// What to do about a difference.
#[derive(Debug, Default)]
pub struct Difference {
    /// Paths to remove, none below another.
    pub remove: Vec<Vec<u8>>,
    /// Entries to send, in the order in which they must arrive.
    pub send: Vec<Item>,
    /// Files and links that are right already.
    pub unchanged: u64,
}

/// Compares `wanted` (with the directories `above` the units) with what stands on the appliance. Nothing below a path
/// of `unreadable` is removed.
pub fn difference(
    transfer: &Transfer<'_>,
    wanted: Vec<Item>,
    above: Vec<Item>,
    standing: &Map,
    unreadable: &[Vec<u8>],
) -> Difference {
    let mut difference = Difference::default();
    let names: HashSet<&[u8]> = wanted.iter().map(|(path, _)| path.as_slice()).collect();
    let mut remove: Vec<Vec<u8>> = Vec::new();
    if transfer.delete {
        let protected = |path: &[u8]| unreadable.iter().any(|u| u.is_empty() || is_below(path, u));
        remove.extend(standing.keys().filter(|p| !names.contains(p.as_slice()) && !protected(p)).cloned());
    }
    let mut send = Vec::new();
    for (path, entry) in wanted {
        let found = standing.get(&path);
        if found.is_some_and(|found| found.kind != letter(&entry.kind)) {
            remove.push(path.clone());
        }
        if found.is_some_and(|found| is_same(transfer.sameness, &path, &entry, found)) {
            difference.unchanged += u64::from(!entry.is_directory());
        } else {
            send.push((path, entry));
        }
    }
    difference.remove = topmost(remove);
    // Sending into a directory changes its time, so the directories above what is sent go along.
    if !send.is_empty() {
        let mut all = above;
        all.append(&mut send);
        all.sort_by(|(a, one), (b, other)| rank(a, one).cmp(&rank(b, other)).then_with(|| a.cmp(b)));
        difference.send = all;
    }
    difference
}

/// find's letter for a kind.
fn letter(kind: &Kind) -> u8 {
    match kind {
        Kind::Directory(_) => b'd',
        Kind::File => b'f',
        Kind::Symlink(_) => b'l',
        Kind::Fifo => b'p',
        Kind::Other(_) => b'?',
    }
}

fn is_same(sameness: Sameness, path: &[u8], entry: &Entry, found: &Standing) -> bool {
    if found.kind != letter(&entry.kind) {
        return false;
    }
    let same_mode = entry.mode.is_none_or(|mode| mode == found.mode);
    match &entry.kind {
        // A directory's time changes with its entries, so its header is always sent again.
        Kind::Directory(_) => false,
        Kind::Symlink(target) => *target == found.target,
        Kind::File => {
            let by_name = match sameness {
                Sameness::Size => true,
                Sameness::Git => is_content_addressed(path),
                Sameness::Time => false,
            };
            let same_time = entry.modified.is_some_and(|time| time.as_nanosecond() == found.modified);
            found.size == entry.size && same_mode && (by_name || same_time)
        }
        Kind::Fifo | Kind::Other(_) => same_mode,
    }
}

/// A git object or pack: its name is a digest of its content.
pub fn is_content_addressed(path: &[u8]) -> bool {
    let mut parts = path.rsplit(|b| *b == b'/');
    let (Some(name), Some(folder), Some(above)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let hex = |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit);
    let loose =
        above == b"objects" && folder.len() == 2 && hex(folder) && matches!(name.len(), 38 | 62) && hex(name);
    let stem = name.strip_prefix(b"pack-").and_then(|rest| rest.split(|b| *b == b'.').next());
    let pack = above == b"objects"
        && folder == b"pack"
        && stem.is_some_and(|s| matches!(s.len(), 40 | 64) && hex(s));
    loose || pack
}

/// The order of arrival: directories, objects, indexes over objects, then all that refers to objects.
fn rank(path: &[u8], entry: &Entry) -> u8 {
    if entry.is_directory() {
        return 0;
    }
    let in_objects = path.split(|b| *b == b'/').any(|part| part == b"objects");
    match in_objects {
        true if path.ends_with(b".idx") || path.ends_with(b"multi-pack-index") => 2,
        true => 1,
        false => 3,
    }
}

/// Without the paths that lie below another one.
fn topmost(mut paths: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    paths.sort_unstable_by(|a, b| a.split(|b| *b == b'/').cmp(b.split(|b| *b == b'/')));
    paths.dedup();
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for path in paths {
        if !kept.last().is_some_and(|last| is_below(&path, last)) {
            kept.push(path);
        }
    }
    kept
}

fn is_below(path: &[u8], above: &[u8]) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

#[cfg(test)]
mod tests {
    use super::{Difference, difference, is_content_addressed, topmost};
    use crate::{
        restore::{
            appliance::sync::{
                Item, Sameness, Transfer,
                standing::{Map, Standing},
            },
            entry::Entry,
        },
        vault::{Metadata, Node, NodeType},
    };

    const TIME: i128 = 1_700_000_000_000_000_001;

    fn item(path: &str, node_type: NodeType, size: u64) -> Item {
        let mtime = jiff::Timestamp::from_nanosecond(TIME).ok();
        let meta = Metadata { mode: Some(0o644), size, mtime, ..Metadata::default() };
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let node = Node { name, node_type, meta, content: None, subtree: None };
        (path.as_bytes().to_vec(), Entry::decode(node).expect("a legal name"))
    }

    fn file(path: &str) -> Item {
        item(path, NodeType::File, 7)
    }

    fn stands(path: &str, kind: u8, modified: i128) -> (Vec<u8>, Standing) {
        (path.as_bytes().to_vec(), Standing { kind, size: 7, mode: 0o644, modified, target: Vec::new() })
    }

    fn compare(wanted: Vec<Item>, standing: Vec<(Vec<u8>, Standing)>, unreadable: &[Vec<u8>]) -> Difference {
        let transfer = Transfer {
            from: b"repositories",
            to: "/x",
            user: "git",
            sameness: Sameness::Git,
            delete: true,
            part: "test",
        };
        let above = vec![item("a", NodeType::Dir, 0)];
        difference(&transfer, wanted, above, &standing.into_iter().collect::<Map>(), unreadable)
    }

    fn names(items: &[Item]) -> Vec<&str> {
        items.iter().map(|(path, _)| std::str::from_utf8(path).expect("text")).collect()
    }

    const OBJECT: &str = "a/1.git/objects/ab/cdefabcdefabcdefabcdefabcdefabcdefabcd";

    #[test]
    fn objects_arrive_before_what_refers_to_them() {
        let pack = format!("a/1.git/objects/pack/pack-{}", "0".repeat(40));
        let wanted = [
            "a/1.git/HEAD",
            "a/1.git/refs/heads/main",
            &format!("{pack}.idx"),
            &format!("{pack}.pack"),
            OBJECT,
        ];
        let mut wanted: Vec<Item> = wanted.iter().map(|path| file(path)).collect();
        wanted.push(item("a/1.git", NodeType::Dir, 0));
        let sent = compare(wanted, vec![], &[]).send;
        let expected = [
            "a",
            "a/1.git",
            OBJECT,
            &format!("{pack}.pack"),
            &format!("{pack}.idx"),
            "a/1.git/HEAD",
            "a/1.git/refs/heads/main",
        ];
        assert_eq!(names(&sent), expected);
    }

    #[test]
    fn objects_count_by_name_and_size_and_references_only_by_exact_time() {
        let reference = "a/1.git/refs/heads/main";
        let off = compare(
            vec![file(OBJECT), file(reference)],
            vec![stands(OBJECT, b'f', 0), stands(reference, b'f', TIME - 1)],
            &[],
        );
        assert_eq!((names(&off.send), off.unchanged), (vec!["a", reference], 1));
        let same = compare(vec![file(reference)], vec![stands(reference, b'f', TIME)], &[]);
        assert!(same.send.is_empty() && same.unchanged == 1);
    }

    #[test]
    fn what_the_snapshot_does_not_have_is_removed_at_its_top() {
        let standing = vec![
            stands("a/1.git", b'd', 0),
            stands("a/1.git/refs/old", b'd', 0),
            stands("a/1.git/refs/old/x", b'f', 0),
            stands("a/1.git/refs/old-er", b'f', 0),
        ];
        let found = compare(vec![item("a/1.git", NodeType::Dir, 0)], standing, &[]);
        assert_eq!(found.remove, [b"a/1.git/refs/old".to_vec(), b"a/1.git/refs/old-er".to_vec()]);
    }

    #[test]
    fn a_file_in_the_place_of_a_directory_is_removed_first() {
        let found = compare(
            vec![item("a/refs/x", NodeType::Dir, 0), file("a/refs/x/y")],
            vec![stands("a/refs/x", b'f', TIME)],
            &[],
        );
        assert_eq!(found.remove, [b"a/refs/x".to_vec()]);
        assert_eq!(names(&found.send), ["a", "a/refs/x", "a/refs/x/y"]);
    }

    #[test]
    fn nothing_is_removed_where_the_snapshot_cannot_be_read() {
        let standing = vec![stands("a/1.git/refs", b'd', 0), stands("a/1.git/refs/x", b'f', 0)];
        let found =
            compare(vec![item("a/1.git/refs", NodeType::Dir, 0)], standing, &[b"a/1.git/refs".to_vec()]);
        assert!(found.remove.is_empty());
    }

    #[test]
    fn digests_are_told_from_other_names() {
        assert!(is_content_addressed(OBJECT.as_bytes()));
        assert!(is_content_addressed(format!("x/objects/pack/pack-{}.pack", "a".repeat(64)).as_bytes()));
        for other in [
            "x/objects/info/alternates",
            "x/objects/pack/tmp_pack_1",
            "x/refs/heads/ab",
            "x/objects/pack/multi-pack-index",
        ] {
            assert!(!is_content_addressed(other.as_bytes()), "{other}");
        }
        assert_eq!(
            topmost(vec![b"a/b".to_vec(), b"a".to_vec(), b"a-b".to_vec()]),
            [b"a".to_vec(), b"a-b".to_vec()]
        );
    }
}
