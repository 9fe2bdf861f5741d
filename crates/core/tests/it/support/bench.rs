//! One appliance, one vault and one backup host, for tests that run the whole way.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use ghevault_core::{
    appliance::{
        channel::Channel,
        fleet::Relay,
        hostkeys::PinStore,
        target::Target,
        transport::{self, TransportKind, TransportSettings},
    },
    backup::{
        self, BackupError, BackupInputs, BackupReport, BackupSettings,
        shard::{
            Place, Shard,
            join::{self, JoinInputs, JoinReport},
        },
    },
    keys::{Secret, SshKey},
    progress::Silent,
    seal::SealKey,
    state::StateFolder,
    vault::{Password, Vault, VaultLocation},
};
use ghevault_sim::{build::Recipe, harness::Appliance};

/// The password of every vault in tests.
pub const PASSWORD: &str = "correct horse";

/// A backup host with an empty vault.
pub struct Bench {
    pub dir: tempfile::TempDir,
    pub vault: Vault,
    pub state: StateFolder,
    pub seal_key: SealKey,
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let location = VaultLocation::parse(dir.path().join("vault").to_str().unwrap()).unwrap();
        let vault = Vault::init(&location, &Password::new(PASSWORD)).unwrap();
        let state = StateFolder::open(&dir.path().join("state")).unwrap();
        let seal_key = state.seal_key().unwrap();
        Self { dir, vault, state, seal_key }
    }

    /// A bench beside a small appliance, and the port of its sshd.
    pub fn beside(seed: u64) -> (Self, Appliance, u16) {
        let bench = Self::new();
        let recipe = Recipe::small(seed);
        let mut appliance = Appliance::build(bench.dir.path().join("appliance"), &recipe).unwrap();
        let port = appliance.open_sshd().unwrap().port();
        (bench, appliance, port)
    }

    pub fn vault_path(&self) -> PathBuf {
        self.dir.path().join("vault")
    }

    /// A channel to an appliance's open door, with its host key pinned.
    pub fn channel(&self, appliance: &Appliance, port: u16, kind: TransportKind) -> Arc<dyn Channel> {
        self.channel_at(appliance, ([127, 0, 0, 1], port).into(), kind)
    }

    /// A channel to an appliance that listens elsewhere on this machine.
    pub fn channel_at(
        &self,
        appliance: &Appliance,
        address: std::net::SocketAddr,
        kind: TransportKind,
    ) -> Arc<dyn Channel> {
        channel_of(&self.state, &appliance.client_key(), address, kind)
    }

    pub fn settings() -> BackupSettings {
        BackupSettings { gate_wait: std::time::Duration::from_secs(1), ..BackupSettings::new("ghe-test") }
    }

    pub fn backup(&self, channel: &dyn Channel) -> Result<BackupReport, BackupError> {
        self.backup_with(channel, &Self::settings())
    }

    pub fn backup_with(
        &self,
        channel: &dyn Channel,
        settings: &BackupSettings,
    ) -> Result<BackupReport, BackupError> {
        backup::run(&BackupInputs {
            channel,
            nodes: &Relay::through(channel),
            vault: &self.vault,
            settings,
            state: &self.state,
            seal_key: &self.seal_key,
            progress: &Silent,
        })
    }

    /// Runs stock restic on the vault.
    pub fn restic(&self, arguments: &[&str]) -> std::process::Output {
        Command::new("restic")
            .args(["--no-cache", "-r"])
            .arg(self.vault_path())
            .args(arguments)
            .env("RESTIC_PASSWORD", PASSWORD)
            .output()
            .unwrap()
    }

    /// `restic check --read-data` must find nothing.
    pub fn assert_restic_finds_no_fault(&self) {
        let out = self.restic(&["check", "--read-data"]);
        assert!(
            out.status.success(),
            "restic check: {}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
    }

    /// Restores a snapshot with stock restic, and returns the folder.
    pub fn restic_restore(&self, snapshot: &str, name: &str) -> PathBuf {
        let target = self.dir.path().join(name);
        let out = self.restic(&["restore", snapshot, "--target", target.to_str().unwrap()]);
        assert!(out.status.success(), "restic restore: {}", String::from_utf8_lossy(&out.stderr));
        target
    }
}

/// The settings of a shard.
pub fn shard(run: &str, index: u32, count: u32) -> BackupSettings {
    let shard = Shard { run: run.into(), place: Place { index, count } };
    BackupSettings { shard: Some(shard), ..Bench::settings() }
}

/// Joins a run; without a name the newest that is not complete.
pub fn join_run(bench: &Bench, run: Option<&str>) -> Result<JoinReport, BackupError> {
    join::join(&JoinInputs {
        vault: &bench.vault,
        seal_key: &bench.seal_key,
        progress: &Silent,
        run,
        trusted: &[],
    })
}

/// A channel from a state folder, which accepts the host key that is shown.
pub fn channel_of(
    state: &StateFolder,
    key: &Path,
    address: std::net::SocketAddr,
    kind: TransportKind,
) -> Arc<dyn Channel> {
    let target = Target::parse(&format!("admin@{address}")).unwrap();
    let pins = PinStore::below(state.path());
    let offered = ghevault_core::appliance::russh::scan(&target, std::time::Duration::from_secs(10)).unwrap();
    pins.replace(&target, &offered).unwrap();
    let key = SshKey::parse(&Secret::new(std::fs::read(key).unwrap()), None).unwrap();
    let mut settings = TransportSettings::new(target, key, pins);
    settings.kind = kind;
    transport::connect(settings).unwrap()
}

/// Every entry below a folder as find sees it: type, mode, owner, size, mtime, link target, path; plus the content's hash of files.
pub fn listing(root: &Path, folder: &str) -> Vec<String> {
    let script = format!(
        r"cd '{}' && find {folder} \( -path '*/objects/*/tmp_*' -o -path '*/objects/tmp_*' -o -name .sync_in_progress -o -name __gitmon__ -o -name __render__ -o -name __nodeload_archives__ -o -name 'lost+found' \) -prune -o -printf '%y %m %U %G %T@ %l %p\0' | sort -z | tr '\0' '\n'; \
          find {folder} \( -path '*/objects/*/tmp_*' -o -path '*/objects/tmp_*' -o -name .sync_in_progress -o -name __gitmon__ -o -name __render__ -o -name __nodeload_archives__ -o -name 'lost+found' \) -prune -o -type f -print0 | sort -z | xargs -0 -r sha256sum -z | tr '\0' '\n'",
        root.display()
    );
    let out = Command::new("bash").arg("-c").arg(script).env("LC_ALL", "C").output().unwrap();
    String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect()
}
