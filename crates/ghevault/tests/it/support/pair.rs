//! A high-availability pair that a desk can reach.

use super::Desk;
use ghevault_sim::{
    build::fleet::{FleetRecipe, Kind},
    harness::{Appliance, Fleet},
};

/// A served pair, its hosts pinned on a desk.
pub struct Pair {
    /// The machines.
    pub fleet: Fleet,
    /// The primary as it is named.
    pub primary: String,
    /// The replica as it is named.
    pub replica: String,
    _folder: tempfile::TempDir,
}

impl Pair {
    /// A pair that the desk trusts; its host list names both.
    pub fn trusted_by(desk: &mut Desk) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let recipe = FleetRecipe::small(Kind::Ha, 3);
        let mut fleet = Fleet::build(folder.path().join("pair"), &recipe).expect("a pair");
        fleet.open_embedded().expect("doors");
        let of = |name: &str| fleet.address(name).expect("an address").to_string();
        let (primary, replica) = (of("ghe-primary"), of("ghe-replica"));
        desk.set("GHEVAULT_HOST", &format!("{primary},{replica}"));
        desk.set("GHEVAULT_SSH_KEY", &format!("file:{}", fleet.first().client_key().display()));
        let key = fleet.first().host_key().expect("a host key");
        for host in [&primary, &replica] {
            desk.run(&["trust", host, "--accept", &key]).exits(0);
        }
        Self { fleet, primary, replica, _folder: folder }
    }

    /// The replica.
    pub fn replica(&self) -> &Appliance {
        self.fleet.node("ghe-replica").expect("a replica")
    }

    /// Makes the primary unreachable.
    pub fn lose_the_primary(&mut self) {
        self.fleet.stop_node("ghe-primary").expect("stopped");
    }

    /// What the replica says of one of its stores from now on.
    pub fn replica_says(&self, store: &str, line: &str) {
        let change = |state: &mut ghevault_sim::appliance::State| {
            state.knobs.replication.insert(store.to_owned(), line.to_owned());
        };
        self.replica().change_state(change).expect("changed");
    }

    /// The role that the replica's own file names.
    pub fn role(&self) -> String {
        let output = self.fleet.run("ghe-replica", "cat /etc/github/repl-state").expect("asked");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
