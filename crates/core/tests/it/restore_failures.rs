//! Bad days of a restore to an appliance: it says what happened, leaves nothing behind, and a repeated one completes it.

use crate::support::{target, wire};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
};

use ghevault_core::restore::appliance::{
    ApplianceOptions, ApplianceReport, ApplianceRestoreError, Outcome, Refusal, Step,
};
use ghevault_sim::{
    appliance::faults::{Action, Fault},
    build::Recipe,
};
use target::Case;

fn case() -> Case {
    let case = Case::new(&Recipe::fresh(2));
    case.target.set_maintenance(true).unwrap();
    case
}

const KEPT: [&str; 4] = ["settings", "license", "saml-keys", "ca-certificates"];

/// The appliance says `failed`, its gate is open and its jobs run.
fn assert_failed_cleanly(case: &Case, report: &ApplianceReport) {
    assert_eq!(report.outcome, Outcome::Failed, "{report:#?}");
    assert_eq!(case.status().trim(), "failed");
    assert!(!case.target.gate_exists(), "the gate was left");
    let services = case.target.state().unwrap().services;
    assert_eq!(services.get("cron").map(String::as_str), Some("start"));
    assert!(report.next.iter().any(|next| next.contains("maintenance mode")), "{:?}", report.next);
    assert!(report.steps.iter().all(|s| !matches!(s.step, Step::ConfigApply | Step::SshHostKeys)));
}

/// With the cause removed the same restore completes.
fn assert_completes(case: &mut Case) -> ApplianceReport {
    case.target.set_faults(Vec::new()).unwrap();
    let (_, report) = case.restore(&case.options()).unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    assert_eq!(case.status().trim(), "complete");
    case.assert_equal(&KEPT);
    report
}

fn failed_step(report: &ApplianceReport) -> (Step, &str) {
    let step = report.steps.iter().find(|step| !step.ok).expect("a failed step");
    (step.step, step.error.as_deref().unwrap_or_default())
}

#[test]
fn a_connection_cut_amid_the_repositories_fails_the_restore_and_a_repeated_one_completes_it() {
    let mut case = case();
    let cut = Fault::at_door("--delay-directory-restore", Action::Cut).after(100_000).of_stdin().times(1);
    case.target.set_faults(vec![cut]).unwrap();
    let (_, report) = case.restore(&case.options()).unwrap();
    assert_failed_cleanly(&case, &report);
    assert_eq!(failed_step(&report).0, Step::Repositories);
    // Datasets beside it went on.
    assert!(report.steps.iter().any(|s| s.step == Step::Pages && s.ok), "{report:#?}");
    assert_completes(&mut case);
}

#[test]
fn a_client_that_dies_leaves_an_appliance_that_says_failed_and_works_on() {
    let mut case = case();
    // The handshakes of a restore take some 20 kB; after that: early, amid the datasets, late.
    for bytes in [40_000, 150_000, 400_000] {
        let wire = wire::Wire::to(case.door(), bytes);
        case.reach_through(wire.port);
        match case.restore(&case.options()) {
            Ok((_, report)) => assert_eq!(report.outcome, Outcome::Failed, "{report:#?}"),
            Err(error) => assert!(!matches!(error, ApplianceRestoreError::Refused(_)), "{error}"),
        }
        assert!(wire.is_cut(), "{bytes} bytes were not reached");
        wait_for("the appliance to say failed", || case.status().trim() == "failed");
        wait_for("the gate to open", || !case.target.gate_exists());
        let cron = || case.target.state().unwrap().services.get("cron").cloned();
        wait_for("cron to run", || cron().as_deref() == Some("start"));
    }
    case.trust_again();
    assert_completes(&mut case);
}

#[test]
fn a_failing_import_stops_the_restore_with_its_own_words() {
    let mut case = case();
    let fail = Action::Fail { code: 3, stderr: "the table is full".into() };
    case.target.set_faults(vec![Fault::in_command("ghe-import-mysql", fail)]).unwrap();
    let (_, report) = case.restore(&case.options()).unwrap();
    assert_failed_cleanly(&case, &report);
    let (step, error) = failed_step(&report);
    assert!(matches!(step, Step::Mysql(_)) && error.contains("the table is full"), "{error}");
    assert!(report.steps.iter().all(|s| s.step != Step::EnsureServices || s.ok));
    assert!(!case.target.disk("/data/user/tmp/mysql.sql.gz").exists(), "the upload was left");
    assert_completes(&mut case);
}

