//! Installations of several machines: a high-availability pair, clusters of three and five (contract §6.1, §7.1).
//!
//! A fleet is a folder with one appliance's folder for each machine. All are copies of the first one, with identities of
//! their own; so host keys and the admin's keys are the same everywhere, as on real fleets.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, Serialize};

use super::{Recipe, owners, settings};
use crate::{
    appliance::{
        Place, State,
        membership::{Membership, Peer},
        roster::{self, Member},
    },
    doors::keys,
    error::{OnFile, SimError},
    live::moment,
    seed::Seed,
};

/// What kind of fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A primary and a replica.
    Ha,
    /// Three machines that all serve everything.
    Cluster3,
    /// Two machines for services, three for data.
    Cluster5,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Ha, Self::Cluster3, Self::Cluster5];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ha => "ha",
            Self::Cluster3 => "cluster3",
            Self::Cluster5 => "cluster5",
        }
    }

    /// The machines' names; the first is the one that clients connect to.
    #[must_use]
    pub fn nodes(self) -> Vec<String> {
        match self {
            Self::Ha => vec!["ghe-primary".to_owned(), "ghe-replica".to_owned()],
            Self::Cluster3 => (1..=3).map(|number| format!("ghe-node-{number}")).collect(),
            Self::Cluster5 => (1..=5).map(|number| format!("ghe-node-{number}")).collect(),
        }
    }
}

/// What a machine of an appliance that does everything serves.
const ROLES: [&str; 11] = [
    "consul",
    "elasticsearch",
    "git",
    "job",
    "memcache",
    "metrics",
    "mysql",
    "pages",
    "redis",
    "storage",
    "web",
];

/// All roles.
#[must_use]
pub fn all_roles() -> BTreeSet<String> {
    ROLES.iter().map(|role| (*role).to_owned()).collect()
}

/// `cluster.conf` of a pair, without the machines.
#[must_use]
pub fn ha_conf(primary: &str) -> String {
    format!(
        "[cluster]\n\tmysql-master = {primary}\n\tredis-master = {primary}\n\tprimary-datacenter = default\n\tha = true\n"
    )
}

/// The list of machines: `fleet.json` in the fleet's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What kind of fleet.
    pub kind: Kind,
    /// Its machines; the first is the one that clients connect to.
    pub nodes: Vec<Peer>,
}

impl Manifest {
    /// Reads it from a fleet's folder.
    ///
    /// # Errors
    /// The folder holds no fleet.
    pub fn load(folder: &Path) -> Result<Self, SimError> {
        let path = folder.join("fleet.json");
        let bytes = fs::read(&path).on("read", &path)?;
        serde_json::from_slice(&bytes).map_err(|error| SimError::Corrupt { path, reason: error.to_string() })
    }

    /// Whether a folder holds a fleet rather than one appliance.
    #[must_use]
    pub fn is_in(folder: &Path) -> bool {
        folder.join("fleet.json").is_file() && !folder.join("state.json").is_file()
    }
}

/// What to make.
#[derive(Clone, Debug)]
pub struct FleetRecipe {
    /// What kind of fleet.
    pub kind: Kind,
    /// The appliance that all machines are made from.
    pub appliance: Recipe,
}

impl FleetRecipe {
    /// A small fleet with content.
    #[must_use]
    pub fn small(kind: Kind, seed: u64) -> Self {
        Self { kind, appliance: Recipe::small(seed) }
    }

    /// A fleet without content: the target of a restore.
    #[must_use]
    pub fn fresh(kind: Kind, seed: u64) -> Self {
        Self { kind, appliance: Recipe::fresh(seed) }
    }

    /// Makes the fleet; the folder must be empty or missing.
    ///
    /// # Errors
    /// The folder is in use, a file cannot be written, or a program fails.
    pub fn build(&self, folder: &Path) -> Result<Manifest, SimError> {
        self.build_at(folder, &[])
    }

