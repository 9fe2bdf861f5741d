//! The cluster and replication commands of an appliance that stands alone (contract §6.2).

use super::{Call, Ended};

pub(super) fn run(call: &Call) -> Ended {
    if call.name == "ghe-cluster-nodes" && call.has("--replica") {
        return Ok(0);
    }
    eprintln!("Clustering is not configured on this host.");
    Ok(1)
}
