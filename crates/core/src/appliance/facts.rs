//! What an appliance says about itself, asked in one round trip (contract §1.5-1.8).

use std::collections::HashMap;

use serde::Serialize;

use super::{
    channel::{Channel, ChannelError, RemoteCommand},
    fleet::Fleet,
};

/// A release number such as `3.11.0`; comparison as in contract §1.6.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Version {
    /// First number.
    pub major: u64,
    /// Feature release.
    pub minor: u64,
    /// Patch release.
    pub patch: u64,
}

impl Version {
    /// Parses `3.11.0`, `v3.11.0.rc1`, `2.1.5pre`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().trim_start_matches('v').split('.');
        let number = |part: &str| {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u64>().ok()
        };
        let major = number(parts.next()?)?;
        let minor = number(parts.next()?)?;
        let patch = parts.next().and_then(number).unwrap_or(0);
        Some(Self { major, minor, patch })
    }

    /// The version with these numbers.
    #[must_use]
    pub fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self { major, minor, patch }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The oldest release that is supported (contract §1.5, 8).
pub const OLDEST: Version = Version { major: 3, minor: 9, patch: 0 };

/// The newest feature release whose documentation was read for this program (contract §11).
pub const NEWEST_KNOWN: Version = Version { major: 3, minor: 21, patch: u64::MAX };

/// The part that an appliance plays in replication (contract §1.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// No replication, no cluster.
    Standalone,
    /// The primary of a high-availability pair.
    Primary,
    /// A replica of a high-availability pair.
    Replica,
    /// A node of a cluster.
    Cluster,
}

/// Facts about an appliance.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// Its release.
    pub version: Version,
    /// The release as printed, e.g. `3.11.0.rc1`.
    pub version_text: String,
    /// Its part in replication.
    pub role: Role,
    /// Content of `/data/user/common/uuid`.
    pub uuid: String,
    /// Whether it has been configured.
    pub configured: bool,
    /// Whether maintenance mode is on.
    pub maintenance: bool,
    /// Its clock at the time of asking, seconds since 1970.
    pub clock_s: i64,
    /// Feature flags that are true.
    pub flags: Vec<String>,
    /// Commands and files that were looked for, and whether they are there.
    pub present: HashMap<String, bool>,
    /// Free bytes on the data disk, when `df` told.
    pub free_bytes: Option<u64>,
    /// The appliance's `passwd` lines.
    #[serde(skip)]
    pub passwd: String,
    /// The appliance's `group` lines.
    #[serde(skip)]
    pub group: String,
    /// Whether GitHub's on-appliance Backup Service is running (contract §11.2).
    pub backup_service_running: bool,
    /// File datasets whose folder exists, e.g. `pages`.
    pub folders: Vec<String>,
    /// Databases of GitHub Actions (contract §2.6); none where Actions is off.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
    /// The machines behind the appliance (contract §7.1); `None` for a single one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<Fleet>,
}

impl Facts {
    /// Whether a feature flag is on.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        self.flags.iter().any(|flag| flag == key)
    }

    /// Whether a command or file that was looked for is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.present.get(name).copied().unwrap_or(false)
    }
}

/// Why an appliance cannot be described.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// It cannot be asked.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// It answers, but not as an appliance does.
    #[error("`{host}` is not a GitHub Enterprise Server appliance: {reason}")]
    NotAnAppliance {
        /// The host.
        host: String,
        /// What was missing.
        reason: String,
    },
}

/// Feature flags that decide about datasets (contract §2.2, §2.3).
pub const FLAGS: &[&str] = &[
    "app.actions.enabled",
    "app.minio.enabled",
    "app.packages.enabled",
    "app.chatops.enabled",
    "mysql.external.enabled",
    "mysql.backup.binary",
    "cluster.ha",
];

/// Commands that a backup needs (contract §2.2); the last ones are optional and say so.
pub const COMMANDS: &[(&str, bool)] = &[
    ("ghe-config", true),
    ("ghe-export-settings", true),
    ("ghe-export-authorized-keys", true),
    ("ghe-export-ssh-host-keys", true),
    ("ghe-export-mysql", true),
    ("github-env", true),
    ("sudo", true),
    ("find", true),
    ("tar", true),
    ("gzip", true),
    ("xargs", true),
    ("stat", true),
    ("ghe-export-ssl-ca-certificates", false),
    ("ghe-redis-cli", false),
    ("redis-cli", false),
    ("curl", false),
    ("zstd", false),
    ("pigz", false),
    ("ionice", false),
    ("nice", false),
];

