//! What a backup run is told to do.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;

use super::{courtesy::Courtesy, mssql::Cadence, shard::Shard};
use crate::appliance::facts::Facts;

/// A flag that ends a run early and cleanly; shared with whoever may want to set it.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the run at its next step.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the run is to end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// The datasets of an appliance, in the order of reports (contract §2.2); one whose feature is off is empty.
pub const DATASETS: &[&str] = &[
    "secrets",
    "settings",
    "authorized-keys",
    "ssh-host-keys",
    "mysql",
    "mssql",
    "actions",
    "minio",
    "redis",
    "audit-log",
    "repositories",
    "pages",
    "storage",
    "git-hooks",
    "elasticsearch",
];

/// Settings of a backup run.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a permission of its own that the user gives by name"
)]
pub struct BackupSettings {
    /// The appliance as the user named it; goes into manifests and reports.
    pub host: String,
    /// Folder of the appliance's data (contract §1.8), `/data/user`.
    pub data_root: String,
    /// Place of the licence; the newer place below the data folder is tried next (contract §11.1).
    pub license: String,
    /// Words in front of remote commands, e.g. `nice -n 19 ionice -c 3` (contract §1.3).
    pub nice: String,
    /// Datasets that are left out by the user's wish.
    pub skip: BTreeSet<String>,
    /// Believe no digest and no file time: read everything again.
    pub full: bool,
    /// Back up a replica, with a warning (contract §6.1).
    pub allow_replica: bool,
    /// Accept that the appliance is another one than that of the vault's last snapshot.
    pub allow_other_appliance: bool,
    /// Accept an empty list of routes (contract §2.11).
    pub allow_no_repositories: bool,
    /// Seconds granted to running Git maintenance to end (contract §3.2).
    pub drain_s: u64,
    /// How old backups of Actions' databases may become.
    pub mssql_cadence: Cadence,
    /// Secrets that may be unset although the release needs them: keys of `ghe-config`.
    pub unset_secrets: BTreeSet<String>,
    /// Program that backs up an external MySQL database in our place (contract §2.5); runs on this host.
    pub external_mysql_script: Option<PathBuf>,
    /// What to wait for before the run begins.
    pub courtesy: Courtesy,
    /// How long to wait for another client's gate.
    pub gate_wait: Duration,
    /// Longest silence of the appliance while it exports or reads.
    pub idle: Duration,
    /// Which part of a sharded run is captured; none: everything.
    pub shard: Option<Shard>,
    /// The moment that the snapshot shows, if it is another than the start: that of the whole run.
    pub moment: Option<Timestamp>,
    /// Ends the run early.
    pub cancel: CancelToken,
}

impl BackupSettings {
    /// The defaults for `host`.
    #[must_use]
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            data_root: "/data/user".into(),
            license: "/data/enterprise/enterprise.ghl".into(),
            nice: "nice -n 19 ionice -c 3".into(),
            skip: BTreeSet::new(),
            full: false,
            allow_replica: false,
            allow_other_appliance: false,
            allow_no_repositories: false,
            drain_s: 600,
            mssql_cadence: Cadence::default(),
            unset_secrets: BTreeSet::new(),
            external_mysql_script: None,
            courtesy: Courtesy::default(),
            gate_wait: Duration::from_mins(1),
            idle: Duration::from_mins(10),
            shard: None,
            moment: None,
            cancel: CancelToken::new(),
        }
    }

    /// The same settings without words in front of commands that this appliance does not know.
    #[must_use]
    pub fn fitting(&self, facts: &Facts) -> Self {
        let mut fitting = self.clone();
        for (word, phrase) in [("ionice", "ionice -c 3"), ("nice", "nice -n 19")] {
            if !facts.has(word) {
                let words: Vec<&str> = fitting.nice.split_whitespace().collect();
                fitting.nice =
                    format!(" {} ", words.join(" ")).replace(&format!(" {phrase} "), " ").trim().into();
            }
        }
        fitting
    }

    /// Whether a dataset is wanted: by the user, and of this shard if it is one.
    #[must_use]
    pub fn wants(&self, dataset: &str) -> bool {
        !self.skip.contains(dataset) && self.shard.as_ref().is_none_or(|shard| shard.has(dataset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::facts;

    #[test]
    fn words_that_the_appliance_does_not_know_are_left_out() {
        let facts = |present: &str| facts::read_for_tests(present);
        let settings = BackupSettings::new("h");
        assert_eq!(settings.fitting(&facts("has=nice\nhas=ionice\n")).nice, "nice -n 19 ionice -c 3");
        assert_eq!(settings.fitting(&facts("has=nice\n")).nice, "nice -n 19");
        assert_eq!(settings.fitting(&facts("")).nice, "");
    }
}
