//! A backup of one appliance restored to another makes it equal, configured or fresh, also after interruptions.

#[path = "support/bench.rs"]
mod bench;
#[path = "support/target.rs"]
mod target;

use ghevault_core::{
    appliance::transport::TransportKind,
    restore::appliance::{ApplianceOptions, ApplianceReport, Outcome, Step},
};
use ghevault_sim::build::Recipe;
use target::Case;

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
    // What saving the settings in the Management Console starts.
    let program = ghevault_sim::harness::program().unwrap();
    let configured =
        std::process::Command::new(program).arg("configure").arg(case.target.place().root()).status();
    assert!(configured.unwrap().success());
    case.assert_equal(&[]);
}

#[test]
fn the_openssh_client_carries_a_restore_with_settings_too() {
    let mut case = Case::new(&Recipe::fresh(4));
    case.target.set_maintenance(true).unwrap();
    case.channel_of(TransportKind::OpenSsh);
    let (_, report) = case.restore(&ApplianceOptions { settings: true, ..case.options() }).unwrap();
    assert_complete(&report);
    case.assert_equal(&[]);
}
