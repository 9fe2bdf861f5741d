//! The table covers the contract, the reference page tells the same, and each translation does what it says.

use super::{Fate, Imported, VARIABLES, import};
use crate::config::backup_config;
use std::path::Path;

/// Every variable that contract §8.2 names.
const CONTRACT: &str = "GHE_HOSTNAME GHE_DATA_DIR GHE_NUM_SNAPSHOTS GHE_PRUNING_SCHEDULED GHE_RESTORE_HOST \
    GHE_RESTORE_SKIP_AUDIT_LOGS GHE_BACKUP_PAGES GHE_BACKUP_FSCK GHE_SKIP_CHECKS GHE_CREATE_DATA_DIR \
    GHE_EXTRA_SSH_OPTS GHE_EXTRA_RSYNC_OPTS GHE_RSYNC_COMPRESSION_ENABLED RSYNC_WARNING GHE_VERBOSE_LOG OUTPUT_COLOR \
    GHE_MSSQL_BACKUP_CADENCE GHE_PARALLEL_ENABLED GHE_PARALLEL_MAX_JOBS GHE_PARALLEL_RSYNC_MAX_JOBS \
    GHE_PARALLEL_MAX_LOAD GHE_INCREMENTAL_MAX_BACKUPS EXTERNAL_DATABASE_BACKUP_SCRIPT \
    EXTERNAL_DATABASE_RESTORE_SCRIPT GHE_NICE GHE_IONICE GHE_GIT_COOLDOWN_PERIOD GHE_ALLOW_REPLICA_BACKUP \
    GHE_SKIP_ROUTE_VERIFICATION GHE_ROUTE_VERIFICATION GHE_MANAGE_CONSOLE_PW_RESTORE GHE_SKIP_SEARCH_INDICES \
    GHE_FILE_SYSTEM_WRITE_CHECK GHE_ES_BACKUP_STRATEGY GHE_ES_SNAPSHOT_NAME_PREFIX GHE_SSH_PROXY GHE_DISABLE_SSH_MUX \
    GHE_VERBOSE_SSH GHE_VERBOSE GHE_DEBUG GHE_SNAPSHOT_TIMESTAMP BM_TIMESTAMP TMPDIR GHE_REMOTE_ROOT_DIR \
    GHE_REMOTE_DATA_DIR GHE_REMOTE_LICENSE_FILE GHE_REMOTE_CLUSTER_CONF_FILE SYNC_IN_PROGRESS_FILE GHE_RELEASE_FILE \
    FINGERPRINT_BLACKLIST GHE_TEST_REMOTE_VERSION";

fn imported(text: &str) -> Imported {
    import(&backup_config::parse(text, |_| None), Path::new("/opt/bu/backup.config"))
}

fn value(imported: &Imported, key: &str) -> Option<String> {
    imported.layer.get(key).map(|value| value.text.clone())
}

#[test]
fn the_table_covers_every_variable_of_the_contract_and_no_other() {
    let contract: Vec<&str> = CONTRACT.split_whitespace().collect();
    let table: Vec<&str> = VARIABLES.iter().map(|row| row.name).collect();
    assert_eq!(table, contract);
}

#[test]
fn the_reference_page_lists_every_variable_with_its_fate() {
    let page = include_str!("../../../../docs/configuration.md");
    for row in VARIABLES {
        let fate = match row.fate {
            Fate::Honoured(key) => format!("honoured: `{key}`"),
            Fate::Mapped(into, _) => format!("mapped: {into}"),
            Fate::NoEffect(reason) => format!("no effect: {reason}"),
            Fate::Refused(reason, _) => format!("refused: {reason}"),
        };
        let line = format!("| `{}` | {fate} |", row.name);
        assert!(page.contains(&line), "docs/configuration.md lacks the line\n{line}");
    }
}

#[test]
fn an_ordinary_file_becomes_options() {
    let got = imported(
        "GHE_HOSTNAME=\"ghe.example.com\"\nGHE_DATA_DIR=\"data\"\nGHE_NUM_SNAPSHOTS=7\nGHE_BACKUP_PAGES=no\n\
         GHE_SKIP_SEARCH_INDICES=yes\nGHE_EXTRA_SSH_OPTS=\"-i /k -o Port=2222 -o StrictHostKeyChecking=no\"\n\
         GHE_EXTRA_RSYNC_OPTS=\"--bwlimit=30000\"\nGHE_NICE=\nGHE_GIT_COOLDOWN_PERIOD=60\n",
    );
    assert_eq!(got.refusals, Vec::<String>::new());
    assert_eq!(value(&got, "host").as_deref(), Some("ghe.example.com:2222"));
    assert_eq!(value(&got, "vault").as_deref(), Some("/opt/bu/data/vault"));
    assert_eq!(value(&got, "backup.skip").as_deref(), Some("pages\nelasticsearch"));
    assert_eq!(value(&got, "restore.skip").as_deref(), Some("pages\nelasticsearch"));
    assert_eq!(value(&got, "ssh_key").as_deref(), Some("file:/k"));
    assert_eq!(value(&got, "bwlimit").as_deref(), Some("30720000"));
    assert_eq!(value(&got, "backup.nice").as_deref(), Some(""));
    assert_eq!(value(&got, "backup.drain_s").as_deref(), Some("60"));
}

#[test]
fn what_would_change_the_result_silently_is_refused() {
    let got = imported(
        "GHE_REMOTE_LICENSE_FILE=/x\nGHE_ES_BACKUP_STRATEGY=snapshot\nGHE_REMOTE_DATA_DIR=/data\n\
         GHE_EXTRA_RSYNC_OPTS=\"--exclude x\"\nGHE_GIT_COOLDOWN_PERIOD=many\nGHE_HOSTNAME=$(hostname)\n",
    );
    assert_eq!(got.refusals.len(), 5);
    assert!(got.refusals[0].contains(":6: `GHE_HOSTNAME` uses command substitution"), "{}", got.refusals[0]);
    assert!(got.refusals.iter().any(|text| text.contains(":1: `GHE_REMOTE_LICENSE_FILE` is refused")));
}

#[test]
fn what_has_no_effect_is_told() {
    let got = imported("GHE_VERBOSE=1\nGHE_NEW_THING=2\nMY_OWN=3\n");
    assert_eq!(got.notes.len(), 2);
    assert!(got.notes[1].contains("`GHE_NEW_THING` is not known"));
}

#[test]
fn a_bastion_asks_for_the_ssh_program() {
    let got = imported("GHE_SSH_PROXY='ssh bastion -W %h:%p'\nGHE_EXTRA_SSH_OPTS='-F /etc/cfg'\n");
    assert_eq!(value(&got, "transport").as_deref(), Some("openssh"));
    assert_eq!(
        value(&got, "ssh_options").as_deref(),
        Some("-F\n/etc/cfg\n-o\nProxyCommand=ssh bastion -W %h:%p")
    );
}
