//! Two accounts in containers, as `deploy/compose` sets them up: what they may, what becomes of them when networks are cut and containers
//! killed, and what nobody finds in them.
//!
//! `DEPLOYMENT_SEED` (1) chooses the moments, `DEPLOYMENT_CUTS` (2) how many of each kind; a failure names them.

use crate::{
    containers::{Built, LONG, Stage, docker, files, try_docker, until, variable},
    support::run::number,
};
use ghevault_sim::seed::Seed;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

/// The promise: after so long without a sign of life the appliance ends what a client holds (`SILENCE_S_MAX` of the lease).
const SILENCE: Duration = Duration::from_secs(45);
/// What looking and a loaded machine may add.
const SLACK: Duration = Duration::from_secs(30);

/// Moments after the start of a backup, the earlier ones in its transfers and the later ones around its seal.
fn moments(name: &str) -> Vec<Duration> {
    let (seed, cuts) = (number("DEPLOYMENT_SEED", 1), number("DEPLOYMENT_CUTS", 2));
    let mut random = Seed::new(seed).part(name);
    (0..cuts).map(|cut| Duration::from_millis(cut * 4_000 / cuts.max(1) + random.below(2_000))).collect()
}

/// Tests run in the order of their names, so what is read back to the last byte here has been through the faults of those above.
#[test]
fn both_accounts_back_up_by_themselves_and_each_reaches_only_what_is_its_own() {
    let stage = Stage::new();
    for account in ["a", "b"] {
        until("a first complete backup", LONG, || stage.complete(account) >= 1);
        assert_eq!(
            stage.ghevault(account, &["status", "--json"]).exits(0).json()["objective"]["health"],
            "good"
        );
    }
    stage.both_vaults_are_sound();
    let b = stage.inspected("machine-b");
    let address = b["NetworkSettings"]["Networks"][stage.network("b")]["IPAddress"]
        .as_str()
        .expect("an address")
        .to_owned();
    let reach = |from: &str, to: &str| {
        let script = format!("import socket; socket.create_connection(('{to}', 9122), 3)");
        stage.inside(from, &["python3", "-c", &script]).code
    };
    assert_eq!(reach("machine-b", &address), 0, "the page of B is there for B");
    assert_ne!(reach("machine-a", &address), 0, "A reaches B");
    // With all that account A has on its host, B's vault stays closed.
    let other = ["--vault", "s3:http://s3:8333/b-vault/ghe", "snapshots"];
    assert_ne!(stage.ghevault("a", &other).code, 0);
}

#[test]
fn a_container_of_any_user_without_rights_on_a_file_system_that_cannot_be_written_is_healthy() {
    let stage = Stage::new();
    for account in ["a", "b"] {
        until("a healthy container", LONG, || {
            stage.inspected(account)["State"]["Health"]["Status"] == "healthy"
        });
        let seen = stage.inspected(account);
        assert_eq!(seen["HostConfig"]["ReadonlyRootfs"], true);
        assert_eq!(seen["HostConfig"]["Memory"], 512 * 1024 * 1024);
        assert_eq!(seen["State"]["OOMKilled"], false);
        let pid = seen["State"]["Pid"].as_u64().expect("a process");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
        let has = |line: &str| {
            status.lines().any(|one| one.split_whitespace().collect::<Vec<_>>().join(" ") == line)
        };
        let user = variable("GHEVAULT_USER").split(':').next().unwrap_or_default().to_owned();
        assert!(has(&format!("Uid: {user} {user} {user} {user}")), "{status}");
        assert!(has("CapEff: 0000000000000000") && has("CapBnd: 0000000000000000"), "{status}");
        assert!(has("NoNewPrivs: 1"), "{status}");
    }
}

#[test]
fn a_backup_stays_far_within_the_memory_that_its_container_has() {
    let stage = Stage::new();
    for account in ["a", "b"] {
        let before = stage.complete(account);
        stage.backup_begins(account);
        let mut peak = 0;
        until("a complete backup", LONG, || {
            for _ in 0..20 {
                peak = peak.max(stage.memory(account));
                sleep(Duration::from_millis(50));
            }
            stage.complete(account) > before
        });
        println!("account {account}: at most {} MiB of 512 MiB", peak >> 20);
        assert!(peak > 0 && peak < 512 << 20);
        assert_eq!(stage.inspected(account)["State"]["OOMKilled"], false);
    }
}

