//! What facts mean for a backup (pure), and how checks look.

use crate::{
    error::{CommandError, Kind},
    output::{
        human,
        table::{self, Align},
    },
};
use ghevault_core::appliance::{
    facts::{COMMANDS, Facts, OLDEST, Role, Version},
    fleet::{Node, choose::Candidate},
    hostkeys::{HostKey, LeakedKeys},
};
use serde::Serialize;
use std::fmt::Write as _;

/// Newest release whose commands are known; a newer one may still work.
const NEWEST: (u64, u64) = (3, 21);
/// Clocks that differ by more seconds than this get a warning.
const CLOCK_S_MAX: u64 = 60;
/// Fewer free bytes than this get a warning.
const FREE_BYTES_MIN: u64 = 1 << 30;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Warn,
    /// A backup would not succeed.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub status: Status,
    /// In words.
    pub text: String,
    /// What to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl Check {
    /// As it should be.
    pub fn ok(name: &'static str, text: String) -> Self {
        Self { name, status: Status::Ok, text, hint: String::new() }
    }

    /// Worth knowing.
    pub fn warn(name: &'static str, text: String, hint: &str) -> Self {
        Self { name, status: Status::Warn, text, hint: hint.to_owned() }
    }

    /// A backup would not succeed.
    pub fn fail(name: &'static str, text: String, hint: String) -> Self {
        Self { name, status: Status::Fail, text, hint }
    }
}

/// Whether pinned host keys are among those that everybody may have (contract §9).
#[must_use]
pub fn of_host_keys(pins: &[HostKey], list: &LeakedKeys) -> Check {
    match list.warning(pins, "the pinned host keys") {
        None => Check::ok("host keys", format!("{} pinned, none of them publicly known", pins.len())),
        Some(text) => {
            Check::warn("host keys", text, "Whoever holds such a key can answer in the appliance's place.")
        }
    }
}

/// Checks of what an appliance says about itself; `now_s` is this host's clock.
#[must_use]
pub fn of_facts(facts: &Facts, now_s: i64) -> Vec<Check> {
    let mut found = vec![release(&facts.version, &facts.version_text), role(facts.role)];
    if !facts.configured {
        found.push(Check::warn(
            "configured",
            "the appliance has not been configured".to_owned(),
            "Only a restore makes sense.",
        ));
    }
    if facts.backup_service_running {
        found.push(Check::fail(
            "backup service",
            "the appliance's own Backup Service is running".to_owned(),
            "Both use the same gate; wait for its end.".to_owned(),
        ));
    }
    let lacks = |needed: bool| -> Vec<&str> {
        COMMANDS
            .iter()
            .filter(|(name, must)| *must == needed && !facts.has(name))
            .map(|(name, _)| *name)
            .collect()
    };
    let (needed, wished) = (lacks(true), lacks(false));
    found.push(if !needed.is_empty() {
        Check::fail(
            "commands",
            format!("missing: {}", needed.join(", ")),
            "Is this an appliance, and the admin user?".to_owned(),
        )
    } else if !wished.is_empty() {
        Check::warn("commands", format!("missing, but not needed: {}", wished.join(", ")), "")
    } else {
        Check::ok("commands", format!("all {} are there", COMMANDS.len()))
    });
    let drift = facts.clock_s.abs_diff(now_s);
    found.push(if drift > CLOCK_S_MAX {
        Check::warn(
            "clock",
            format!("differs from this host's by {drift} s"),
            "Snapshots bear this host's time; check NTP on both.",
        )
    } else {
        Check::ok("clock", format!("differs from this host's by {drift} s"))
    });
    if let Some(free) = facts.free_bytes {
        let text = format!("{} free on the appliance's data disk", human::bytes(free));
        found.push(if free < FREE_BYTES_MIN {
            Check::warn(
                "space",
                text,
                "A backup writes nothing there, but exports of the appliance's own commands may.",
            )
        } else {
            Check::ok("space", text)
        });
    }
    if facts.flag("mysql.external.enabled") {
        found.push(Check::warn(
            "datasets",
            "MySQL is an external database".to_owned(),
            "The appliance exports a logical dump of it; `backup.external_mysql_script` names a program that backs it up instead.",
        ));
    }
    found
}

/// The release against what is supported.
fn release(version: &Version, text: &str) -> Check {
    let named = format!("GitHub Enterprise Server {text}");
    if *version < OLDEST {
        return Check::fail(
            "release",
            format!("{named} is older than {OLDEST}"),
            "Upgrade the appliance.".to_owned(),
        );
    }
    if (version.major, version.minor) > NEWEST {
        let known = format!("{}.{}", NEWEST.0, NEWEST.1);
        return Check::warn(
            "release",
            format!("{named} is newer than {known}"),
            "Rehearse a restore before you rely on it.",
        );
    }
    Check::ok("release", named)
}