fn script(data_root: &str) -> String {
    use super::quote::quote;
    let flags = FLAGS.join(" ");
    let commands: Vec<&str> = COMMANDS.iter().map(|(name, _)| *name).collect();
    let root = quote(data_root);
    format!(
        r#"say() {{ printf '%s=' "$1"; shift; "$@" 2>/dev/null | tr '\n' ' '; echo; }}
say version ghe-version
say negotiate ghe-negotiate-version backup-utils {negotiate}
say state cat /etc/github/repl-state
say uuid sudo cat {root}/common/uuid
say clock date +%s
[ -f /etc/github/configured ] && echo configured=1
[ -f /etc/github/cluster ] && {{
  echo cluster=1; say own cat /etc/github/cluster
  sudo cat {root}/common/cluster.conf 2>/dev/null | sed 's/^/conf=/'
}}
[ -e {root}/common/backup_utils_in_progress ] && echo service=1
test -e /data/github/current/public/system/maintenance.html && echo maintenance=1
for k in {flags}; do ghe-config --true "$k" >/dev/null 2>&1 && echo "flag=$k"; done
for c in {commands}; do command -v "$c" >/dev/null 2>&1 && echo "has=$c"; done
for p in common/idp.crt common/es-scan-complete; do test -e {root}/"$p" && echo "has=$p"; done
[ -e /usr/local/share/enterprise/ghe-es-dump-json ] && echo has=ghe-es-dump-json
[ -e /usr/local/share/enterprise/run-audit-log-transitions.sh ] && echo has=run-audit-log-transitions.sh
for d in repositories pages storage git-hooks actions minio elasticsearch; do sudo test -d {root}/"$d" && echo "folder=$d"; done
ghe-config --true app.actions.enabled >/dev/null 2>&1 &&
  ghe-mssql-console -y -n -q 'SET NOCOUNT ON; SELECT name FROM sys.databases' 2>/dev/null </dev/null | sed 's/^/db=/'
echo "free=$(df -Pk {root} 2>/dev/null | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)"
(getent passwd || cat /etc/passwd) 2>/dev/null | sed 's/^/passwd=/'
(getent group || cat /etc/group) 2>/dev/null | sed 's/^/group=/'
echo end=1
"#,
        negotiate = "3.11.0",
        commands = commands.join(" "),
    )
}

/// Asks an appliance for its facts.
///
/// # Errors
/// It cannot be reached, or is no appliance.
pub fn probe(channel: &dyn Channel, data_root: &str, host: &str) -> Result<Facts, FactsError> {
    let out = channel.run(&RemoteCommand::new("probe the appliance", script(data_root)), &[])?;
    let text = String::from_utf8_lossy(&out.stdout);
    read(&text, host)
}

/// The part in replication and the UUID, asked again: is this still the machine that it was?
///
/// # Errors
/// It cannot be asked.
pub fn identity(channel: &dyn Channel, data_root: &str) -> Result<(Role, String), ChannelError> {
    let uuid = super::quote::quote(&format!("{data_root}/common/uuid"));
    let script = format!(
        "printf '%s\\n' \"$(cat /etc/github/repl-state 2>/dev/null)\" \"$(sudo cat {uuid} 2>/dev/null)\"; \
         [ ! -f /etc/github/cluster ] || echo cluster"
    );
    let out = channel.run(&RemoteCommand::new("ask for the role again", script), &[])?;
    let text = String::from_utf8_lossy(&out.stdout);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let line = |at: usize| lines.get(at).copied().unwrap_or_default();
    Ok((role_of(line(0), line(2) == "cluster"), line(1).to_owned()))
}

/// The role from the content of `repl-state`, and whether `cluster` is there (contract §1.8).
fn role_of(state: &str, cluster: bool) -> Role {
    match state {
        "primary" => Role::Primary,
        "replica" => Role::Replica,
        _ if cluster => Role::Cluster,
        _ => Role::Standalone,
    }
}

