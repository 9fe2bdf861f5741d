//! What is to be backed up, as the databases know it: repository networks and gists, stored objects (contract §2.11, §2.13).

use super::{Call, Ended};
use crate::appliance::State;

pub(super) fn repositories(call: &Call) -> Ended {
    let state = State::load(&call.place)?;
    let server = State::server(&call.place, "git-server");
    let networks = state.networks.values().map(|network| &network.path);
    let mut text = String::new();
    for route in networks.chain(&state.gists).chain(&state.knobs.routes_extra) {
        if !state.knobs.routes_hidden.contains(route) {
            text.extend([route, " ", &server, "\n"]);
        }
    }
    call.print(text)?;
    Ok(0)
}

pub(super) fn storage(call: &Call) -> Ended {
    let state = State::load(&call.place)?;
    let server = State::server(&call.place, "storage-server");
    let mut text = String::new();
    for object in &state.storage {
        let name = &object.sha256;
        text.extend([&name[..1], "/", &name[..2], "/", &name[2..4], "/", name, " ", &server, "\n"]);
    }
    call.print(text)?;
    Ok(0)
}
