//! Precedence of the sources, and refusals that name their origin.

use super::{Transport, load};
use crate::config::{
    layer::{Layer, Origin},
    locate::Home,
};
use std::{fs, path::PathBuf};

/// A home folder of its own.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("scratch") }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        fs::write(&path, text).expect("write");
        path
    }

    fn home(&self) -> Home {
        Home { folder: Some(self.folder.path().to_owned()), ..Home::default() }
    }
}

fn nothing(_: &str) -> Option<String> {
    None
}

#[test]
fn flags_win_over_environment_over_file_over_backup_config_over_defaults() {
    let fixture = Fixture::new();
    fixture
        .write(".config/ghevault/ghevault.toml", "host = \"toml\"\nvault = \"/toml\"\nbwlimit = \"1MiB\"\n");
    fixture.write(
        ".github-backup-utils/backup.config",
        "GHE_HOSTNAME=bu\nGHE_DATA_DIR=/bu\nGHE_EXTRA_RSYNC_OPTS=--bwlimit=1\nGHE_GIT_COOLDOWN_PERIOD=5\n",
    );
    let mut flags = Layer::default();
    flags.set("host", "flag", Origin::Flag("--host"));
    let environment = |name: &str| match name {
        "GHEVAULT_HOST" => Some("environment".to_owned()),
        "GHEVAULT_VAULT" => Some("/environment".to_owned()),
        _ => None,
    };
    let settings = load(flags, None, environment, &fixture.home()).expect("settings");
    assert_eq!(settings.host.expect("host").text, "flag");
    assert_eq!(settings.vault.as_deref(), Some("/environment"));
    assert_eq!(settings.bytes_per_s_max, Some(1 << 20));
    assert_eq!(settings.drain.as_secs(), 5);
    assert_eq!(settings.transport, Transport::Russh);
    assert_eq!(settings.niceness, "nice -n 19 ionice -c 3");
}

#[test]
fn the_host_of_the_environment_wins_over_backup_config() {
    let fixture = Fixture::new();
    fixture.write(".github-backup-utils/backup.config", "GHE_HOSTNAME=file\n");
    let environment = |name: &str| (name == "GHE_HOSTNAME").then(|| "environment".to_owned());
    let settings = load(Layer::default(), None, environment, &fixture.home()).expect("settings");
    assert_eq!(settings.host.expect("host").text, "environment");
}

#[test]
fn a_backup_config_that_would_have_to_be_executed_is_refused_with_its_lines() {
    let fixture = Fixture::new();
    let path = fixture.write("own/backup.config", "GHE_HOSTNAME=$(hostname)\nif x; then\n");
    let environment = |name: &str| (name == "GHE_BACKUP_CONFIG").then(|| path.display().to_string());
    let error = load(Layer::default(), None, environment, &fixture.home()).expect_err("refused");
    assert_eq!(error.kind.exit_code(), 2);
    assert_eq!(error.causes.len(), 2);
    assert!(error.causes[1].contains("backup.config:2"), "{:?}", error.causes);
    let settings = load(
        Layer::default(),
        None,
        |name| (name == "GHE_BACKUP_CONFIG").then(|| "none".to_owned()),
        &fixture.home(),
    );
    assert!(settings.is_ok());
}

#[test]
fn a_wrong_value_names_where_it_was_set() {
    let fixture = Fixture::new();
    let path = fixture.write("g.toml", "\n[backup]\ndrain_s = -1\n");
    let error = load(Layer::default(), Some(&path), nothing, &fixture.home()).expect_err("refused");
    assert!(error.message.contains("g.toml:3 is `-1`, not a number of seconds"), "{}", error.message);
    let error = load(
        Layer::default(),
        None,
        |name| (name == "GHEVAULT_PASSWORD").then(|| "hunter2".to_owned()),
        &fixture.home(),
    )
    .expect_err("refused");
    assert!(
        error.message.contains("GHEVAULT_PASSWORD") && !error.message.contains("hunter2"),
        "{}",
        error.message
    );
}

#[test]
fn a_named_file_must_exist() {
    let fixture = Fixture::new();
    let error =
        load(Layer::default(), Some(&fixture.folder.path().join("no.toml")), nothing, &fixture.home());
    assert_eq!(error.expect_err("refused").kind.exit_code(), 2);
}

#[test]
fn options_for_ssh_need_the_ssh_program() {
    let fixture = Fixture::new();
    let path = fixture.write("g.toml", "ssh_options = [\"-o\", \"ProxyCommand=x y\"]\n");
    assert!(load(Layer::default(), Some(&path), nothing, &fixture.home()).is_err());
    let path =
        fixture.write("g.toml", "transport = \"openssh\"\nssh_options = [\"-o\", \"ProxyCommand=x y\"]\n");
    let settings = load(Layer::default(), Some(&path), nothing, &fixture.home()).expect("settings");
    assert_eq!(settings.ssh_options, ["-o", "ProxyCommand=x y"]);
}

#[test]
fn several_hosts_come_from_a_list_or_with_commas_and_the_first_is_the_host() {
    let fixture = Fixture::new();
    fixture.write(".config/ghevault/ghevault.toml", "host = [\"ghe-a\", \"root@ghe-b:2222\"]\n");
    let settings = load(Layer::default(), None, nothing, &fixture.home()).expect("settings");
    let named = |settings: &super::Settings| -> Vec<String> {
        settings.hosts.iter().map(|host| host.text.clone()).collect()
    };
    assert_eq!(named(&settings), ["ghe-a", "root@ghe-b:2222"]);
    assert_eq!(settings.host.as_ref().expect("host").text, "ghe-a");
    let mut flags = Layer::default();
    flags.set("host", "x, y,", Origin::Flag("--host"));
    let settings = load(flags, None, nothing, &fixture.home()).expect("settings");
    assert_eq!(named(&settings), ["x", "y"]);
    assert_eq!(settings.hosts[1].origin, Origin::Flag("--host"));
}
