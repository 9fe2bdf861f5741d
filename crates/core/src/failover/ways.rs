//! The two ways back, each with what it costs and its exact commands (contract §1.7, §6.3, §6.4).

use jiff::Timestamp;
use serde::Serialize;

use super::repl_status::{Level, ReplStatus};
use crate::appliance::facts::Version;

/// Minutes that a promotion takes, as GitHub documents it (contract §6.3).
pub const PROMOTE_MINUTES: (u32, u32) = (20, 30);
/// Bytes per second assumed for a restore when none has been measured.
pub const ASSUMED_BYTES_PER_S: u64 = 40 << 20;
/// Seconds that a restore takes besides its data: services, settings, search.
const RESTORE_BESIDES_S: u64 = 15 * 60;
/// The release since which former nodes leave by `ghe-repl-decommission` (contract §6.3).
const DECOMMISSION_SINCE: Version = Version { major: 3, minor: 18, patch: 0 };

/// A complete snapshot of the vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownSnapshot {
    /// Its id.
    pub id: String,
    /// The moment that it shows.
    pub time: Timestamp,
    /// The appliance as it was named.
    pub host: String,
    /// The appliance's UUID.
    pub uuid: String,
    /// Its release as printed.
    pub version: String,
    /// Bytes that it restores.
    pub bytes: u64,
}

/// A snapshot that `verify` found sound and complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifiedSnapshot {
    /// The snapshot.
    #[serde(flatten)]
    pub snapshot: KnownSnapshot,
    /// When it was verified.
    pub verified_at: Timestamp,
    /// How deep: 1 presence, 2 every byte.
    pub depth: u8,
}

/// What is known of the vault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VaultFacts {
    /// The newest complete snapshot.
    pub newest: Option<KnownSnapshot>,
    /// The newest one that was verified.
    pub verified: Option<VerifiedSnapshot>,
    /// Bytes per second of the last large restore to an appliance.
    pub measured_bytes_per_s: Option<u64>,
    /// Why the vault could not be looked at.
    pub problem: Option<String>,
}

/// A command of a runbook, and where it is typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Command {
    /// `here`, or what to do it on.
    pub on: String,
    /// The command line, or what to do by hand.
    pub run: String,
    /// What for.
    pub why: String,
}

impl Command {
    fn here(run: impl Into<String>, why: impl Into<String>) -> Self {
        Self { on: "here".into(), run: run.into(), why: why.into() }
    }

    /// Something that is done by hand.
    fn hand(run: impl Into<String>, why: impl Into<String>) -> Self {
        Self { on: "by hand".into(), run: run.into(), why: why.into() }
    }

    fn admin(host: &str, run: impl Into<String>, why: impl Into<String>) -> Self {
        Self { on: format!("admin shell of {host}"), run: run.into(), why: why.into() }
    }
}

/// What a promotion loses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PromoteLoss {
    /// Seconds of writes, when the replica tells.
    pub seconds: Option<u64>,
    /// Stores that are not in sync.
    pub stores: Vec<String>,
    /// In words.
    pub words: String,
}

impl PromoteLoss {
    /// What a promotion of a replica in this state loses.
    #[must_use]
    pub fn of(status: &ReplStatus, primary_answers: bool) -> Self {
        let stores = status.behind();
        let names = stores.join(", ");
        let words = match (status.level, status.delay_s()) {
            (Level::Ok, _) if primary_answers => {
                "nothing, once the primary is in maintenance mode".to_owned()
            }
            (Level::Ok, _) => "writes of the last seconds before the loss".to_owned(),
            (Level::Warning, Some(delay)) => format!("about {delay} s of writes in {names}"),
            (Level::Warning, None) => format!("the newest writes in {names}"),
            (Level::Critical, _) => format!("unknown: {names} is not in sync"),
            (Level::NotStarted, _) => "unknown: everything since replication was last running".to_owned(),
            (Level::Unknown, _) => "unknown: the replica did not tell its state".to_owned(),
        };
        let seconds = match status.level {
            Level::Ok => Some(status.delay_s().unwrap_or(0)),
            Level::Warning => status.delay_s(),
            _ => None,
        };
        Self { seconds, stores, words }
    }
}

/// Promotion of a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PromoteWay {
    /// The replica, as named.
    pub host: String,
    /// How well its replication is.
    pub replication: Level,
    /// What is lost.
    pub data_loss: PromoteLoss,
    /// Minutes that it takes, from and to.
    pub minutes: (u32, u32),
    /// What to do, in order.
    pub commands: Vec<Command>,
}

