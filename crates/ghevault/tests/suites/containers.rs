//! The stage of `deploy/compose`, which `scripts/test deployment` has set up: its containers, networks and volumes.

use crate::support::Done;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// A variable that the suite sets.
pub fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run this with `scripts/test deployment`"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs docker, whatever it ends with.
pub fn try_docker(words: &[&str]) -> Output {
    Command::new("docker").args(words).stdin(Stdio::null()).output().expect("docker runs")
}

/// Runs docker, which must succeed; its stdout.
#[track_caller]
pub fn docker(words: &[&str]) -> String {
    let output = try_docker(words);
    assert!(output.status.success(), "docker {words:?}: {}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}

/// How long a machine that is full of others' work may take for a backup, and for what must run out before it: the lease of a vault after
/// two minutes, a gate after 45 s.
pub const LONG: Duration = Duration::from_mins(12);

/// Waits until something holds; the bound is far from how long it takes.
#[track_caller]
pub fn until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) -> Duration {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < within, "{what}: not within {within:?}");
        sleep(Duration::from_millis(200));
    }
    since.elapsed()
}

/// The stage.
pub struct Stage {
    project: String,
}

impl Stage {
    pub fn new() -> Self {
        Self { project: variable("GHEVAULT_TEST_PROJECT") }
    }

    /// The container of a service.
    #[track_caller]
    pub fn container(&self, service: &str) -> String {
        let project = format!("label=com.docker.compose.project={}", self.project);
        let service = format!("label=com.docker.compose.service={service}");
        let once = "label=com.docker.compose.oneoff=False";
        let found =
            docker(&["ps", "--all", "--quiet", "--filter", &project, "--filter", &service, "--filter", once]);
        found.lines().next().unwrap_or_else(|| panic!("there is no container of {service}")).to_owned()
    }

    pub fn containers(&self) -> Vec<String> {
        let project = format!("label=com.docker.compose.project={}", self.project);
        docker(&["ps", "--all", "--quiet", "--filter", &project]).lines().map(str::to_owned).collect()
    }

    /// What docker knows of a container.
    #[track_caller]
    pub fn inspected(&self, service: &str) -> Value {
        let all: Value = serde_json::from_str(&docker(&["inspect", &self.container(service)])).expect("JSON");
        all[0].clone()
    }

    pub fn network(&self, name: &str) -> String {
        format!("{}_{name}", self.project)
    }

    /// Where a volume is on this machine.
    #[track_caller]
    pub fn volume(&self, name: &str) -> PathBuf {
        docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", &format!("{}_{name}", self.project)])
            .into()
    }

    /// Resident memory of all processes of a container, now.
    pub fn memory(&self, service: &str) -> u64 {
        let top = text(&try_docker(&["top", &self.container(service), "-eo", "pid"]).stdout);
        let resident = |pid: &str| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        top.lines().filter_map(|pid| resident(pid.trim())).sum::<u64>() * 1024
    }

    /// Runs a program in the container of a service.
    pub fn inside(&self, service: &str, words: &[&str]) -> Done {
        let container = self.container(service);
        Done::of(&try_docker(&[&["exec", container.as_str()], words].concat()))
    }

    /// Runs the program on the host of an account.
    pub fn ghevault(&self, account: &str, words: &[&str]) -> Done {
        self.inside(account, &[&["/ghevault"], words].concat())
    }

    /// How many complete backups an account's host knows of.
    pub fn complete(&self, account: &str) -> u64 {
        let done = self.ghevault(account, &["status", "--json"]);
        if done.code != 0 {
            return 0;
        }
        done.json()["counts"]["backup"]["complete"].as_u64().unwrap_or(0)
    }

    /// Waits for that many more complete backups of an account than there are now.
    #[track_caller]
    pub fn backed_up_again(&self, account: &str, more: u64) {
        let before = self.complete(account);
        let took = until(&format!("account {account}: {more} more complete backup(s)"), LONG, || {
            self.complete(account) >= before + more
        });
        println!("account {account}: backed up again after {took:.0?}");
    }

    /// How many backups the daemon of an account has started.
    fn started(&self, account: &str) -> usize {
        let output = try_docker(&["logs", &self.container(account)]);
        let log = text(&output.stdout) + &text(&output.stderr);
        log.lines().filter(|line| line.contains("\"started\"") && line.contains("\"backup\"")).count()
    }

