//! The living appliance: sound repositories, a complete journal, maintenance that respects the gate.

use crate::support;
use std::fs;

use ghevault_sim::{
    appliance::State,
    build::{Recipe, Scale, git},
    compare::Aspects,
    harness::{Appliance, program},
    live::{Life, journal, refs, worker},
};

fn appliance(seed: u64) -> (tempfile::TempDir, Appliance) {
    let folder = tempfile::tempdir().unwrap();
    let appliance = Appliance::build(folder.path().join("appliance"), &Recipe::small(seed)).unwrap();
    (folder, appliance)
}

fn assert_sound(appliance: &Appliance) {
    for route in journal::repositories(appliance.place()).unwrap() {
        let repository = appliance.place().repositories().join(&route);
        let output = git::git(&repository).args(["fsck", "--connectivity-only"]).output().unwrap();
        assert!(output.status.success(), "{route}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn assert_journaled(appliance: &Appliance) {
    let journal = appliance.journal().unwrap();
    for route in journal::repositories(appliance.place()).unwrap() {
        for (name, value) in refs::read_all(&appliance.place().repositories().join(&route)).unwrap() {
            let key = (route.clone(), journal::reference_text(&name));
            let last = journal.get(&key).and_then(|values| values.last());
            assert_eq!(last.and_then(|last| last.value.as_ref()), Some(&value), "{key:?}");
        }
    }
}

#[test]
fn every_generated_repository_is_sound_and_journaled() {
    let (_folder, appliance) = appliance(1);
    assert!(journal::repositories(appliance.place()).unwrap().len() > 15);
    assert_sound(&appliance);
    assert_journaled(&appliance);
}

#[test]
fn repositories_stay_sound_and_journaled_while_the_appliance_lives() {
    let (_folder, appliance) = appliance(2);
    let before = fs::read_to_string(appliance.place().journal()).unwrap().lines().count();
    Life::new(appliance.place(), &program().unwrap(), 3).live(120).unwrap();
    let after = fs::read_to_string(appliance.place().journal()).unwrap().lines().count();
    assert!(after > before + 50, "{before} lines became {after}");
    assert_sound(&appliance);
    assert_journaled(&appliance);
    let log = appliance.commands().unwrap();
    assert!(log.iter().any(|line| line.kind == "maintenance" && line.text.starts_with("end ")));
}

#[test]
fn maintenance_does_not_begin_while_the_gate_exists() {
    let (_folder, appliance) = appliance(1);
    let network = appliance.place().repositories().join("c/nw/c4/ca/42/1");
    let loose = network.join("1.git/refs/heads");
    let before = refs::packed(&network.join("1.git")).unwrap();
    fs::write(appliance.place().gate(), "").unwrap();
    let run = || {
        let status =
            worker::start(appliance.place(), &program().unwrap(), "c/nw/c4/ca/42/1").unwrap().wait().unwrap();
        assert!(status.success());
    };
    run();
    assert!(loose.join("main").exists());
    assert_eq!(refs::packed(&network.join("1.git")).unwrap(), before);
    let mut life = Life::new(appliance.place(), &program().unwrap(), 1);
    for _ in 0..5 {
        life.maintain().unwrap();
        life.rest();
    }
    let log = appliance.commands().unwrap();
    assert!(!log.iter().any(|line| line.text.starts_with("start ")), "{log:?}");

    fs::remove_file(appliance.place().gate()).unwrap();
    run();
    assert!(!loose.join("main").exists(), "references are packed now");
}

#[test]
fn a_real_git_sees_a_push_and_a_deletion() {
    let (_folder, appliance) = appliance(1);
    let route = "c/nw/c4/ca/42/1/1.git";
    let mut seed = ghevault_sim::seed::Seed::new(5);
    let place = appliance.place();
    assert!(ghevault_sim::live::push::push(place, route, b"refs/heads/new", &mut seed).unwrap());
    let show = |name: &str| {
        let output = git::git(&place.repositories().join(route))
            .args(["rev-parse", "--verify", name])
            .output()
            .unwrap();
        output.status.success()
    };
    assert!(show("refs/heads/new^{tree}"));
    assert!(ghevault_sim::live::deletion::delete(place, route, b"refs/heads/new").unwrap());
    assert!(!show("refs/heads/new"));
    assert_sound(&appliance);
}

#[test]
fn two_appliances_of_one_seed_are_equal() {
    let (_a, a) = appliance(8);
    let (_b, b) = appliance(8);
    let comparison = ghevault_sim::compare::compare(a.place(), b.place(), &Aspects::default()).unwrap();
    let unexpected: Vec<String> =
        comparison.differences().into_iter().filter(|what| !what.contains("ssh_host_")).collect();
    assert_eq!(unexpected, Vec::<String>::new());
}

#[test]
fn a_changed_byte_a_missing_file_and_a_moved_reference_are_found() {
    let (_a, a) = appliance(8);
    let (_b, b) = appliance(8);
    let differences = || {
        ghevault_sim::compare::compare(a.place(), b.place(), &Aspects::default())
            .unwrap()
            .differences()
            .join("\n")
    };
    let object = &a.state().unwrap().storage.first().unwrap().sha256.clone();
    let path = ghevault_sim::appliance::state::storage_path(b.place(), object);
    let mut bytes = fs::read(&path).unwrap();
    bytes[50] ^= 1;
    fs::write(&path, bytes).unwrap();
    let wiki = b.place().repositories().join("c/nw/c4/ca/42/1/1.wiki.git");
    let main = wiki.join("refs/heads/master");
    assert!(main.exists());
    fs::remove_file(b.disk("/data/enterprise/enterprise.ghl")).unwrap();
    let mut seed = ghevault_sim::seed::Seed::new(5);
    ghevault_sim::live::push::push(b.place(), "c/nw/c4/ca/42/1/1.wiki.git", b"refs/heads/master", &mut seed)
        .unwrap();
    let found = differences();
    for expected in [
        object.as_str(),
        "license: `/data/enterprise/enterprise.ghl`",
        "references: `c/nw/c4/ca/42/1/1.wiki.git` refs/heads/master",
        "objects: `c/nw/c4/ca/42/1/1.wiki.git`: 0 objects are missing",
    ] {
        assert!(found.contains(expected), "{expected} is not in\n{found}");
    }
}

fn the_gate_stops_maintenance_but_not_the_writers(appliance: &Appliance, port: u16) {
    let run = |script: &str| {
        let output = appliance.ssh(port).unwrap().arg(script).output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let maintenance = |word: &str| {
        let log = appliance.commands().unwrap();
        log.iter().filter(|line| line.kind == "maintenance" && line.text.starts_with(word)).count()
    };
    let written = || fs::read_to_string(appliance.place().journal()).unwrap().lines().count();
    support::wait_until("maintenance runs", || maintenance("end ") > 0);
    run("sudo -u git touch /data/user/repositories/.sync_in_progress; \
         for i in $(seq 600); do ps axo args | grep -qE '^git( -.*)? nw-repack( |$)' || exit 0; sleep 0.05; done; exit 7");
    let (begun, before) = (maintenance("start "), written());
    support::wait_until("people go on writing", || written() > before + 20);
    assert_eq!(maintenance("start "), begun);
    run("sudo rm -f /data/user/repositories/.sync_in_progress");
    support::wait_until("maintenance goes on", || maintenance("start ") > begun);
}

#[test]
fn a_gate_made_through_the_sshd_door_stops_maintenance_but_not_the_writers() {
    let (_folder, mut appliance) = appliance(4);
    let address = appliance.open_sshd_on(0, Some(40.0)).unwrap();
    the_gate_stops_maintenance_but_not_the_writers(&appliance, address.port());
    appliance.close();
    assert_sound(&appliance);
}

#[test]
fn a_gate_made_through_the_embedded_door_stops_maintenance_but_not_the_writers() {
    let (_folder, mut appliance) = appliance(4);
    let address = appliance.open_embedded().unwrap();
    let living = appliance.live(40.0, 3);
    the_gate_stops_maintenance_but_not_the_writers(&appliance, address.port());
    assert!(living.stop().unwrap() > 20);
    assert_sound(&appliance);
    assert_journaled(&appliance);
}

#[test]
fn a_change_in_any_dataset_is_found_in_that_dataset() {
    let (_a, a) = appliance(8);
    let files = [
        ("networks", "disk/data/user/repositories/c/nw/c4/ca/42/1/1.git/config"),
        ("special", "disk/data/user/repositories/__purgatory__/4711.git/config"),
        ("layout", "disk/data/user/repositories/info/nw-layout"),
        ("git-hooks", "disk/data/user/git-hooks/repos/1.git/HEAD"),
        ("audit-log", "stores/audit-log/audit_log-1-2023-11-2.jsonl"),
        ("mysql", "stores/mysql.sql"),
        ("redis", "disk/data/user/redis/dump.rdb"),
        ("settings", "disk/data/user/common/github.conf"),
        ("secrets", "disk/data/user/common/secrets.conf"),
        ("license", "disk/data/enterprise/enterprise.ghl"),
        ("saml-keys", "disk/data/user/common/saml-sp.p12"),
        ("ca-certificates", "stores/ssl-ca-certificates.tar"),
        ("identity", "disk/data/user/common/uuid"),
        ("identity", "disk/data/user/common/ssh_host_ed25519_key"),
    ];
    let copy = tempfile::tempdir().unwrap();
    let status =
        std::process::Command::new("cp").arg("-a").arg(a.place().root()).arg(copy.path()).status().unwrap();
    assert!(status.success());
    let b = Appliance::open(copy.path().join("appliance")).unwrap();
    let differing = || {
        let comparison = a.compare(&b, &Aspects::default()).unwrap();
        let rows = comparison.datasets.into_iter().filter(|row| !row.differences.is_empty());
        rows.map(|row| row.dataset).collect::<Vec<_>>()
    };
    assert_eq!(differing(), Vec::<String>::new());
    for (dataset, file) in files {
        let path = b.place().root().join(file);
        let old = fs::read(&path).unwrap();
        let mut new = old.clone();
        let middle = new.len() / 2;
        new[middle] = if new[middle] == b'0' { b'1' } else { b'0' };
        fs::write(&path, new).unwrap();
        assert_eq!(differing(), [dataset], "{file}");
        fs::write(&path, old).unwrap();
    }
    fs::remove_dir_all(b.disk("/data/user/elasticsearch/nodes")).unwrap();
    assert_eq!(differing(), ["elasticsearch"]);
}

#[test]
fn a_port_that_somebody_has_is_refused() {
    let (_folder, mut appliance) = appliance(1);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = appliance.open_sshd_on(taken.local_addr().unwrap().port(), None).unwrap_err();
    assert!(error.to_string().contains("did not open"), "{error}");
}

#[test]
fn a_large_pack_and_copies_stand_beside_the_odd_repositories() {
    let folder = tempfile::tempdir().unwrap();
    let scale = Scale { big_pack_bytes: 100_000, copies: 1, ..Scale::S };
    let recipe = Recipe { scale, ..Recipe::small(1) };
    let plain = Appliance::build(folder.path().join("plain"), &Recipe::small(1)).unwrap();
    let more = Appliance::build(folder.path().join("more"), &recipe).unwrap();
    let networks = |appliance: &Appliance| State::load(appliance.place()).unwrap().networks.len();
    assert_eq!(networks(&more), networks(&plain) + 2);
}