/// Restore of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestoreWay {
    /// The snapshot.
    pub snapshot: KnownSnapshot,
    /// When and how deep it was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<(Timestamp, u8)>,
    /// Seconds of work that are lost: its age.
    pub data_loss_seconds: u64,
    /// Releases of an appliance that takes it.
    pub releases: String,
    /// Seconds that it takes, without installing an appliance.
    pub seconds: u64,
    /// Where the estimate comes from.
    pub estimate: String,
    /// What to do, in order.
    pub commands: Vec<Command>,
}

/// The machines that a promotion leaves behind.
#[derive(Clone, Debug, Default)]
pub struct Behind<'a> {
    /// The former primary as it is named in the list.
    pub host: Option<&'a str>,
    /// Its UUID.
    pub uuid: Option<&'a str>,
    /// Whether it answers.
    pub answers: bool,
}

/// Whether former nodes leave by `ghe-repl-decommission`.
#[must_use]
pub fn decommission(version: &Version, uuid: &str) -> String {
    if *version >= DECOMMISSION_SINCE {
        format!("ghe-repl-decommission {uuid}")
    } else {
        format!("ghe-repl-teardown -u {uuid}")
    }
}

/// What follows a promotion of `host`, in order.
#[must_use]
pub fn after_promotion(host: &str, version: &Version, behind: &Behind<'_>) -> Vec<Command> {
    let old = behind.host.unwrap_or("the former primary");
    let uuid = behind.uuid.unwrap_or("UUID-OF-THE-FORMER-PRIMARY");
    vec![
        Command::hand(
            format!("switch {old} off, and keep it off"),
            "a former primary that comes back can damage the new one",
        ),
        Command::hand(
            format!("point DNS or the load balancer to {host}"),
            "users and runners follow the name",
        ),
        Command::admin(
            host,
            "ghe-maintenance -q",
            "if maintenance mode is set, look around, then `ghe-maintenance -u`",
        ),
        Command::admin(host, decommission(version, uuid), "drops the former node from the databases"),
        Command::here(
            format!("ghevault backup --host {host}"),
            "a host list that names it follows by itself",
        ),
        Command::hand(
            format!(
                "install a fresh appliance of release {version}; on it `ghe-repl-setup ADDRESS-OF-THE-NEW-PRIMARY`, then `ghe-repl-start`"
            ),
            "a pair again; never reuse the former primary's disk",
        ),
    ]
}

/// The way by promotion of `host`.
#[must_use]
pub fn promotion(host: &str, version: &Version, status: &ReplStatus, behind: &Behind<'_>) -> PromoteWay {
    let loss = PromoteLoss::of(status, behind.answers);
    let mut run = format!("ghevault failover promote {host} --confirm {host}");
    if status.level != Level::Ok {
        run.extend([" --accept-data-loss ", &loss.stores.join(",")]);
    }
    let mut commands = Vec::new();
    if let (Some(old), true) = (behind.host, behind.answers) {
        commands.push(Command::admin(old, "ghe-maintenance -s", "nothing new is written from here on"));
    } else {
        let old = behind.host.unwrap_or("the primary");
        commands.push(Command::hand(
            format!("see on its console that {old} is off"),
            "a primary that only this host cannot reach still takes writes",
        ));
    }
    commands.push(Command::here(format!("{run} --dry-run"), "shows guards and plan"));
    commands.push(Command::here(run, "runs `ghe-repl-promote` there"));
    commands.extend(after_promotion(host, version, behind));
    PromoteWay {
        host: host.into(),
        replication: status.level,
        data_loss: loss,
        minutes: PROMOTE_MINUTES,
        commands,
    }
}

