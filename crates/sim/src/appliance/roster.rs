//! `cluster.conf`: the machines of a fleet, what they serve, and which are masters (contract §7.1).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use super::{Place, commands::config};
use crate::error::{OnFile, SimError};

/// One machine, as its section tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its host name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Its UUID.
    pub uuid: String,
    /// Its datacenter.
    pub datacenter: String,
    /// What it serves: `git`, `pages`, `mysql` …
    pub roles: BTreeSet<String>,
    /// Marked as offline.
    pub offline: bool,
    /// Marked as a replica.
    pub replica: bool,
}

/// The whole of `cluster.conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// The machine that read it.
    pub own: String,
    /// Whether this is a high-availability pair.
    pub ha: bool,
    /// `mysql` → the node whose `MySQL` takes writes, and so on.
    pub masters: BTreeMap<String, String>,
    /// The machines by name.
    pub members: Vec<Member>,
}

/// The mark that clustering is configured; its content is the machine's own name (contract §1.8).
pub const MARK: &str = "/etc/github/cluster";
/// The file of the machine's part in replication (contract §1.8).
pub const REPL_STATE: &str = "/etc/github/repl-state";

impl Roster {
    /// Reads it; `None` where clustering is not configured.
    ///
    /// # Errors
    /// A file cannot be read, or `git config` cannot be run.
    pub fn load(place: &Place) -> Result<Option<Self>, SimError> {
        let mark = place.disk(MARK);
        if !mark.exists() {
            return Ok(None);
        }
        let own = std::fs::read_to_string(&mark).on("read", mark)?.trim().to_owned();
        let file = config::file_of(place, "cluster.");
        let output = Command::new("git")
            .args(["config", "-z", "-l", "-f"])
            .arg(&file)
            .output()
            .on("run", "git config")?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(SimError::Corrupt { path: file, reason });
        }
        Ok(Some(Self::parse(&String::from_utf8_lossy(&output.stdout), own)))
    }

    fn parse(entries: &str, own: String) -> Self {
        let mut roster = Self { own, ..Self::default() };
        let mut members = BTreeMap::<String, Member>::new();
        for entry in entries.split('\0') {
            let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
            let Some(key) = key.strip_prefix("cluster.") else { continue };
            let Some((node, key)) = key.rsplit_once('.') else {
                match key.strip_suffix("-master") {
                    Some(service) => _ = roster.masters.insert(service.to_owned(), value.to_owned()),
                    None if key == "ha" => roster.ha = value == "true",
                    None => {}
                }
                continue;
            };
            let member = members.entry(node.to_owned()).or_default();
            match key {
                "hostname" => value.clone_into(&mut member.name),
                "ipv4" if member.address.is_empty() => value.clone_into(&mut member.address),
                "ipv6" => value.clone_into(&mut member.address),
                "uuid" => value.clone_into(&mut member.uuid),
                "datacenter" => value.clone_into(&mut member.datacenter),
                "offline" => member.offline = value == "true",
                "replica" => member.replica = value != "false",
                _ => {
                    if let (Some(role), "true") = (key.strip_suffix("-server"), value) {
                        member.roles.insert(role.to_owned());
                    }
                }
            }
        }
        roster.members = members
            .into_iter()
            .map(|(section, member)| {
                let name = if member.name.is_empty() { section } else { member.name.clone() };
                Member { name, ..member }
            })
            .collect();
        roster
    }

    /// The member with a name or address.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name || member.address == name)
    }

    /// The machine that a service's writes go to, if that is another one than this.
    #[must_use]
    pub fn elsewhere(&self, service: &str) -> Option<&str> {
        self.masters.get(service).map(String::as_str).filter(|master| *master != self.own)
    }

    /// The machines that serve a role and are not marked as offline.
    pub fn serving<'a>(&'a self, role: &'a str) -> impl Iterator<Item = &'a Member> {
        self.members.iter().filter(move |member| member.roles.contains(role) && !member.offline)
    }
}

/// What this machine is in a replicating pair, if it is in one.
#[must_use]
pub fn replication(place: &Place) -> Option<String> {
    std::fs::read_to_string(place.disk(REPL_STATE)).ok().map(|text| text.trim().to_owned())
}

/// Writes the section of one machine.
///
/// # Errors
/// `git config` fails.
pub fn write_member(file: &Path, member: &Member) -> Result<(), SimError> {
    let section = |key: &str| format!("cluster.{}.{key}", member.name);
    set(file, &section("hostname"), &member.name)?;
    set(file, &section("ipv4"), &member.address)?;
    set(file, &section("uuid"), &member.uuid)?;
    set(file, &section("datacenter"), &member.datacenter)?;
    set(file, &section("consul-datacenter"), &member.datacenter)?;
    for role in &member.roles {
        set(file, &section(&format!("{role}-server")), "true")?;
    }
    if member.replica {
        set(file, &section("replica"), "enabled")?;
    }
    if member.offline {
        set(file, &section("offline"), "true")?;
    }
    Ok(())
}

/// Sets one value in a file of git-config syntax.
///
/// # Errors
/// `git config` fails.
pub fn set(file: &Path, key: &str, value: &str) -> Result<(), SimError> {
    git_config(file, &[key, value])
}

/// Removes the section of one machine.
///
/// # Errors
/// `git config` fails.
pub fn remove_member(file: &Path, name: &str) -> Result<(), SimError> {
    git_config(file, &["--remove-section", &format!("cluster.{name}")])
}

/// Removes one value, if it is there.
///
/// # Errors
/// `git config` cannot be run.
pub fn unset(file: &Path, key: &str) -> Result<(), SimError> {
    Command::new("git")
        .args(["config", "-f"])
        .arg(file)
        .args(["--unset", key])
        .status()
        .on("run", "git config")?;
    Ok(())
}

fn git_config(file: &Path, args: &[&str]) -> Result<(), SimError> {
    let output =
        Command::new("git").args(["config", "-f"]).arg(file).args(args).output().on("run", "git config")?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(SimError::Program { program: format!("git config {}", args.join(" ")), reason })
}

/// The file itself.
#[must_use]
pub fn conf(place: &Place) -> PathBuf {
    config::file_of(place, "cluster.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_masters_and_marks_are_read() {
        let entries = "cluster.mysql-master\na\0cluster.ha\ntrue\0cluster.a.hostname\na\0cluster.a.git-server\ntrue\0\
                       cluster.b.offline\ntrue\0cluster.b.replica\nenabled\0cluster.b.ipv4\n127.0.0.2\0\
                       cluster.b.pages-server\nfalse\0";
        let roster = Roster::parse(entries, "a".to_owned());
        assert!(roster.ha && roster.elsewhere("mysql").is_none());
        let b = roster.member("127.0.0.2").unwrap();
        assert!(b.name == "b" && b.offline && b.replica && b.roles.is_empty());
        assert_eq!(roster.serving("git").map(|member| member.name.as_str()).collect::<Vec<_>>(), ["a"]);
    }
}