    /// The same with addresses of its machines, in their order; where there are none, 127.0.0.11 and up.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_at(&self, folder: &Path, addresses: &[IpAddr]) -> Result<Manifest, SimError> {
        if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(SimError::Refused(format!("`{}` is not empty", folder.display())));
        }
        fs::create_dir_all(folder).on("create", folder)?;
        let peer = |(index, name): (usize, String)| {
            let last = u8::try_from(11 + index).unwrap_or(u8::MAX);
            let here = || IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
            Peer { name, address: addresses.get(index).copied().unwrap_or_else(here) }
        };
        let nodes: Vec<Peer> = self.kind.nodes().into_iter().enumerate().map(peer).collect();
        let places: Vec<Place> = nodes.iter().map(|peer| Place::new(folder.join(&peer.name))).collect();
        self.appliance.build(&places[0])?;
        let seed = Seed::new(self.appliance.seed);
        let mut secret = [0; 32];
        secret.copy_from_slice(&seed.part("fleet key").bytes(32));
        keys::write_ed25519(&places[0].key("fleet"), &secret, "admin@fleet")?;
        keys::allow(&places[0], &places[0].key("fleet.pub"))?;
        for place in &places[1..] {
            copy(places[0].root(), place.root())?;
        }
        let members: Vec<Member> = nodes
            .iter()
            .enumerate()
            .map(|(index, peer)| Member {
                name: peer.name.clone(),
                address: peer.address.to_string(),
                uuid: uuid(&seed, index),
                datacenter: "default".to_owned(),
                roles: roles(self.kind, index),
                offline: false,
                replica: self.kind == Kind::Ha && index > 0,
            })
            .collect();
        for (place, member) in places.iter().zip(&members) {
            self.join(place, member, &members, &nodes)?;
        }
        if self.kind != Kind::Ha {
            super::distribute::distribute(&places)?;
        }
        let manifest = Manifest { kind: self.kind, nodes };
        let path = folder.join("fleet.json");
        let text = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| SimError::Corrupt { path: path.clone(), reason: error.to_string() })?;
        fs::write(&path, text).on("write", path)?;
        Ok(manifest)
    }

    /// Makes one machine a member.
    fn join(&self, place: &Place, own: &Member, all: &[Member], peers: &[Peer]) -> Result<(), SimError> {
        let put = |path: &str, text: String| -> Result<(), SimError> {
            let path = place.disk(path);
            fs::write(&path, text).on("write", path)
        };
        put("/data/user/common/uuid", format!("{}\n", own.uuid))?;
        put(roster::MARK, format!("{}\n", own.name))?;
        let conf = roster::conf(place);
        let first = &all[0].name;
        let head = match self.kind {
            Kind::Ha => ha_conf(first),
            Kind::Cluster3 | Kind::Cluster5 => {
                let redis = all.iter().find(|member| member.roles.contains("redis")).unwrap_or(&all[0]);
                format!(
                    "[cluster]\n\tmysql-master = {first}\n\tredis-master = {}\n\tprimary-datacenter = default\n",
                    redis.name
                )
            }
        };
        fs::write(&conf, head).on("write", &conf)?;
        for member in all {
            roster::write_member(&conf, member)?;
        }
        if self.kind == Kind::Ha {
            let role = if own.replica { "replica" } else { "primary" };
            put(roster::REPL_STATE, format!("{role}\n"))?;
        }
        State::update(place, |state| {
            state.nodes = all.iter().map(|member| member.uuid.clone()).collect();
            state.replicating = own.replica;
            Ok(())
        })?;
        Membership { own: own.name.clone(), port: 0, peers: peers.to_vec() }.save(place)?;
        owners::apply(place)
    }
}

/// What a machine serves.
fn roles(kind: Kind, index: usize) -> BTreeSet<String> {
    let of = |names: &[&str]| names.iter().map(|role| (*role).to_owned()).collect();
    match (kind, index) {
        (Kind::Ha | Kind::Cluster3, _) => all_roles(),
        (Kind::Cluster5, 0) => of(&["consul", "job", "memcache", "mysql", "web"]),
        (Kind::Cluster5, 1) => of(&["consul", "elasticsearch", "job", "memcache", "redis", "web"]),
        (Kind::Cluster5, _) => of(&["consul", "git", "metrics", "pages", "storage"]),
    }
}

/// The first machine keeps the UUID of the appliance that it was made from.
fn uuid(seed: &Seed, index: usize) -> String {
    if index == 0 { settings::uuid(seed) } else { settings::uuid(&seed.part(&format!("node {index}"))) }
}

fn copy(from: &Path, to: &Path) -> Result<(), SimError> {
    let output = Command::new("cp").arg("-a").arg("--").arg(from).arg(to).output().on("run", "cp")?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(SimError::Program { program: format!("cp -a {} {}", from.display(), to.display()), reason })
}

/// What replication carries of `/data/user`.
const REPLICATED: [&str; 6] = ["repositories", "pages", "storage", "git-hooks", "elasticsearch", "redis"];

/// Brings a replica to what its primary holds now: datastores and what the databases know, not identity, gate or
/// configuration. A primary that lives on meanwhile stands still until it is done.
///
/// # Errors
/// A file cannot be copied.
pub fn replicate(primary: &Place, replica: &Place) -> Result<(), SimError> {
    let _moment = moment::of_copy(primary)?;
    let gated = replica.gate().exists();
    for name in REPLICATED {
        let of = |place: &Place| place.disk("/data/user").join(name);
        exchange(&of(primary), &of(replica))?;
    }
    let gate = replica.gate();
    match (gated, gate.exists()) {
        (true, false) => fs::write(&gate, "").on("write", gate)?,
        (false, true) => fs::remove_file(&gate).on("remove", gate)?,
        _ => {}
    }
    exchange(&primary.root().join("stores"), &replica.root().join("stores"))?;
    let journal = primary.journal();
    fs::copy(&journal, replica.journal()).on("copy", journal)?;
    let from = State::load(primary)?;
    State::update(replica, |state| {
        state.networks = from.networks;
        state.gists = from.gists;
        state.pages = from.pages;
        state.storage = from.storage;
        state.redis = from.redis;
        state.elasticsearch = from.elasticsearch;
        state.mysql_lsn = from.mysql_lsn;
        Ok(())
    })
}

/// Replaces a tree by a copy of another.
fn exchange(from: &Path, to: &Path) -> Result<(), SimError> {
    let fresh = PathBuf::from(format!("{}.replicating", to.display()));
    if fresh.exists() {
        fs::remove_dir_all(&fresh).on("remove", &fresh)?;
    }
    copy(from, &fresh)?;
    if to.exists() {
        fs::remove_dir_all(to).on("remove", to)?;
    }
    fs::rename(&fresh, to).on("replace", to)
}
