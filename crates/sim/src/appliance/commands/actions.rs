//! `ghe-actions-stop`, `ghe-actions-start` and `ghe-actions-console` (contract §5.5, §5.6).

use super::{Call, Ended};
use crate::{
    appliance::{State, state::ActionsService},
    error::SimError,
};

pub(super) fn run(call: &Call) -> Ended {
    match call.name.as_str() {
        "ghe-actions-stop" => {
            set(call, ActionsService::Stopped)?;
            call.say("Actions was stopped!")?;
        }
        "ghe-actions-start" if call.has("--help") => {
            call.say("Usage: ghe-actions-start\n\nStart the services of GitHub Actions.")?;
        }
        "ghe-actions-start" => {
            set(call, ActionsService::Started)?;
            call.say("Actions was enabled!")?;
        }
        _ => {
            let service = call.args.iter().skip_while(|arg| *arg != "-s").nth(1).map(String::as_str);
            if !matches!(service, Some("mps" | "token" | "actions" | "artifactcache")) {
                return Err(SimError::Refused(format!("unknown service `{}`", service.unwrap_or_default())));
            }
            record(call)?;
        }
    }
    Ok(0)
}

fn set(call: &Call, service: ActionsService) -> Result<(), SimError> {
    State::update(&call.place, |state| {
        state.actions = service;
        state.recorded.push(call.text());
        Ok(())
    })
}

fn record(call: &Call) -> Result<(), SimError> {
    State::update(&call.place, |state| {
        state.recorded.push(call.text());
        Ok(())
    })
}