/// The way by restore of the best snapshot, if there is one. `fresh`: an unconfigured appliance that answers.
#[must_use]
pub fn restore(vault: &VaultFacts, now: Timestamp, fresh: Option<&str>) -> Option<RestoreWay> {
    let snapshot = vault.newest.clone()?;
    let verified = vault.verified.as_ref().filter(|known| known.snapshot.id == snapshot.id);
    let rate = vault.measured_bytes_per_s.filter(|rate| *rate > 0);
    let seconds = RESTORE_BESIDES_S + snapshot.bytes / rate.unwrap_or(ASSUMED_BYTES_PER_S);
    let mib = |bytes: u64| (bytes >> 20).max(1);
    let estimate = match rate {
        Some(rate) => format!("{} MiB/s as in the last restore, and 15 minutes besides", mib(rate)),
        None => format!(
            "assumes {} MiB/s, as no restore was measured yet, and 15 minutes besides",
            mib(ASSUMED_BYTES_PER_S)
        ),
    };
    let releases = releases(&snapshot.version);
    let short = snapshot.id.get(..8).unwrap_or(&snapshot.id).to_owned();
    let target = fresh.unwrap_or("NEW-HOST");
    let mut commands = Vec::new();
    if verified.is_none() {
        commands.push(Command::here(
            format!("ghevault verify {short}"),
            "this snapshot has not been verified yet",
        ));
    }
    if fresh.is_none() {
        commands.push(Command::hand(
            format!("install a fresh appliance of release {releases}, add the backup's SSH key, do not go through its set-up"),
            "a fresh machine is the safe target",
        ));
        commands.push(Command::here(format!("ghevault trust {target}"), "compare with its console"));
    }
    commands.push(Command::here(
        format!("ghevault restore {short} --to host:{target} --dry-run"),
        "shows the plan",
    ));
    commands.push(Command::here(
        format!("ghevault restore {short} --to host:{target} --confirm {target}"),
        "can be repeated when it is interrupted",
    ));
    commands.push(Command::hand(
        format!(
            "open https://{}/setup/settings, review and save",
            target.split(':').next().unwrap_or(target)
        ),
        "services start after that",
    ));
    commands.push(Command::hand("point DNS or the load balancer to it", "users and runners follow the name"));
    commands
        .push(Command::here(format!("ghevault trust {target}"), "a restore brings the snapshot's host keys"));
    let age = now.as_second().saturating_sub(snapshot.time.as_second());
    Some(RestoreWay {
        verified: verified.map(|known| (known.verified_at, known.depth)),
        data_loss_seconds: u64::try_from(age).unwrap_or(0),
        releases,
        seconds,
        estimate,
        commands,
        snapshot,
    })
}

/// Releases that take a snapshot of this release: its own feature release and the next two (contract §1.7).
fn releases(version: &str) -> String {
    match Version::parse(version) {
        Some(Version { major, minor, .. }) => {
            format!("{version} (or {major}.{} or {major}.{})", minor + 1, minor + 2)
        }
        None => "of the snapshot".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{appliance::channel::ExitStatus, failover::repl_status::parse};

    #[test]
    fn former_nodes_leave_by_the_command_of_their_release() {
        assert_eq!(decommission(&Version::new(3, 18, 0), "u"), "ghe-repl-decommission u");
        assert_eq!(decommission(&Version::new(3, 17, 9), "u"), "ghe-repl-teardown -u u");
    }

    #[test]
    fn the_loss_of_a_promotion_is_what_the_replica_tells() {
        let loss = |text: &str, code| PromoteLoss::of(&parse(text, &ExitStatus::Code(code)), false);
        assert_eq!(loss("OK: mysql is\n", 0).seconds, Some(0));
        let late = loss("WARNING: mysql replication delay is 29s\n  | Delay: 29\n", 1);
        assert_eq!((late.seconds, late.words.as_str()), (Some(29), "about 29 s of writes in mysql"));
        assert_eq!(loss("CRITICAL: git is\n", 2).seconds, None);
        assert!(loss("CRITICAL: git is\n", 2).words.contains("git"));
        assert_eq!(loss("", 1).stores, ["everything"]);
    }

    #[test]
    fn a_restore_is_estimated_from_a_measurement_or_from_a_stated_assumption() {
        let snapshot = KnownSnapshot {
            id: "0123456789abcdef".into(),
            time: Timestamp::from_second(1_000).unwrap(),
            host: "ghe".into(),
            uuid: "u".into(),
            version: "3.17.2".into(),
            bytes: 400 << 30,
        };
        let mut vault = VaultFacts { newest: Some(snapshot), ..VaultFacts::default() };
        let now = Timestamp::from_second(4_600).unwrap();
        let way = restore(&vault, now, None).unwrap();
        assert_eq!((way.data_loss_seconds, way.seconds), (3_600, 900 + (400 << 30) / (40 << 20)));
        assert!(way.estimate.contains("assumes") && way.releases == "3.17.2 (or 3.18 or 3.19)");
        assert!(way.commands[0].run.starts_with("ghevault verify 01234567"));
        vault.measured_bytes_per_s = Some(100 << 20);
        let way = restore(&vault, now, Some("new:122")).unwrap();
        assert_eq!(way.seconds, 900 + 4096);
        assert!(way.estimate.contains("last restore"));
        assert!(
            way.commands.iter().any(|command| command.run.contains("--to host:new:122 --confirm new:122"))
        );
        assert!(restore(&VaultFacts::default(), now, None).is_none());
    }
}
