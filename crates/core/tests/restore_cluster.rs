//! Restores of a standalone appliance's snapshot to a cluster of three machines, whole and disturbed.

#[path = "support/bench.rs"]
mod bench;

use std::sync::Arc;

use bench::Bench;
use ghevault_core::{
    appliance::{channel::Channel, facts, transport::TransportKind},
    progress::Silent,
    restore::{
        appliance::{self, ApplianceOptions, ApplianceReport, Outcome, Trust, content::SnapshotContent},
        view::SnapshotView,
    },
};
use ghevault_sim::{
    appliance::faults::{Action, Fault},
    build::{
        Recipe,
        fleet::{FleetRecipe, Kind},
    },
    compare::Aspects,
    harness::{Appliance, Fleet},
};

const HOST: &str = "ghe-cluster";

struct Case {
    bench: Bench,
    source: Appliance,
    cluster: Fleet,
    channel: Arc<dyn Channel>,
}

impl Case {
    fn new() -> Self {
        let bench = Bench::new();
        let mut source = Appliance::build(bench.dir.path().join("source"), &Recipe::small(1)).unwrap();
        let port = source.open_sshd().unwrap().port();
        let report = bench.backup(&*bench.channel(&source, port, TransportKind::Russh)).unwrap();
        assert_eq!(report.outcome, ghevault_core::seal::Outcome::Complete, "{report:#?}");
        source.close();
        let recipe = FleetRecipe::fresh(Kind::Cluster3, 7);
        let mut cluster = Fleet::build(bench.dir.path().join("cluster"), &recipe).unwrap();
        cluster.open_sshd().unwrap();
        for name in cluster.names() {
            cluster.node(name).unwrap().set_maintenance(true).unwrap();
        }
        let address = cluster.address("ghe-node-1").unwrap();
        let channel = bench.channel_at(cluster.first(), address, TransportKind::Russh);
        Self { bench, source, cluster, channel }
    }

    fn restore(&self) -> ApplianceReport {
        let options = ApplianceOptions {
            confirmation: Some(HOST.into()),
            settings: true,
            drain_s: 20,
            ..ApplianceOptions::new(HOST)
        };
        let snapshot = self.bench.vault.find("latest").unwrap();
        let reader = self.bench.vault.index().unwrap();
        let view = SnapshotView::new(&reader, snapshot.tree);
        let target = facts::probe(&*self.channel, &options.data_root, HOST).unwrap();
        let content = SnapshotContent::read(view).unwrap();
        appliance::check(&target, &content, &Trust::Sealed, &options).unwrap();
        let plan = appliance::plan(&target, &content, &options);
        assert_eq!(plan.machines, 3);
        let id = snapshot.id.to_string();
        appliance::run(&*self.channel, view, &id, &target, &content, &plan, &options, &Silent).unwrap()
    }

    fn assert_equal(&self) {
        // Machines keep their UUIDs, and a cluster builds its search indices itself.
        let skip = ["identity", "elasticsearch"].map(str::to_owned).to_vec();
        let aspects = Aspects { skip, owners: true, times: false };
        let comparison = self.cluster.compare(self.source.place().root(), &aspects).unwrap();
        assert!(comparison.equal, "{}", comparison.table());
    }

    /// The restore status on every machine that can be asked.
    fn statuses(&self) -> Vec<String> {
        let file = "/data/user/common/ghe-restore-status";
        let of = |name| self.cluster.node(name).unwrap().disk(file);
        let read = |name| std::fs::read_to_string(of(name)).unwrap_or_default().trim().to_owned();
        self.cluster.names().into_iter().map(read).collect()
    }
}

#[test]
fn a_standalone_snapshot_fills_a_cluster_and_all_machines_show_its_host_key() {
    let case = Case::new();
    let report = case.restore();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    assert_eq!(report.warnings, Vec::<String>::new());
    case.assert_equal();
    assert_eq!(case.statuses(), ["complete"; 3]);
    for name in case.cluster.names() {
        let node = case.cluster.node(name).unwrap();
        assert_eq!(node.host_key().unwrap(), case.source.host_key().unwrap(), "{name}");
        assert!(!node.gate_exists(), "{name}");
    }
}

#[test]
fn what_cannot_be_registered_is_a_warning_that_names_it() {
    let mut case = Case::new();
    // The cluster places this network on the first and the third machine.
    let network = "6/nw/65/12/bd/11";
    let vanish = Action::Vanish { paths: vec![format!("/data/user/repositories/{network}")] };
    let fault = Fault::in_command("dgit-cluster-restore-finalize", vanish).times(1);
    case.cluster.node_mut("ghe-node-1").unwrap().set_faults(vec![fault]).unwrap();
    let report = case.restore();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    let expected =
        format!("not registered by dgit-cluster-restore-finalize: 11: /data/repositories/{network}");
    assert_eq!(report.warnings, [expected]);
}

#[test]
fn a_connection_that_is_cut_during_finalize_fails_the_restore_and_says_where() {
    let mut case = Case::new();
    let cut = Fault::at_door("dgit-cluster-restore-finalize", Action::Cut);
    case.cluster.node_mut("ghe-node-1").unwrap().set_faults(vec![cut]).unwrap();
    let report = case.restore();
    assert_eq!(report.outcome, Outcome::Failed, "{report:#?}");
    let step = report.steps.iter().find(|step| step.step == appliance::Step::Repositories).unwrap();
    assert!(!step.ok && step.error.is_some(), "{step:?}");
    assert!(report.next.iter().any(|next| next.contains("run the same restore again")), "{:?}", report.next);
    assert_ne!(case.statuses()[0], "complete");
    case.cluster.node_mut("ghe-node-1").unwrap().set_faults(Vec::new()).unwrap();
    let address = case.cluster.address("ghe-node-1").unwrap();
    case.channel = case.bench.channel_at(case.cluster.first(), address, TransportKind::Russh);
    let again = case.restore();
    assert_eq!(again.outcome, Outcome::Complete, "{again:#?}");
    case.assert_equal();
}
