//! The one table of options: name in `ghevault.toml`, environment variable, flag, default, meaning.
//!
//! The file reader, the environment reader and the tests of the reference page all read this table.

/// One option that a user can set.
#[derive(Debug)]
pub struct OptionRow {
    /// Its name in `ghevault.toml`; a dot separates section and key.
    pub key: &'static str,
    /// The environment variable that sets it.
    pub env: Option<&'static str>,
    /// The global flag that sets it.
    pub flag: Option<&'static str>,
    /// What holds when nobody sets it, as the reference page says it.
    pub default: &'static str,
    /// What it means, as the reference page says it.
    pub meaning: &'static str,
}

/// Shortens the rows below.
const fn row(
    key: &'static str,
    env: Option<&'static str>,
    flag: Option<&'static str>,
    default: &'static str,
    meaning: &'static str,
) -> OptionRow {
    OptionRow { key, env, flag, default, meaning }
}

/// All options.
pub const OPTIONS: &[OptionRow] = &[
    row(
        "host",
        Some("GHEVAULT_HOST"),
        Some("--host"),
        "none",
        "the appliance: `[user@]host[:port]`; several, with commas between or as a list, are the machines of one high-availability pair or cluster",
    ),
    row(
        "ssh_key",
        Some("GHEVAULT_SSH_KEY"),
        Some("--ssh-key"),
        "none",
        "secret source of the private SSH key",
    ),
    row(
        "password",
        Some("GHEVAULT_PASSWORD"),
        Some("--password"),
        "none",
        "secret source of the vault's restic password",
    ),
    row("vault", Some("GHEVAULT_VAULT"), Some("--vault"), "none", "the vault: a folder or a URL"),
    row(
        "state",
        Some("GHEVAULT_STATE"),
        Some("--state"),
        "`$XDG_STATE_HOME/ghevault`, for root `/var/lib/ghevault`",
        "folder for pinned host keys, seal keys, caches and records",
    ),
    row(
        "transport",
        Some("GHEVAULT_TRANSPORT"),
        Some("--transport"),
        "`russh`",
        "SSH implementation: `russh` (built in) or `openssh` (the `ssh` program)",
    ),
    row(
        "ssh_options",
        None,
        None,
        "none",
        "list of further arguments for the `ssh` program; only with `transport = \"openssh\"`",
    ),
    row(
        "bwlimit",
        Some("GHEVAULT_BWLIMIT"),
        Some("--bwlimit"),
        "none",
        "most bytes per second to read from the appliance, e.g. `30MiB`",
    ),
    row(
        "backup_config",
        Some("GHE_BACKUP_CONFIG"),
        None,
        "searched, see below",
        "an existing backup-utils `backup.config`; `none` reads none",
    ),
    row(
        "log_format",
        Some("GHEVAULT_LOG_FORMAT"),
        Some("--log-format"),
        "`text`",
        "log lines on stderr: `text` or `json`",
    ),
    row("log_file", None, None, "none", "file that gets the log instead of stderr"),
    row(
        "backup.skip",
        None,
        None,
        "none",
        "datasets to leave out: `pages`, `elasticsearch`, …; such a snapshot says so and stays complete",
    ),
    row("backup.nice", None, None, "`nice -n 19`", "words before every remote command of a backup"),
    row("backup.ionice", None, None, "`ionice -c 3`", "words after `backup.nice`"),
    row("backup.drain_s", None, None, "600", "longest wait for running Git maintenance, in seconds"),
    row(
        "backup.allow_replica",
        None,
        None,
        "`false`",
        "back up a high-availability replica; the snapshot then trails the primary",
    ),
    row(
        "backup.mssql_cadence",
        None,
        None,
        "`10080,1440,15`",
        "most minutes between full, differential and log backups of Actions' databases",
    ),
    row(
        "backup.unset_secrets",
        None,
        None,
        "none",
        "secrets that may be unset although the release needs them, e.g. `secrets.manage`; without it such a snapshot is partial",
    ),
    row(
        "backup.external_mysql_script",
        None,
        None,
        "none",
        "program on this host that backs up an external MySQL database; the snapshot then has no dump of it",
    ),
    row(
        "backup.source",
        None,
        None,
        "`datasets`",
        "what a backup reads: `datasets` (the appliance's data) or `backup-service` (the newest snapshot of its own Backup Service)",
    ),
    row(
        "backup.service_wait_s",
        None,
        None,
        "3600",
        "longest wait for a running Backup Service, in seconds; only with `backup.source = \"backup-service\"`",
    ),
    row("restore.host", None, None, "none", "default target of `restore`; still has to be confirmed"),
    row("restore.skip_audit_log", None, None, "`false`", "do not restore the audit log"),
    row("restore.skip", None, None, "none", "datasets that `restore` leaves alone"),
    row(
        "restore.external_mysql_script",
        None,
        None,
        "none",
        "program on this host that restores an external MySQL database in place of the snapshot's dump",
    ),
    row("restore.console_password", None, None, "`true`", "restore the Management Console's password"),
];

/// The row of a key.
#[must_use]
pub fn find(key: &str) -> Option<&'static OptionRow> {
    OPTIONS.iter().find(|row| row.key == key)
}

/// The known key that is most like `key`, if any is near enough to be a slip of the hand.
#[must_use]
pub fn nearest(key: &str) -> Option<&'static str> {
    OPTIONS
        .iter()
        .map(|row| (strsim::damerau_levenshtein(row.key, key), row.key))
        .chain(OPTIONS.iter().map(|row| {
            let last = row.key.rsplit('.').next().unwrap_or(row.key);
            (strsim::damerau_levenshtein(last, key), row.key)
        }))
        .min()
        .filter(|(distance, _)| *distance <= 3.max(key.len() / 3))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::{OPTIONS, nearest};

    #[test]
    fn slips_of_the_hand_find_their_key() {
        assert_eq!(nearest("hots"), Some("host"));
        assert_eq!(nearest("pasword"), Some("password"));
        assert_eq!(nearest("backup.skipp"), Some("backup.skip"));
        assert_eq!(nearest("drain_s"), Some("backup.drain_s"));
        assert_eq!(nearest("something_else_entirely"), None);
    }

    #[test]
    fn the_reference_page_lists_every_option() {
        let page = include_str!("../../../../docs/configuration.md");
        for row in OPTIONS {
            assert!(page.contains(&format!("| `{}` |", row.key)), "`{}` is missing", row.key);
            for name in [row.env, row.flag].into_iter().flatten() {
                assert!(page.contains(&format!("`{name}`")), "`{name}` is missing");
            }
            for text in [row.meaning, row.default] {
                assert!(page.contains(text), "`{}` is told differently: {text}", row.key);
            }
        }
    }

    #[test]
    fn every_key_is_declared_once() {
        let mut keys: Vec<_> = OPTIONS.iter().map(|row| row.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), OPTIONS.len());
    }
}
