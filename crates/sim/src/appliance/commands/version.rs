//! `ghe-version [-v]` (contract §1.6).

use super::{Call, Ended};
use crate::appliance::State;

pub(super) fn run(call: &Call) -> Ended {
    let version = State::load(&call.place)?.version;
    if call.has("-v") {
        call.say(version)?;
    } else {
        call.say(format!("GitHub Enterprise Server {version} lxc 2023-12-05 5ea11d0c0d"))?;
    }
    Ok(0)
}
