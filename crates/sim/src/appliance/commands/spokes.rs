//! `ghe-spokes`, `ghe-storage`, `ghe-dpages`: the registries of git, storage and pages servers (contract §5.4 step 19).

use super::{Call, Ended};
use crate::appliance::State;

pub(super) fn run(call: &Call) -> Ended {
    let words: Vec<&str> =
        call.args.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    match (call.name.as_str(), &words[..]) {
        ("ghe-spokes", ["server", "show", ..]) => {
            let state = State::load(&call.place)?;
            let servers: Vec<_> = state
                .nodes
                .iter()
                .map(|uuid| serde_json::json!({"host": format!("git-server-{uuid}")}))
                .collect();
            call.say(serde_json::Value::from(servers).to_string())?;
        }
        ("ghe-spokes", ["server", "destroy", server, ..]) => {
            let uuid = server.trim_start_matches("git-server-").to_owned();
            State::update(&call.place, |state| {
                state.nodes.remove(&uuid);
                state.recorded.push(call.text());
                Ok(())
            })?;
        }
        _ => State::update(&call.place, |state| {
            state.recorded.push(call.text());
            Ok(())
        })?,
    }
    Ok(0)
}
