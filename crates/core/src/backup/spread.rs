//! Where the parts of a dataset lie on the nodes of a cluster: for each route the nodes with a healthy copy, and the one it is read from
//! (contract §2.11, §7.4).
//!
//! The choice is a function of the route and of the nodes that can be used, whatever their order in the list: the same node is asked by the
//! next run, so that what did not change there is known by its digest, and all nodes get their share. A node that is lost during the
//! run gives its routes to the next one.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Mutex,
};

use sha2::{Digest, Sha256};

use super::machines::Machines;

/// The places of one dataset, and the nodes that have them.
#[derive(Debug, Default)]
pub struct Spread {
    /// Routes and the folders above them, below the data folder; indices of nodes.
    places: HashMap<Vec<u8>, BTreeSet<usize>>,
    /// Routes alone.
    routes: BTreeSet<Vec<u8>>,
    /// Nodes that turned out not to have a route.
    without: Mutex<BTreeSet<(Vec<u8>, usize)>>,
}

/// A line of a route list: a path, and the names of the servers with a healthy copy.
#[must_use]
pub fn route_line(line: &[u8]) -> Option<(&[u8], Vec<&str>)> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let path = words.next()?;
    Some((path, words.filter_map(|word| std::str::from_utf8(word).ok()).collect()))
}

impl Spread {
    /// Adds a place below the data folder, e.g. `repositories/c/nw/c4/ca/42/1`, and a node that has it.
    pub fn add(&mut self, path: &[u8], node: Option<usize>) {
        self.routes.insert(path.to_vec());
        for end in memchr::memchr_iter(b'/', path).chain([path.len()]) {
            self.places.entry(path[..end].to_vec()).or_default().extend(node);
        }
    }

    /// Reads a route list: `kind` is that of its servers, `git` or `storage`; `folder` stands before its paths. Servers that are no
    /// nodes count as copies that nobody has.
    #[must_use]
    pub fn of_routes(list: &[u8], kind: &str, folder: &str, machines: &Machines<'_>) -> Self {
        let fleet = machines.fleet();
        let index: HashMap<String, usize> =
            fleet.nodes.iter().enumerate().map(|(at, node)| (node.server(kind), at)).collect();
        let mut spread = Self::default();
        for (path, servers) in list.split(|b| *b == b'\n').filter_map(route_line) {
            let path = [folder.as_bytes(), b"/", path].concat();
            spread.add(&path, None);
            for at in servers.iter().filter_map(|server| index.get(*server)) {
                spread.add(&path, Some(*at));
            }
        }
        spread
    }

    /// All routes.
    #[must_use]
    pub fn routes(&self) -> &BTreeSet<Vec<u8>> {
        &self.routes
    }

    /// The folders above the routes.
    #[must_use]
    pub fn above(&self) -> Vec<Vec<u8>> {
        let mut above: Vec<Vec<u8>> =
            self.places.keys().filter(|path| !self.routes.contains(*path)).cloned().collect();
        above.sort();
        above
    }

    /// The place that a path belongs to: the route around it, or the folder itself.
    fn place<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let mut ends: Vec<usize> = memchr::memchr_iter(b'/', path).chain([path.len()]).collect();
        ends.reverse();
        ends.into_iter().map(|end| &path[..end]).find(|place| self.places.contains_key(*place))
    }

    /// The node that a path is read from; `None` when no node that has it can be used.
    #[must_use]
    pub fn node_of(&self, path: &[u8], machines: &Machines<'_>) -> Option<usize> {
        let place = self.place(path)?;
        let without = self.without.lock().ok()?;
        let able =
            |at: &&usize| machines.channel(**at).is_some() && !without.contains(&(place.to_vec(), **at));
        self.places[place].iter().filter(able).max_by_key(|at| rank(place, machines.name(**at))).copied()
    }

    /// A node turned out not to have a route: it is read from the next one.
    pub fn exclude(&self, route: &[u8], node: usize) {
        if let Ok(mut without) = self.without.lock() {
            without.insert((route.to_vec(), node));
        }
    }

    /// Groups indices of paths by the node that each is read from; paths that no node has are left out.
    #[must_use]
    pub fn groups<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p [u8]>,
        machines: &Machines<'_>,
    ) -> BTreeMap<usize, Vec<usize>> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, path) in paths.into_iter().enumerate() {
            if let Some(at) = self.node_of(path, machines) {
                groups.entry(at).or_default().push(index);
            }
        }
        groups
    }

    /// Why a route cannot be read, in words: the nodes that would have it, by name.
    #[must_use]
    pub fn lost(&self, route: &[u8], machines: &Machines<'_>) -> String {
        let trouble = machines.trouble();
        let nodes: Vec<String> = self
            .place(route)
            .and_then(|place| self.places.get(place))
            .into_iter()
            .flatten()
            .map(|at| {
                let name = machines.name(*at);
                let why = trouble.get(name).map_or("it does not have it", String::as_str);
                format!("`{name}`: {why}")
            })
            .collect();
        if nodes.is_empty() { "no node has a healthy copy".into() } else { nodes.join("; ") }
    }
}

