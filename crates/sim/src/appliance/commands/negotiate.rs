//! `ghe-negotiate-version CLIENT VERSION`: says what the appliance is, and whether it serves this client (contract §1.5).

use super::{Call, Ended};
use crate::appliance::State;

pub(super) fn run(call: &Call) -> Ended {
    let state = State::load(&call.place)?;
    if let Some((code, text)) = state.knobs.negotiate {
        call.say(text)?;
        return Ok(code);
    }
    call.say(format!("GitHub Enterprise Server version {}", state.version))?;
    call.say(format!("{} {} is supported.", call.arg(0), call.arg(1)))?;
    Ok(0)
}