/// The part in replication.
fn role(role: Role) -> Check {
    match role {
        Role::Standalone => Check::ok("role", "standalone".to_owned()),
        Role::Primary => Check::ok("role", "primary of a replication pair".to_owned()),
        Role::Replica => Check::fail(
            "role",
            "replica of a replication pair".to_owned(),
            "Back up the primary, or give `backup --allow-replica`.".to_owned(),
        ),
        Role::Cluster => Check::ok("role", "node of a cluster".to_owned()),
    }
}

/// Free space of a local vault.
#[must_use]
pub fn of_space(path: &str) -> Option<Check> {
    let facts = rustix::fs::statvfs(path).ok()?;
    let free = facts.f_bavail.saturating_mul(facts.f_frsize);
    let text = format!("{} free for the vault", human::bytes(free));
    Some(if free < FREE_BYTES_MIN {
        Check::warn("vault space", text, "A full disk harms no snapshot, but the next backup will fail.")
    } else {
        Check::ok("vault space", text)
    })
}

/// What the machines of a list said.
#[must_use]
pub fn of_candidates(candidates: &[Candidate]) -> Vec<Check> {
    let one = |candidate: &Candidate| match &candidate.answer {
        Ok(answer) => {
            let role = format!("{:?}", answer.role).to_lowercase();
            Check::ok("host", format!("{} is {role}, release {}", candidate.host, answer.version))
        }
        Err(why) => Check::warn(
            "host",
            format!("{} cannot be asked: {why}", candidate.host),
            "A backup takes the primary of those that answer.",
        ),
    };
    candidates.iter().map(one).collect()
}

/// Whether another machine of the fleet can be reached.
#[must_use]
pub fn of_node(node: &Node, asked: Result<(), CommandError>) -> Check {
    let roles: Vec<&str> = node.roles.iter().map(String::as_str).collect();
    let name = format!("{} ({})", node.name, roles.join(", "));
    match asked {
        _ if node.offline => {
            Check::warn("node", format!("{name} is marked as offline"), "A backup is partial without it.")
        }
        Ok(()) => Check::ok("node", name),
        Err(error) if error.kind == Kind::Refused => {
            Check::fail("node", format!("{name}: {}", error.one_line()), error.hints.join(" "))
        }
        Err(error) => Check::warn(
            "node",
            format!("{name}: {}", error.one_line()),
            "A backup goes on without it and says so.",
        ),
    }
}

/// The table for people.
#[must_use]
pub fn text(found: &[Check]) -> String {
    let rows: Vec<[String; 3]> = found
        .iter()
        .map(|check| {
            let status = match check.status {
                Status::Ok => "ok",
                Status::Warn => "warn",
                Status::Fail => "FAIL",
            };
            [status.to_owned(), check.name.to_owned(), check.text.clone()]
        })
        .collect();
    let mut text = table::render([("", Align::Left), ("check", Align::Left), ("found", Align::Left)], &rows);
    for check in found.iter().filter(|check| !check.hint.is_empty()) {
        let _ = writeln!(text, "hint: {}: {}", check.name, check.hint);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Status, of_host_keys, release, role};
    use ghevault_core::appliance::{
        facts::{Role, Version},
        hostkeys::{HostKey, LeakedKeys},
    };

    #[test]
    fn a_pinned_key_that_everybody_has_is_a_warning() {
        let text = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK2pr+Bfus1hvPof4Wb/plZCzSbqadHH0u+/f4ODtKnE";
        let pins = [HostKey::parse(text).expect("a key")];
        let listed = LeakedKeys::parse("5f:62:94:ff:69:d8:3b:77:30:44:9e:34:cc:de:bc:bf");
        assert_eq!(of_host_keys(&pins, &listed).status, Status::Warn);
        assert_eq!(of_host_keys(&pins, LeakedKeys::known()).status, Status::Ok);
    }

    #[test]
    fn releases_outside_the_supported_range_are_told() {
        let of = |major, minor| release(&Version::new(major, minor, 0), "x").status;
        assert_eq!(of(3, 8), Status::Fail);
        assert_eq!(of(3, 9), Status::Ok);
        assert_eq!(of(3, 21), Status::Ok);
        assert_eq!(of(3, 22), Status::Warn);
        assert_eq!(of(4, 0), Status::Warn);
    }

    #[test]
    fn replicas_are_not_backed_up_by_default() {
        assert_eq!(role(Role::Standalone).status, Status::Ok);
        assert_eq!(role(Role::Primary).status, Status::Ok);
        assert_eq!(role(Role::Replica).status, Status::Fail);
        assert_eq!(role(Role::Cluster).status, Status::Ok);
    }
}