#[test]
fn the_same_program_gives_the_same_image_and_another_one_changes_only_the_topmost_layer() {
    let program = PathBuf::from(variable("GHEVAULT_BINARY"));
    let folder = tempfile::tempdir().expect("a scratch folder");
    let other = folder.path().join("ghevault");
    let mut changed = fs::read(&program).expect("the program");
    changed.extend_from_slice(b"another version");
    fs::write(&other, changed).expect("written");
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).expect("made a program");
    let [(first, file), (again, same_file), (update, _)] = [&program, &program, &other].map(|program| {
        let archive = folder.path().join("image.tar.gz");
        let layers = Built::around(program, &archive).layers();
        (layers, fs::read(&archive).expect("the image as a file"))
    });
    assert_eq!(first, again);
    assert!(file == same_file, "the files of two builds differ");
    let (top, below) = update.split_last().expect("layers");
    assert_eq!(below, &first[..first.len() - 1]);
    assert_ne!(top, &first[first.len() - 1]);
}

#[test]
fn no_secret_is_in_an_image_a_container_a_log_or_a_volume() {
    let stage = Stage::new();
    // The plaintext, from whoever may decrypt: its text in pieces, and its 32 secret bytes.
    let script = "
import base64, boto3, sys
account = sys.argv[1]
env = dict(line.split('=', 1) for line in open(f'/accounts/{account}-operator.env').read().split())
text = sys.stdin.read().split('\"')[1].removeprefix('aws:kms:')
kms = boto3.client('kms', endpoint_url='http://127.0.0.1:5000', region_name='eu-central-1',
                   aws_access_key_id=env['AWS_ACCESS_KEY_ID'], aws_secret_access_key=env['AWS_SECRET_ACCESS_KEY'])
plain = kms.decrypt(CiphertextBlob=base64.b64decode(text))['Plaintext']
lines = [line for line in plain.split(b'\\n') if line and not line.startswith(b'-')]
raw = base64.b64decode(b''.join(lines))
seed = raw[raw.rindex(bytes([0, 0, 0, 64])) + 4:][:32]
print(seed.hex())
for line in lines[1:-1]: print(line[:40].hex())
";
    let mut needles: Vec<(String, Vec<u8>)> = Vec::new();
    for account in ["a", "b"] {
        let meta =
            fs::File::open(stage.volume(&format!("{account}-meta")).join("taupage.yaml")).expect("the file");
        let cloud = stage.container("cloud");
        let output = Command::new("docker")
            .args(["exec", "-i", &cloud, "python3", "-c", script, account])
            .stdin(meta)
            .output()
            .expect("docker runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(printed.lines().count() >= 3, "{printed}");
        needles.extend(printed.lines().map(|line| (format!("SSH key of {account}"), bytes(line))));
        let kit = fs::read_to_string(format!("{}/{account}", variable("GHEVAULT_TEST_KITS"))).expect("a kit");
        needles.push((format!("recovery kit of {account}"), kit.trim().as_bytes().to_vec()));
    }
    let mut places: Vec<(String, Vec<u8>)> = Vec::new();
    for container in stage.containers() {
        places.push((format!("inspect {container}"), docker(&["inspect", &container]).into_bytes()));
        let log = try_docker(&["logs", &container]);
        places.push((format!("log of {container}"), [log.stdout, log.stderr].concat()));
    }
    let image = variable("GHEVAULT_IMAGE");
    places.push(("the image's configuration".into(), docker(&["inspect", &image]).into_bytes()));
    let saved = try_docker(&["save", &image]);
    assert!(saved.status.success() && saved.stdout.len() > 1_000_000);
    places.push(("the image's layers".into(), saved.stdout));
    for volume in ["a-data", "a-meta", "b-data", "b-meta", "board", "fleet", "accounts"] {
        for file in files(&stage.volume(volume)) {
            places.push((file.display().to_string(), fs::read(&file).unwrap_or_default()));
        }
    }
    for (place, content) in &places {
        for (name, needle) in &needles {
            assert!(!contains(content, needle), "the {name} is in {place}");
        }
    }
    // The search finds what is there: the ciphertext, in the one file where it belongs.
    let kept = places.iter().filter(|(_, content)| contains(content, b"kms_private_ssh_key")).count();
    assert!(kept >= 2, "the search finds nothing");
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.trim().as_bytes().chunks(2);
    pairs.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    assert!(needle.len() > 15, "a needle that says little");
    let mut from = 0;
    while let Some(at) = haystack[from..].iter().position(|byte| *byte == needle[0]) {
        if haystack[from + at..].starts_with(needle) {
            return true;
        }
        from += at + 1;
    }
    false
}

#[test]
fn a_network_that_goes_away_during_a_backup_costs_that_backup_and_nothing_else() {
    let stage = Stage::new();
    for (round, moment) in moments("network").into_iter().enumerate() {
        let account = ["a", "b"][round % 2];
        stage.backup_begins(account);
        sleep(moment);
        stage.disconnect(&format!("machine-{account}"), account, Duration::from_secs(3));
        stage.backed_up_again(account, 1);
    }
    stage.both_vaults_are_whole();
}

#[test]
fn a_killed_host_leaves_maintenance_paused_no_longer_than_is_stated_and_goes_on_when_it_is_started_again() {
    let stage = Stage::new();
    let (a, b) = (stage.container("a"), stage.container("b"));
    // One is killed while it holds the gate, when nobody else can.
    docker(&["stop", &b]);
    until("no gate of B", SILENCE + SLACK, || !stage.gate_exists());
    let gate = stage.gate("ghe-primary");
    let since = Instant::now();
    while !gate.exists() {
        assert!(since.elapsed() < LONG, "no backup of A held the gate");
        sleep(Duration::from_millis(2));
    }
    docker(&["kill", "--signal", "KILL", &a]);
    let open = until("the gate is gone after its owner died", SILENCE + SLACK, || !stage.gate_exists());
    println!("the gate was gone {open:.1?} after its owner was killed");
    // The other one later in a backup, around its seal.
    docker(&["start", &b]);
    stage.backup_begins("b");
    sleep(*moments("host").last().expect("a moment"));
    docker(&["kill", "--signal", "KILL", &b]);
    docker(&["start", &a, &b]);
    // What they had of their vaults runs out by itself.
    stage.backed_up_again("a", 1);
    stage.backed_up_again("b", 1);
    stage.both_vaults_are_whole();
}

#[test]
fn an_appliance_that_restarts_is_backed_up_when_it_is_back() {
    let stage = Stage::new();
    for moment in moments("appliance").into_iter().skip(1) {
        stage.backup_begins("a");
        sleep(moment);
        stage.kill_and_start("primary", Duration::from_secs(2));
        stage.backed_up_again("a", 1);
        stage.backed_up_again("b", 1);
    }
    stage.both_vaults_are_whole();
}

#[test]
fn an_outage_of_amazons_services_costs_backups_and_no_vault() {
    let stage = Stage::new();
    for (service, account) in [("cloud", "a"), ("s3", "b")] {
        let container = stage.container(service);
        stage.backup_begins(account);
        docker(&["pause", &container]);
        sleep(Duration::from_secs(5));
        docker(&["unpause", &container]);
        stage.backed_up_again(account, 1);
    }
    stage.both_vaults_are_whole();
}

#[test]
fn a_notice_board_that_is_gone_stops_no_backup_and_is_caught_up_with() {
    let stage = Stage::new();
    let board = stage.volume("board");
    let open = |mode: u32| fs::set_permissions(&board, fs::Permissions::from_mode(mode)).expect("changed");
    stage.ghevault("a", &["witness", "publish"]).exits(0);
    open(0o000);
    let refused = stage.ghevault("a", &["witness", "publish"]);
    stage.backed_up_again("a", 1);
    open(0o1777);
    assert!(refused.code != 0 && refused.stderr.contains("/board"), "{refused:?}");
    stage.ghevault("a", &["witness", "publish"]).exits(0);
    stage.ghevault("b", &["witness", "publish"]).exits(0);
    for account in ["a", "b"] {
        let check = stage.ghevault(account, &["witness", "check"]);
        assert_eq!(check.code, 0, "{check:?}");
    }
}
