//! A snapshot, and a cluster of three fresh machines that it is restored to.

use std::{path::PathBuf, sync::Arc};

use ghevault_core::{
    appliance::{channel::Channel, facts, transport::TransportKind},
    progress::{Progress, Silent},
    restore::{
        appliance::{
            self, ApplianceOptions, ApplianceReport, ApplianceRestoreError, RestorePlan, Trust,
            content::SnapshotContent,
        },
        view::SnapshotView,
    },
    seal::Outcome,
};
use ghevault_sim::{
    build::{
        Recipe,
        fleet::{FleetRecipe, Kind},
    },
    compare::Aspects,
    harness::{Appliance, Fleet},
};

use super::bench::Bench;

const HOST: &str = "ghe-cluster";

pub struct Case {
    pub bench: Bench,
    /// The folder of what was backed up.
    pub source: PathBuf,
    _home: tempfile::TempDir,
    pub cluster: Fleet,
    pub channel: Arc<dyn Channel>,
}

pub fn fresh() -> FleetRecipe {
    FleetRecipe::fresh(Kind::Cluster3, 7)
}

/// Switches a setting on, on every machine.
pub fn switch_on(cluster: &Fleet, setting: &str) {
    for name in cluster.names() {
        let out = cluster.run(name, &format!("ghe-config {setting} true")).unwrap();
        assert!(out.status.success(), "{out:?}");
    }
}

impl Case {
    /// The snapshot is a standalone appliance's; returns its host key, too.
    pub fn of_an_appliance() -> (Self, String) {
        let bench = Bench::new();
        let mut source = Appliance::build(bench.dir.path().join("source"), &Recipe::small(1)).unwrap();
        let port = source.open_sshd().unwrap().port();
        let report = bench.backup(&*bench.channel(&source, port, TransportKind::Russh)).unwrap();
        assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
        source.close();
        let (root, key) = (source.place().root().to_owned(), source.host_key().unwrap());
        (Self::of(bench, root, &fresh()), key)
    }

    /// The vault's newest snapshot is of what stands in `source`.
    pub fn of(bench: Bench, source: PathBuf, recipe: &FleetRecipe) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut cluster = Fleet::build(home.path().join("cluster"), recipe).unwrap();
        cluster.open_sshd().unwrap();
        for name in cluster.names() {
            cluster.node(name).unwrap().set_maintenance(true).unwrap();
        }
        let address = cluster.address("ghe-node-1").unwrap();
        let channel = bench.channel_at(cluster.first(), address, TransportKind::Russh);
        Self { bench, source, _home: home, cluster, channel }
    }

    /// The same cluster once more, as somebody sees it who does not hold its doors.
    pub fn again(&self) -> Fleet {
        Fleet::open(self.cluster.folder()).unwrap()
    }

    /// Connects anew, as the next run does.
    pub fn reconnect(&mut self) {
        let address = self.cluster.address("ghe-node-1").unwrap();
        self.channel = self.bench.channel_at(self.cluster.first(), address, TransportKind::Russh);
    }

    pub fn restore(&self) -> ApplianceReport {
        self.restore_with(&Silent, |_| {}).unwrap()
    }

    /// `planned` sees the plan before it is carried out.
    pub fn restore_with(
        &self,
        progress: &dyn Progress,
        planned: impl FnOnce(&RestorePlan),
    ) -> Result<ApplianceReport, ApplianceRestoreError> {
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
        appliance::check(&target, &content, &Trust::Sealed, &options)?;
        let plan = appliance::plan(&target, &content, &options);
        assert_eq!(plan.machines, 3);
        planned(&plan);
        let id = snapshot.id.to_string();
        appliance::run(&*self.channel, view, &id, &target, &content, &plan, &options, progress)
    }

    pub fn assert_equal(&self) {
        // Machines keep their UUIDs, and a cluster builds its search indices itself.
        let skip = ["identity", "elasticsearch"].map(str::to_owned).to_vec();
        let aspects = Aspects { skip, owners: true, times: false };
        let comparison = self.cluster.compare(&self.source, &aspects).unwrap();
        assert!(comparison.equal, "{}", comparison.table());
    }

    /// The restore status on every machine.
    pub fn statuses(&self) -> Vec<String> {
        let file = "/data/user/common/ghe-restore-status";
        let of = |name| self.cluster.node(name).unwrap().disk(file);
        let read = |name| std::fs::read_to_string(of(name)).unwrap_or_default().trim().to_owned();
        self.cluster.names().into_iter().map(read).collect()
    }
}
