//! `ghe-aqueduct status`: queues of background jobs and how many wait in each. GitHub documents the command, not its form; this is the one
//! that administrators show in public.

use serde_json::json;
use std::fs;

use super::{Call, Ended};
use crate::error::SimError;

/// File with the number of jobs of Git maintenance that wait; none, if it is not there.
pub const STORE: &str = "maintenance-backlog";

pub(super) fn run(call: &Call) -> Ended {
    if call.arg(0) != "status" {
        return Err(SimError::Refused(format!("`ghe-aqueduct {}` is not simulated", call.arg(0))));
    }
    let text = fs::read_to_string(call.place.store(STORE)).unwrap_or_default();
    let jobs: u64 = text.trim().parse().unwrap_or(0);
    let queue = |name: &str, depth: u64| json!({ "name": name, "depth": depth });
    let queues = [queue("emails", 2), queue("maint_git-server-1", jobs), queue("webhooks", 0)];
    call.say("Aqueduct is healthy\n")?;
    call.say(json!({ "queues": queues }).to_string())?;
    Ok(0)
}
