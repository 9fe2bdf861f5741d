//! The proof that a snapshot's files bring each database back: a full backup, at most one differential on it, and logs without a gap.
//!
//! The numbers are recorded in the snapshot (`ghevault/mssql-chain.json`), so that the proof can be made again without the server.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{BackupFile, Kind, Lsn, Standing};

/// File of the record in a snapshot.
pub const FILE: &str = "ghevault/mssql-chain.json";

/// One backup file and its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub file: String,
    /// `checkpoint_lsn`, as text; none if the server did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub checkpoint: Option<Lsn>,
    /// `last_lsn`, as text; none if the server did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub last: Option<Lsn>,
}

/// The record of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// UUID of the machine whose server made the files: chains never go on across servers (contract §6.5).
    pub uuid: String,
    /// Where the next log backup of each database will start.
    #[serde(default)]
    pub next_log_start: BTreeMap<String, String>,
    /// All files.
    pub links: Vec<Link>,
}

impl Chain {
    /// The numbers of a file.
    #[must_use]
    pub fn link(&self, file: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.file == file)
    }
}

/// What is wrong with the files of a snapshot, one line for each database; empty: each of `databases` can be brought back.
#[must_use]
pub fn faults(
    databases: &BTreeSet<String>,
    files: &[BackupFile],
    chain: &Chain,
    after: &BTreeMap<String, Standing>,
) -> Vec<String> {
    let fault = |database: &String| {
        let standing = after.get(database).copied().unwrap_or_default();
        fault_of(database, files, chain, &standing).map(|what| format!("`{database}`: {what}"))
    };
    databases.iter().filter_map(fault).collect()
}

fn fault_of(database: &str, files: &[BackupFile], chain: &Chain, after: &Standing) -> Option<String> {
    let of = |kind: Kind| {
        let mut found: Vec<&BackupFile> =
            files.iter().filter(|file| file.database == database && file.kind == kind).collect();
        found.sort();
        found
    };
    let (fulls, diffs, logs) = (of(Kind::Full), of(Kind::Diff), of(Kind::Log));
    let Some(full) = fulls.last() else { return Some("its full backup is missing".into()) };
    let Some(log) = logs.last() else { return Some("its log backup is missing".into()) };
    if let Some(diff) = diffs.last().filter(|diff| diff.at_s < full.at_s) {
        return Some(format!("`{}` is older than its full backup", diff.name));
    }
    let checkpoint = chain.link(&full.name).and_then(|link| link.checkpoint);
    match (checkpoint, after.differential_base) {
        (None, _) => return Some(format!("the server does not know `{}`", full.name)),
        (Some(ours), Some(base)) if ours != base => {
            return Some("somebody else took a full backup meanwhile".into());
        }
        _ => {}
    }
    // Logs are in the order of their times; each must reach further than the one before.
    let mut reached: Option<Lsn> = None;
    for file in &logs {
        let Some(last) = chain.link(&file.name).and_then(|link| link.last) else {
            return Some(format!("the server does not know `{}`", file.name));
        };
        if reached.is_some_and(|reached| last < reached) {
            return Some(format!("`{}` does not follow the log before it", file.name));
        }
        reached = Some(last);
    }
    match (reached, after.next_log_start) {
        (Some(last), Some(next)) if next > last => {
            Some(format!("somebody else took a log backup after `{}`: there is a gap", log.name))
        }
        _ => None,
    }
}

/// Numbers of 25 digits as text: not every reader of JSON keeps them.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Lsn;

    #[expect(clippy::ref_option, reason = "serde hands out references")]
    pub(super) fn serialize<S: Serializer>(lsn: &Option<Lsn>, serializer: S) -> Result<S::Ok, S::Error> {
        match lsn {
            Some(lsn) => serializer.collect_str(lsn),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Lsn>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["a@20260101T000000.bak", "a@20260101T000000.log", "a@20260101T003000.log"];

    fn files(names: &[&str]) -> Vec<BackupFile> {
        names.iter().map(|name| BackupFile::parse(name).expect("a name")).collect()
    }

    fn chain(last: [Option<Lsn>; 2]) -> Chain {
        let link = |file: &str, checkpoint, last| Link { file: file.into(), checkpoint, last };
        Chain {
            uuid: "u".into(),
            next_log_start: BTreeMap::new(),
            links: vec![
                link(NAMES[0], Some(10), Some(11)),
                link(NAMES[1], Some(10), last[0]),
                link(NAMES[2], Some(10), last[1]),
            ],
        }
    }

    fn found(names: &[&str], chain: &Chain, base: Lsn, next: Lsn) -> Vec<String> {
        let standing =
            Standing { differential_base: Some(base), next_log_start: Some(next), ..Standing::default() };
        faults(&["a".to_owned()].into(), &files(names), chain, &[("a".to_owned(), standing)].into())
    }

    #[test]
    fn a_full_backup_and_logs_without_a_gap_are_a_chain() {
        assert_eq!(found(&NAMES, &chain([Some(20), Some(30)]), 10, 30), Vec::<String>::new());
    }

    #[test]
    fn every_missing_or_foreign_piece_is_named() {
        let good = chain([Some(20), Some(30)]);
        let fault = |names: &[&str], chain: &Chain, base, next| found(names, chain, base, next).join("; ");
        assert!(fault(&NAMES[1..], &good, 10, 30).contains("full backup is missing"));
        assert!(fault(&NAMES[..1], &good, 10, 30).contains("log backup is missing"));
        assert!(fault(&NAMES, &good, 12, 30).contains("somebody else took a full backup"));
        assert!(fault(&NAMES, &good, 10, 31).contains("gap"));
        assert!(
            fault(&NAMES, &chain([Some(20), None]), 10, 30).contains("does not know `a@20260101T003000.log`")
        );
        assert!(fault(&NAMES, &chain([Some(40), Some(30)]), 10, 30).contains("does not follow"));
        assert!(fault(&NAMES, &Chain::default(), 10, 30).contains("does not know `a@20260101T000000.bak`"));
    }

    #[test]
    fn numbers_of_25_digits_survive_the_record() {
        let big = Chain {
            links: vec![Link {
                file: "f".into(),
                checkpoint: Some(1_234_567_890_123_456_789_012_345),
                last: None,
            }],
            ..Chain::default()
        };
        let text = serde_json::to_string(&big).expect("written");
        assert!(text.contains("\"1234567890123456789012345\""));
        assert_eq!(serde_json::from_str::<Chain>(&text).expect("read"), big);
    }
}