#[test]
fn a_failing_secret_is_named_by_its_key_and_never_by_its_value() {
    let mut case = case();
    let fail = Action::Fail { code: 1, stderr: "no".into() };
    case.target.set_faults(vec![Fault::in_command("ghe-config secrets.kredz.varz", fail)]).unwrap();
    let (_, report) = case.restore(&case.options()).unwrap();
    assert_failed_cleanly(&case, &report);
    let (step, error) = failed_step(&report);
    assert_eq!(step, Step::Secrets);
    assert!(error.contains("secrets.kredz.varz-hmac-secret"), "{error}");
    let secrets = fs::read_to_string(case.source.disk("/data/user/common/secrets.conf")).unwrap();
    for value in
        secrets.lines().filter_map(|line| line.split_once(" = ")).map(|(_, value)| value.trim_matches('"'))
    {
        assert!(!format!("{report:?}").contains(value), "a secret is in the report");
    }
    assert_completes(&mut case);
}

#[test]
fn a_repeated_restore_sends_only_what_differs_and_removes_what_is_too_much() {
    let mut case = case();
    let (_, first) = case.restore(&case.options()).unwrap();
    assert_eq!(first.outcome, Outcome::Complete, "{first:#?}");
    let network = first_network(&case);
    let repository = network.join("stray.git");
    fs::create_dir_all(repository.join("refs/heads")).unwrap();
    fs::write(repository.join("refs/heads/main"), "0").unwrap();
    let owner = fs::metadata(&network).unwrap();
    for path in ["", "refs", "refs/heads", "refs/heads/main"] {
        std::os::unix::fs::chown(repository.join(path), Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let packed = walk(&network).into_iter().find(|p| p.ends_with("HEAD")).unwrap();
    fs::write(&packed, "ref: refs/heads/elsewhere\n").unwrap();
    // The target shows the source's host keys now.
    case.trust_again();
    let again = assert_completes(&mut case);
    let step = |report: &ApplianceReport, wanted: Step| {
        report.steps.iter().find(|s| s.step == wanted).cloned().unwrap()
    };
    let (before, after) = (step(&first, Step::Repositories), step(&again, Step::Repositories));
    assert_eq!((after.items, after.removed), (1, 1), "{after:?}");
    assert_eq!(after.unchanged + after.items, before.items);
    let storage = step(&again, Step::Storage);
    assert_eq!((storage.items, storage.unchanged), (0, step(&first, Step::Storage).items));
}

#[test]
fn damage_in_the_vault_costs_what_is_damaged_and_is_named() {
    let case = case();
    let data = case.bench.vault_path().join("data");
    let largest = walk(&data).into_iter().max_by_key(|p| fs::metadata(p).unwrap().len()).unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(&largest, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&largest, &bytes).unwrap();
    let (_, report) = case.restore(&case.options()).unwrap();
    match report.outcome {
        Outcome::Partial => {
            assert!(!report.problems.is_empty());
            assert_eq!(case.status().trim(), "complete");
        }
        Outcome::Failed => assert_failed_cleanly(&case, &report),
        Outcome::Complete => panic!("damage went unnoticed: {report:#?}"),
    }
}

#[test]
fn a_refused_restore_changes_nothing() {
    let case = Case::new(&Recipe::fresh(2));
    let before = case.target.commands().unwrap().len();
    let refused = case.restore(&case.options());
    assert!(matches!(refused, Err(ApplianceRestoreError::Refused(Refusal::NoMaintenance(_)))), "{refused:?}");
    case.target.set_maintenance(true).unwrap();
    let refused = case.restore(&ApplianceOptions { confirmation: Some("yes".into()), ..case.options() });
    assert!(
        matches!(refused, Err(ApplianceRestoreError::Refused(Refusal::ConfirmedOther { .. }))),
        "{refused:?}"
    );
    assert_eq!(case.status(), "");
    let ran = case.target.commands().unwrap()[before..].to_vec();
    let changing = ["sponge", "import", "stop", "tar", "dd", "rm "];
    let changed: Vec<_> = ran
        .iter()
        .filter(|c| c.kind == "command" && changing.iter().any(|word| c.text.contains(word)))
        .collect();
    assert!(changed.is_empty(), "{changed:#?}");
}

/// Waits for a condition, at most as long as the appliance needs to miss a client.
fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while !condition() {
        assert!(std::time::Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn first_network(case: &Case) -> PathBuf {
    let state = case.source.state().unwrap();
    let network = state.networks.values().next().unwrap();
    case.target.disk("/data/user/repositories").join(&network.path)
}

fn walk(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_symlink() || path.is_file() {
            files.push(path);
        } else {
            files.extend(walk(&path));
        }
    }
    files
}
