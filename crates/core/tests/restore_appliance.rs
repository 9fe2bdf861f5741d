//! A backup of one appliance restored to another makes it equal, configured or fresh, also after interruptions.

#[path = "support/bench.rs"]
mod bench;

use std::{fs, sync::Arc};

use bench::Bench;
use ghevault_core::{
    appliance::{channel::Channel, facts, transport::TransportKind},
    progress::Silent,
    restore::{
        appliance::{
            self, ApplianceOptions, ApplianceReport, ApplianceRestoreError, Outcome, RestorePlan, Step,
            Trust, content::SnapshotContent,
        },
        view::SnapshotView,
    },
};
use ghevault_sim::{
    build::Recipe,
    compare::{Aspects, compare},
    harness::Appliance,
};

const HOST: &str = "ghe-target";

struct Case {
    bench: Bench,
    source: Appliance,
    target: Appliance,
    channel: Arc<dyn Channel>,
}

impl Case {
    /// A source that has been backed up once, and another appliance.
    fn new(target: &Recipe) -> Self {
        let bench = Bench::new();
        let mut source = Appliance::build(bench.dir.path().join("source"), &Recipe::small(1)).unwrap();
        let port = source.open_sshd().unwrap().port();
        let report = bench.backup(&*bench.channel(&source, port, TransportKind::Russh)).unwrap();
        assert_eq!(report.outcome, ghevault_core::seal::Outcome::Complete, "{report:#?}");
        let mut target = Appliance::build(bench.dir.path().join("target"), target).unwrap();
        let port = target.open_sshd().unwrap().port();
        let channel = bench.channel(&target, port, TransportKind::Russh);
        Self { bench, source, target, channel }
    }

    fn options(&self) -> ApplianceOptions {
        ApplianceOptions { confirmation: Some(HOST.into()), ..ApplianceOptions::new(HOST) }
    }

    fn restore(
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

    fn assert_equal(&self, skip: &[&str]) {
        let aspects =
            Aspects { skip: skip.iter().map(|s| (*s).to_owned()).collect(), owners: true, times: true };
        let comparison = compare(self.source.place(), self.target.place(), &aspects).unwrap();
        assert!(comparison.equal, "{}", comparison.table());
    }

    fn status(&self) -> String {
        fs::read_to_string(self.target.disk("/data/user/common/ghe-restore-status")).unwrap_or_default()
    }
}

fn assert_complete(report: &ApplianceReport) {
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
}

#[test]
fn a_configured_appliance_becomes_the_source() {
    let case = Case::new(&Recipe::fresh(2));
    case.target.set_maintenance(true).unwrap();
    let (plan, report) = case.restore(&case.options()).unwrap();
    assert_complete(&report);
    assert_eq!(case.status().trim(), "complete");
    assert!(!case.target.gate_exists());
    assert!(!plan.settings);
    case.assert_equal(&["settings", "license", "saml-keys", "ca-certificates"]);
}

#[test]
fn an_unconfigured_appliance_becomes_the_source_with_its_settings() {
    let case = Case::new(&Recipe { configured: false, ..Recipe::fresh(3) });
    let (_, report) = case.restore(&ApplianceOptions { confirmation: None, ..case.options() }).unwrap();
    assert_complete(&report);
    assert!(report.next.iter().any(|next| next.contains("/setup/settings")), "{:?}", report.next);
    assert!(report.steps.iter().all(|s| s.step != Step::ConfigApply));
    case.assert_equal(&["elasticsearch", "audit-log", "registered"]);
}