fn read(text: &str, host: &str) -> Result<Facts, FactsError> {
    let not = |reason: &str| FactsError::NotAnAppliance { host: host.into(), reason: reason.into() };
    let mut one: HashMap<&str, &str> = HashMap::new();
    let (mut flags, mut has, mut folders) = (Vec::new(), Vec::new(), Vec::new());
    let mut databases = Vec::new();
    let (mut passwd, mut group, mut conf) = (String::new(), String::new(), String::new());
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        match key {
            "flag" => flags.push(value.to_owned()),
            "has" => has.push(value.to_owned()),
            "db" => databases.push(value.trim().to_owned()),
            "folder" => folders.push(value.to_owned()),
            "passwd" => passwd.extend([value, "\n"]),
            "group" => group.extend([value, "\n"]),
            "conf" => conf.extend([value, "\n"]),
            _ => {
                one.insert(key, value.trim());
            }
        }
    }
    if !one.contains_key("end") {
        return Err(not("its shell did not run the questions to their end"));
    }
    let get = |key: &str| one.get(key).copied().unwrap_or_default();
    let version_text = version_in(get("version"))
        .or_else(|| version_in(get("negotiate")))
        .ok_or_else(|| not("neither ghe-version nor ghe-negotiate-version tells a release"))?;
    let version = Version::parse(&version_text).ok_or_else(|| not("its release cannot be read"))?;
    let role = role_of(get("state"), one.contains_key("cluster"));
    let present = COMMANDS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .chain(has.iter().cloned())
        .map(|name| {
            let there = has.contains(&name);
            (name, there)
        })
        .collect();
    Ok(Facts {
        version,
        version_text,
        role,
        uuid: get("uuid").to_owned(),
        configured: one.contains_key("configured"),
        maintenance: one.contains_key("maintenance"),
        clock_s: get("clock").parse().unwrap_or(0),
        flags,
        present,
        free_bytes: get("free").parse::<u64>().ok().map(|kib| kib.saturating_mul(1024)),
        passwd,
        group,
        backup_service_running: one.contains_key("service"),
        folders,
        databases,
        fleet: Some(Fleet::parse(&conf, get("own"))).filter(|fleet| !fleet.nodes.is_empty()),
    })
}

/// Facts of a plain 3.11 with more lines of answers.
#[cfg(test)]
pub(crate) fn read_for_tests(more: &str) -> Facts {
    let text = format!("version=GitHub Enterprise Server 3.11.0\n{more}end=1\n");
    read(&text, "h").expect("a plain answer is understood")
}

/// Both parsers, for [`crate::fuzzing`].
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(text: &str) {
    let _ = read(text, "h");
    if let Some(version) = Version::parse(text.trim()) {
        assert_eq!(Version::parse(&version.to_string()), Some(version));
    }
}

/// The release in a line such as `GitHub Enterprise Server version 3.11.0` or `GitHub Enterprise Server 3.11.0 ami 2024-01-01 abc`.
fn version_in(line: &str) -> Option<String> {
    let rest = line.split_once("GitHub Enterprise")?.1;
    rest.split_whitespace().find(|word| Version::parse(word).is_some()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        assert_eq!(Version::parse("v2.1.5.ldapfix1"), Some(Version::new(2, 1, 5)));
        assert_eq!(Version::parse("3.11.0.rc1"), Some(Version::new(3, 11, 0)));
        assert_eq!(Version::parse("2.1.5pre"), Some(Version::new(2, 1, 5)));
        assert!(Version::parse("3.9999.1521793591.performancetest").is_some());
        assert!(Version::new(3, 9, 5) < Version::new(3, 11, 0));
        assert_eq!(Version::parse("lxc"), None);
    }

    #[test]
    fn the_release_is_found_in_every_form_that_is_known() {
        for line in [
            "GitHub Enterprise Server 3.6.1 ami 2022-08-24 0616a9cb7b",
            "GitHub Enterprise Server version 3.6.1 backup-utils 3.6.1 is supported.",
            "GitHub Enterprise version 3.6.1",
        ] {
            assert_eq!(version_in(line).as_deref(), Some("3.6.1"), "{line}");
        }
    }

    #[test]
    fn a_disk_of_impossible_size_is_no_panic() {
        assert_eq!(read_for_tests(&format!("free={}\n", u64::MAX)).free_bytes, Some(u64::MAX));
    }

    #[test]
    fn a_host_without_the_commands_is_not_an_appliance() {
        let end = read("version=\nnegotiate=\nend=1\n", "h");
        assert!(matches!(end, Err(FactsError::NotAnAppliance { .. })));
        assert!(read("version=GitHub Enterprise Server 3.11.0\n", "h").is_err());
    }

    #[test]
    fn roles_follow_the_replication_state() {
        let facts = read_for_tests;
        assert_eq!(facts("").role, Role::Standalone);
        assert_eq!(facts("state=replica \ncluster=1\n").role, Role::Replica);
        assert_eq!(facts("cluster=1\n").role, Role::Cluster);
        assert!(facts("has=zstd\n").has("zstd"));
        assert!(!facts("").has("zstd"));
    }

    #[test]
    fn the_machines_of_a_fleet_are_told_with_the_own_one() {
        let told = "cluster=1\nown=ghe-a \nconf=[cluster]\nconf=\tha = true\nconf=[cluster \"ghe-a\"]\nconf=\thostname = ghe-a\n";
        let fleet = read_for_tests(told).fleet.expect("a fleet");
        assert_eq!((fleet.own.as_str(), fleet.ha, fleet.nodes.len()), ("ghe-a", true, 1));
        assert_eq!(read_for_tests("cluster=1\n").fleet, None);
    }
}