    /// Waits until the daemon of an account starts a backup.
    #[track_caller]
    pub fn backup_begins(&self, account: &str) {
        let before = self.started(account);
        until(&format!("account {account}: a backup begins"), LONG, || self.started(account) > before);
    }

    /// The gate of a machine of the pair, as the appliance has it.
    pub fn gate(&self, node: &str) -> PathBuf {
        self.volume("fleet").join(format!("pair/{node}/disk/data/user/repositories/.sync_in_progress"))
    }

    /// Whether maintenance is held anywhere.
    pub fn gate_exists(&self) -> bool {
        ["ghe-primary", "ghe-replica"].iter().any(|node| self.gate(node).exists())
    }

    /// Both vaults: seals are right, and everything that the snapshots need is there.
    #[track_caller]
    pub fn both_vaults_are_whole(&self) {
        for account in ["a", "b"] {
            let report = until_unlocked(|| self.ghevault(account, &["verify", "--json"]));
            assert_eq!(report.code, 0, "{report:?}");
        }
    }

    /// Both vaults, read back to the last byte by the product and by stock restic.
    #[track_caller]
    pub fn both_vaults_are_sound(&self) {
        for account in ["a", "b"] {
            let report = until_unlocked(|| self.ghevault(account, &["verify", "--depth", "2", "--json"]));
            assert_eq!(report.code, 0, "{report:?}");
            let kit = Path::new(&variable("GHEVAULT_TEST_KITS")).join(account);
            let mut restic = Command::new("restic");
            restic.args(["--no-cache", "--no-lock", "check", "--read-data"]).env("RESTIC_PASSWORD_FILE", kit);
            if account == "a" {
                restic.arg("--repo").arg(self.volume("a-data").join("vault"));
            } else {
                let s3 = self.inspected("s3");
                let ip = s3["NetworkSettings"]["Networks"][self.network("b")]["IPAddress"].as_str();
                restic.arg(format!("--repo=s3:http://{}:8333/b-vault/ghe", ip.expect("an address")));
                restic.env("AWS_SHARED_CREDENTIALS_FILE", self.volume("accounts").join("b-runner.profile"));
            }
            let output = restic.output().expect("restic runs");
            assert!(
                output.status.success(),
                "account {account}: {}{}",
                text(&output.stdout),
                text(&output.stderr)
            );
        }
    }

    /// Takes a container away for a while, by signal 9, and starts it again.
    pub fn kill_and_start(&self, service: &str, away: Duration) {
        let container = self.container(service);
        docker(&["kill", "--signal", "KILL", &container]);
        sleep(away);
        docker(&["start", &container]);
    }

    /// Takes a machine off a network for a while.
    pub fn disconnect(&self, service: &str, network: &str, away: Duration) {
        let (container, network) = (self.container(service), self.network(network));
        docker(&["network", "disconnect", "--force", &network, &container]);
        sleep(away);
        docker(&["network", "connect", "--alias", service, &network, &container]);
    }
}

/// Asks again while the answer is that another process works with the vault.
fn until_unlocked(mut ask: impl FnMut() -> Done) -> Done {
    let mut answer = ask();
    let until = Instant::now() + LONG;
    while answer.code == 11 && Instant::now() < until {
        sleep(Duration::from_secs(2));
        answer = ask();
    }
    answer
}

/// An image that was built around a program; dropping it removes it.
pub struct Built {
    tag: String,
}

impl Built {
    /// Builds one as `scripts/image` does, with nothing taken from the builds before, and writes it into a file.
    #[track_caller]
    pub fn around(program: &Path, archive: &Path) -> Self {
        let built = Self { tag: format!("{}:built", variable("GHEVAULT_TEST_PROJECT")) };
        let output = Command::new(image_script())
            .args(["--local", "--tag", &built.tag, "--binary"])
            .arg(program)
            .arg("--archive")
            .arg(archive)
            .output()
            .expect("scripts/image runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        built
    }

    /// The digests of its layers, lowest first.
    pub fn layers(&self) -> Vec<String> {
        let all = docker(&["image", "inspect", "--format", "{{json .RootFS.Layers}}", &self.tag]);
        serde_json::from_str(&all).expect("JSON")
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        let _ = Command::new(image_script()).args(["--remove", &self.tag]).status();
    }
}

fn image_script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/image")
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found
}
