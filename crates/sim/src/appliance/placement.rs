//! Which machines of a cluster hold which network, gist, site and stored object.

use std::collections::BTreeMap;

use super::{State, roster::Roster};

/// How many machines hold each item.
pub const COPIES: usize = 2;

/// A kind of item, with the role that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Networks and gists.
    Git,
    /// Sites.
    Pages,
    /// Stored objects.
    Storage,
}

impl Held {
    /// The role.
    #[must_use]
    pub fn role(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Pages => "pages",
            Self::Storage => "storage",
        }
    }

    /// Where the items are.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Git => "/data/user/repositories",
            Self::Pages => "/data/user/pages",
            Self::Storage => "/data/user/storage",
        }
    }
}

/// UUIDs of the machines that a new item goes to: as many as there are copies, of those that serve the role and are
/// online, chosen by its name.
#[must_use]
pub fn choose(roster: &Roster, held: Held, item: &str) -> Vec<String> {
    let serving: Vec<&str> = roster.serving(held.role()).map(|member| member.uuid.as_str()).collect();
    let first = usize::from(md5::compute(item).0[0]);
    (0..COPIES.min(serving.len())).map(|turn| serving[(first + turn) % serving.len()].to_owned()).collect()
}

/// UUIDs of the machines that hold an item and are online; empty for an unknown item.
#[must_use]
pub fn online(roster: &Roster, replicas: &BTreeMap<String, Vec<String>>, item: &str) -> Vec<String> {
    let up = |uuid: &&String| roster.members.iter().any(|member| member.uuid == **uuid && !member.offline);
    replicas.get(item).map(|uuids| uuids.iter().filter(up).cloned().collect()).unwrap_or_default()
}

/// The items that a cluster of `roster` holds, each placed anew.
pub fn place_all(roster: &Roster, state: &mut State) {
    let git = state.networks.values().map(|network| &network.path).chain(&state.gists);
    let of_git = git.map(|item| (item.clone(), choose(roster, Held::Git, item)));
    let of_pages = state.pages.iter().map(|item| (item.clone(), choose(roster, Held::Pages, item)));
    let of_storage = state
        .storage
        .iter()
        .map(|object| (object.sha256.clone(), choose(roster, Held::Storage, &object.sha256)));
    state.replicas = of_git.chain(of_pages).chain(of_storage).collect();
}
