//! The cluster and replication commands of an appliance that stands alone (contract §6.2).

use super::Call;

pub(super) fn run(call: &Call) -> u8 {
    if call.name == "ghe-cluster-nodes" && call.has("--replica") {
        return 0;
    }
    eprintln!("Clustering is not configured on this host.");
    1
}
