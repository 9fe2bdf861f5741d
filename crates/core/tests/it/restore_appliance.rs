//! A backup of one appliance restored to another makes it equal, configured or fresh, also after interruptions.

use crate::support::target;
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

#[test]
fn an_isolated_copy_has_the_content_and_stays_itself() {
    let case = Case::new(&Recipe::fresh(5));
    case.target.set_maintenance(true).unwrap();
    let own = |name: &str| std::fs::read(case.target.disk(&format!("/data/user/common/{name}"))).unwrap();
    let identity = ["uuid", "authorized_keys", "ssh_host_ed25519_key", "github.conf"];
    let before = identity.map(own);
    let (plan, report) = case.restore(&ApplianceOptions { isolated: true, ..case.options() }).unwrap();
    assert_complete(&report);
    assert!(plan.to_string().contains("isolated copy"), "{plan}");
    assert!(report.next[0].contains("cut ghe-target off"), "{:?}", report.next);
    assert_eq!(identity.map(own), before);
    let secret = |place: &ghevault_sim::appliance::Place, key: &str| {
        let file = place.disk("/data/user/common/secrets.conf");
        let output = std::process::Command::new("git").arg("config").arg("-f").arg(file).arg(key).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let (source, target) = (case.source.place(), case.target.place());
    let pepper = "secrets.github.user-password-secrets";
    assert_eq!(secret(target, pepper), secret(source, pepper));
    assert_ne!(secret(target, "secrets.manage"), secret(source, "secrets.manage"));
    case.assert_equal(&["settings", "secrets", "license", "saml-keys", "ca-certificates", "identity"]);
}

#[test]
fn a_copy_that_could_act_for_its_source_is_refused() {
    let case = Case::new(&Recipe { configured: false, ..Recipe::fresh(6) });
    let refused = case.restore(&ApplianceOptions { isolated: true, ..case.options() });
    let error = refused.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("cannot become an isolated copy"), "{error}");
}
