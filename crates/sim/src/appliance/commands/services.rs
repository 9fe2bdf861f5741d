//! `service NAME ACTION`, `systemctl ACTION NAME`, `nomad …`: remembers the last action on each service (contract §5.4).

use super::{Call, Ended};
use crate::appliance::State;

pub(super) fn run(call: &Call) -> Ended {
    let words: Vec<&str> =
        call.args.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    let (service, action) = match (call.name.as_str(), &words[..]) {
        ("service", [service, action, ..])
        | ("systemctl" | "nomad", [action, service])
        | ("nomad", ["job", action, service, ..]) => (*service, *action),
        _ => return Ok(1),
    };
    if matches!(action, "is-active" | "status") {
        let state = State::load(&call.place)?;
        return Ok(u8::from(state.services.get(service).is_some_and(|last| last == "stop")));
    }
    State::update(&call.place, |state| {
        state.services.insert(service.to_owned(), action.to_owned());
        Ok(())
    })?;
    Ok(0)
}
