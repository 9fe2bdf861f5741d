//! What is to be backed up, as the databases know it: repository networks and gists, stored objects (contract §2.11, §2.13).

use super::{Call, Ended};
use crate::{
    appliance::{Place, State, placement, roster::Roster},
    error::SimError,
};

/// Names of the servers that hold an item: of this appliance, or of the cluster's machines with a healthy replica.
struct Servers {
    kind: &'static str,
    alone: String,
    cluster: Option<Roster>,
}

impl Servers {
    fn new(place: &Place, kind: &'static str) -> Result<Self, SimError> {
        let cluster = Roster::load(place)?.filter(|roster| !roster.ha);
        Ok(Self { kind, alone: State::server(place, kind), cluster })
    }

    fn of(&self, state: &State, item: &str) -> String {
        let Some(roster) = &self.cluster else { return self.alone.clone() };
        let online = placement::online(roster, &state.replicas, item);
        online.iter().map(|uuid| format!("{}-{uuid}", self.kind)).collect::<Vec<_>>().join(" ")
    }
}

pub(super) fn repositories(call: &Call) -> Ended {
    let state = State::load(&call.place)?;
    let servers = Servers::new(&call.place, "git-server")?;
    let networks = state.networks.values().map(|network| &network.path);
    let mut text = String::new();
    for route in networks.chain(&state.gists).chain(&state.knobs.routes_extra) {
        if !state.knobs.routes_hidden.contains(route) {
            text.extend([route, " ", &servers.of(&state, route), "\n"]);
        }
    }
    call.print(text)?;
    Ok(0)
}

pub(super) fn storage(call: &Call) -> Ended {
    let state = State::load(&call.place)?;
    let servers = Servers::new(&call.place, "storage-server")?;
    let mut text = String::new();
    for object in &state.storage {
        let name = &object.sha256;
        let holders = servers.of(&state, name);
        text.extend([&name[..1], "/", &name[..2], "/", &name[2..4], "/", name, " ", &holders, "\n"]);
    }
    call.print(text)?;
    Ok(0)
}
