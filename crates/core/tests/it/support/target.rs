//! A backed-up appliance and another one to restore to.

use std::{fs, sync::Arc};

use super::bench::Bench;
use ghevault_core::{
    appliance::{channel::Channel, facts, transport::TransportKind},
    backup::BackupSettings,
    progress::Silent,
    restore::{
        appliance::{
            self, ApplianceOptions, ApplianceReport, ApplianceRestoreError, RestorePlan, Trust,
            content::SnapshotContent,
        },
        view::SnapshotView,
    },
};
use ghevault_sim::{
    build::Recipe,
    compare::{Aspects, compare},
    harness::Appliance,
};

pub const HOST: &str = "ghe-target";

pub struct Case {
    pub bench: Bench,
    pub source: Appliance,
    pub target: Appliance,
    pub channel: Arc<dyn Channel>,
    port: u16,
}

impl Case {
    /// A source that has been backed up once, and another appliance.
    pub fn new(target: &Recipe) -> Self {
        Self::with(target, &Bench::settings(), |_| {})
    }

    /// The same; `prepare` changes the source before it is backed up with these settings.
    pub fn with(target: &Recipe, settings: &BackupSettings, prepare: impl FnOnce(&Appliance)) -> Self {
        let bench = Bench::new();
        let mut source = Appliance::build(bench.dir.path().join("source"), &Recipe::small(1)).unwrap();
        let port = source.open_sshd().unwrap().port();
        prepare(&source);
        let channel = bench.channel(&source, port, TransportKind::Russh);
        let report = bench.backup_with(&*channel, settings).unwrap();
        assert_eq!(report.outcome, ghevault_core::seal::Outcome::Complete, "{report:#?}");
        let mut target = Appliance::build(bench.dir.path().join("target"), target).unwrap();
        let port = target.open_sshd().unwrap().port();
        let channel = bench.channel(&target, port, TransportKind::Russh);
        Self { bench, source, target, channel, port }
    }

    /// Pins the host keys that the target shows now, on new connections.
    pub fn trust_again(&mut self) {
        self.channel = self.bench.channel(&self.target, self.port, TransportKind::Russh);
    }

    /// Reaches the target through another port of this machine from now on.
    pub fn reach_through(&mut self, port: u16) {
        self.channel = self.bench.channel(&self.target, port, TransportKind::Russh);
    }

    /// Uses another SSH client from now on.
    pub fn channel_of(&mut self, kind: TransportKind) {
        self.channel = self.bench.channel(&self.target, self.port, kind);
    }

    /// Where the target's own door is.
    pub fn door(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    #[allow(clippy::unused_self, reason = "reads as the case's own")]
    pub fn options(&self) -> ApplianceOptions {
        ApplianceOptions { confirmation: Some(HOST.into()), ..ApplianceOptions::new(HOST) }
    }

    pub fn restore(
        &self,
        options: &ApplianceOptions,
    ) -> Result<(RestorePlan, ApplianceReport), ApplianceRestoreError> {
        let snapshot = self.bench.vault.find("latest").unwrap();
        let reader = self.bench.vault.index().unwrap();
        let view = SnapshotView::new(&reader, snapshot.tree);
        let target = facts::probe(&*self.channel, &options.data_root, HOST).unwrap();
        let content = SnapshotContent::read(view)?;
        appliance::check(&target, &content, &Trust::Sealed, options)?;
        let plan = appliance::plan(&target, &content, options);
        let id = snapshot.id.to_string();
        let report = appliance::run(&*self.channel, view, &id, &target, &content, &plan, options, &Silent)?;
        Ok((plan, report))
    }

    pub fn assert_equal(&self, skip: &[&str]) {
        let aspects =
            Aspects { skip: skip.iter().map(|s| (*s).to_owned()).collect(), owners: true, times: true };
        let comparison = compare(self.source.place(), self.target.place(), &aspects).unwrap();
        assert!(comparison.equal, "{}", comparison.table());
    }

    pub fn status(&self) -> String {
        fs::read_to_string(self.target.disk("/data/user/common/ghe-restore-status")).unwrap_or_default()
    }
}