/// The place's liking for a node; the highest wins.
fn rank(place: &[u8], node: &str) -> [u8; 8] {
    let hash = Sha256::new().chain_update(place).chain_update([0]).chain_update(node).finalize();
    let mut rank = [0; 8];
    rank.copy_from_slice(&hash[..8]);
    rank
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        appliance::{
            channel::{Channel, ChannelError, RemoteCommand, Running},
            facts::read_for_tests,
            fleet::{Node, Nodes},
        },
        backup::machines::Machines,
    };
    use proptest::prelude::*;

    /// A machine that answers every command with the release.
    struct Answers;
    struct Said;
    impl Channel for Answers {
        fn start(&self, _: &RemoteCommand) -> Result<Box<dyn Running>, ChannelError> {
            Ok(Box::new(Said))
        }
        fn host_key(&self) -> Option<String> {
            None
        }
    }
    impl Running for Said {
        fn take_stdin(&mut self) -> Option<Box<dyn std::io::Write + Send>> {
            None
        }
        fn take_stdout(&mut self) -> Option<Box<dyn std::io::Read + Send>> {
            Some(Box::new(&b"GitHub Enterprise Server 3.11.0\n"[..]))
        }
        fn wait(self: Box<Self>) -> Result<crate::appliance::channel::Exit, ChannelError> {
            let status = crate::appliance::channel::ExitStatus::Code(0);
            Ok(crate::appliance::channel::Exit { status, stderr: Vec::new() })
        }
    }
    struct All;
    impl Nodes for All {
        fn channel<'s>(&'s self, _: &Node) -> Result<Box<dyn Channel + 's>, ChannelError> {
            Ok(Box::new(Answers))
        }
    }

    fn machines(nodes: usize) -> Machines<'static> {
        let mut told = "cluster=1\nown=n0\n".to_owned();
        for at in 0..nodes {
            let (own, uuid) = (format!("n{at}"), format!("u{at}"));
            told.extend(["conf=[cluster \"", &own, "\"]\nconf=hostname = ", &own, "\nconf=uuid = ", &uuid]);
            told.push_str("\nconf=git-server = true\n");
        }
        Machines::open(&read_for_tests(&told), &Answers, &All).expect("machines")
    }

    const LIST: &[u8] = b"0/nw/01/aa/3f/1 git-server-u0 git-server-u1\n0/01/aa/3f/gist/9.git git-server-u2\n0/nw/01/aa/3f/2 git-server-gone\n";

    #[test]
    fn a_route_is_read_from_a_node_that_has_it_and_from_the_next_when_that_is_lost() {
        let machines = machines(3);
        let spread = Spread::of_routes(LIST, "git", "repositories", &machines);
        let path = b"repositories/0/nw/01/aa/3f/1/1.git/HEAD";
        let first = spread.node_of(path, &machines).expect("a node");
        assert!(first < 2);
        machines.lose(first, "gone");
        assert_eq!(spread.node_of(path, &machines), Some(1 - first));
        machines.lose(1 - first, "gone, too");
        assert_eq!(spread.node_of(path, &machines), None);
        let why = spread.lost(path, &machines);
        assert!(why.contains("`n0`") && why.contains("`n1`") && why.contains("gone, too"), "{why}");
        assert_eq!(spread.node_of(b"repositories/0/01/aa/3f/gist/9.git", &machines), Some(2));
    }

    #[test]
    fn a_route_whose_servers_are_no_nodes_is_lost_and_a_folder_above_is_asked_of_a_node_with_a_route_in_it() {
        let machines = machines(3);
        let spread = Spread::of_routes(LIST, "git", "repositories", &machines);
        assert_eq!(spread.node_of(b"repositories/0/nw/01/aa/3f/2", &machines), None);
        assert_eq!(spread.node_of(b"repositories/0/01", &machines), Some(2));
        assert!(spread.above().contains(&b"repositories/0/nw/01/aa/3f".to_vec()));
    }

    #[test]
    fn a_node_without_the_route_gives_it_to_the_next() {
        let machines = machines(3);
        let spread = Spread::of_routes(LIST, "git", "repositories", &machines);
        let route = b"repositories/0/nw/01/aa/3f/1";
        let first = spread.node_of(route, &machines).expect("a node");
        spread.exclude(route, first);
        assert_eq!(spread.node_of(route, &machines), Some(1 - first));
    }

    proptest! {
        #[test]
        fn the_order_of_servers_in_a_line_does_not_matter_and_garbage_is_no_panic(
            order in Just(vec![0_usize, 1, 2, 3]).prop_shuffle(),
            garbage in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let machines = machines(4);
            let line = |order: &[usize]| {
                let servers: Vec<String> = order.iter().map(|at| format!("git-server-u{at}")).collect();
                format!("0/nw/01/aa/3f/7 {}\n", servers.join(" ")).into_bytes()
            };
            let node = |list: &[u8]| {
                Spread::of_routes(list, "git", "repositories", &machines)
                    .node_of(b"repositories/0/nw/01/aa/3f/7", &machines)
            };
            prop_assert_eq!(node(&line(&order)), node(&line(&[0, 1, 2, 3])));
            let _ = Spread::of_routes(&garbage, "git", "repositories", &machines).above();
        }
    }
}
