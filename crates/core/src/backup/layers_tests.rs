//! Folders of pages over many snapshots, without a vault.

use proptest::prelude::*;

use super::*;

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// A folder of pages, as it stands in a snapshot.
#[derive(Clone, Debug, Default)]
struct Folder(BTreeMap<String, Vec<u8>>);

impl Folder {
    fn names(&self) -> Vec<PageName> {
        ordered(self.0.keys().map(String::as_bytes)).unwrap()
    }

    fn records(&self, name: PageName) -> Vec<(Vec<u8>, Vec<u8>)> {
        pages::read(&self.0[&name.to_string()]).unwrap()
    }

    fn shape(&self) -> Shape {
        let since = |name: &&PageName| matches!(name, PageName::Since(_));
        let pages = self.names();
        let paths = |name: &PageName| self.records(*name).into_iter().map(|(path, _)| path).collect();
        Shape { since: pages.iter().filter(since).map(paths).collect(), pages }
    }

    /// What a reader makes of it.
    fn read(&self) -> HashMap<Vec<u8>, Vec<u8>> {
        self.names().into_iter().flat_map(|name| self.records(name)).collect()
    }

    /// What a reader makes of it that looks for one path only.
    fn read_one(&self, path: &[u8]) -> Option<Vec<u8>> {
        let mut names = self.names().into_iter().rev().filter(|name| name.may_hold(path));
        names.find_map(|name| {
            self.records(name).into_iter().find(|(found, _)| found == path).map(|(_, value)| value)
        })
    }

    /// The next snapshot; returns how many bytes it writes.
    fn take(&mut self, now: &Records) -> usize {
        let plan = plan(&self.shape(), &self.read(), now);
        assert!(plan.remove.iter().all(|name| self.0.remove(name).is_some()), "{plan:?}");
        let written = plan.write.iter().filter(|(name, content)| self.0.get(*name) != Some(*content));
        let bytes = written.map(|(_, content)| content.len()).sum();
        self.0.extend(plan.write);
        bytes
    }
}

fn path(number: u16) -> Vec<u8> {
    format!("repositories/a/nw/aa/bb/cc/{number}/{number}.git").into_bytes()
}

fn many(count: u16) -> Records {
    (0..count).map(|number| (path(number), b"first".to_vec())).collect()
}

/// What happens to one record between two snapshots.
#[derive(Clone, Debug)]
enum Change {
    Set(u16, u8),
    Remove(u16),
    /// All from this one on go.
    RemoveFrom(u16),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        8 => (0..400_u16, any::<u8>()).prop_map(|(at, value)| Change::Set(at, value)),
        2 => (0..400_u16).prop_map(Change::Remove),
        1 => (0..400_u16).prop_map(Change::RemoveFrom),
    ]
}

fn apply(now: &mut Records, change: &Change) {
    match change {
        Change::Set(at, value) => drop(now.insert(path(*at), vec![*value; 4])),
        Change::Remove(at) => drop(now.remove(&path(*at))),
        Change::RemoveFrom(at) => {
            for at in *at..400 {
                now.remove(&path(at));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_snapshot_reads_back_as_what_was_captured(
        first in 0..400_u16,
        plain: bool,
        rounds in proptest::collection::vec(proptest::collection::vec(change(), 0..90), 1..24),
    ) {
        let mut now = many(first);
        let mut folder = Folder::default();
        if plain {
            folder.0 = pages::write(now.iter().map(|(path, value)| (&path[..], &value[..])));
        } else {
            folder.take(&now);
        }
        for round in rounds {
            for change in &round {
                apply(&mut now, change);
            }
            folder.take(&now);
            prop_assert_eq!(&folder.read(), &now.clone().into_iter().collect::<HashMap<_, _>>());
            for number in (0..400).step_by(57) {
                prop_assert_eq!(folder.read_one(&path(number)), now.get(&path(number)).cloned());
            }
            prop_assert!(folder.shape().since.len() <= SINCE_MAX);
            // nothing new: nothing written
            let again = plan(&folder.shape(), &folder.read(), &now);
            prop_assert_eq!(again, PagePlan::default());
        }
    }
}

#[test]
fn changes_of_one_in_a_hundred_write_about_as_much_as_changed() {
    let mut now = many(20_000);
    let mut folder = Folder::default();
    let base = folder.take(&now);
    for round in 0..SINCE_MAX {
        for at in 0..200 {
            now.insert(path(u16::try_from(round * 200 + at).unwrap()), b"other".to_vec());
        }
        assert!(folder.take(&now) * 50 < base);
    }
    now.insert(path(1), b"third".to_vec());
    assert!(folder.take(&now) > base / 2, "the chain is at its end");
    assert!(folder.shape().since.is_empty());
}

#[test]
fn a_record_that_goes_rewrites_its_page_only() {
    let mut now = many(2_000);
    let mut folder = Folder::default();
    folder.take(&now);
    now.remove(&path(7));
    let plan = plan(&folder.shape(), &folder.read(), &now);
    assert_eq!((plan.write.len(), plan.remove.len()), (1, 0));
}

#[test]
fn pages_of_a_chain_with_a_hole_are_refused() {
    let order = |names: &[&str]| ordered(names.iter().map(|name| name.as_bytes()));
    assert!(order(&["base-00", "since-01", "since-02"]).is_ok());
    assert_eq!(order(&["base-00", "since-01", "since-03"]).unwrap_err(), "the page `since-02` is missing");
    assert_eq!(order(&["base-00", "since-02"]).unwrap_err(), "the page `since-01` is missing");
    assert_eq!(order(&["since-01"]).unwrap_err(), "pages of changes stand without a base");
    assert_eq!(order(&["00", "since-01"]).unwrap_err(), "pages of two forms stand beside each other");
    for odd in ["0", "0A", "base-0", "since-0", "since-1", "since-001", "x", "+1"] {
        assert!(order(&["base-00", odd]).is_err(), "{odd}");
    }
    assert_eq!(order(&["ff", "00"]), Ok(vec![PageName::Plain(0), PageName::Plain(255)]));
}
