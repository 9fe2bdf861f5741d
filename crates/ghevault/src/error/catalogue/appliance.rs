//! Samples around appliances: connections, host keys, backups, imports, failovers.

use super::{Section, io, section, section_by, text};
use ghevault_core::{
    appliance::{
        channel::ChannelError, facts::FactsError, gate::GateError, hostkeys::PinError, lease::LeaseError,
    },
    backup::{BackupError, context::CaptureError, courtesy::CourtesyError, shard::run::ShardError},
    failover::promote::{guard::Refusal, run::PromoteError},
    import::{ImportError, plan::PlanError, service::ServiceError},
    vault::VaultError,
};
use std::time::Duration;

/// All of them.
pub(super) fn sections() -> Vec<Section> {
    vec![
        channel(),
        pins(),
        facts(),
        gate(),
        lease(),
        backup(),
        shards(),
        courtesy(),
        service(),
        plan(),
        import(),
        promote(),
        promotion(),
    ]
}

fn channel() -> Section {
    let samples = vec![
        ChannelError::Connect { target: text("HOST"), reason: text("REASON") },
        ChannelError::HostKeyUnknown { target: text("HOST"), shown: text("FINGERPRINT") },
        ChannelError::HostKeyChanged {
            target: text("HOST"),
            pinned: text("FINGERPRINT"),
            shown: text("FINGERPRINT"),
        },
        ChannelError::Authentication { target: text("HOST"), user: text("USER"), key: text("FINGERPRINT") },
        ChannelError::BadKey { reason: text("REASON") },
        ChannelError::Ended { label: text("COMMAND"), reason: text("REASON") },
        ChannelError::Timeout { label: text("COMMAND"), what: "said nothing", after: Duration::from_mins(5) },
        ChannelError::Stream { label: text("COMMAND"), source: io() },
    ];
    section("Connections to an appliance", ("ChannelError", "appliance/channel.rs"), samples)
}

fn pins() -> Section {
    let samples = vec![
        PinError::File { what: "read", path: "PATH".into(), source: io() },
        PinError::Line { path: "PATH".into(), line: 3, reason: text("REASON") },
    ];
    section("Pinned host keys", ("PinError", "appliance/hostkeys/pins.rs"), samples)
}

fn facts() -> Section {
    let samples = vec![FactsError::NotAnAppliance { host: text("HOST"), reason: text("REASON") }];
    section("What an appliance is", ("FactsError", "appliance/facts.rs"), samples)
}

fn gate() -> Section {
    let samples = vec![GateError::Busy { age_s: 90 }, GateError::NotDrained { after_s: 600 }];
    section("The pause of Git maintenance", ("GateError", "appliance/gate.rs"), samples)
}

fn lease() -> Section {
    let sample =
        LeaseError::Refused { label: text("COMMAND"), line: text("REASON"), code: text("exit code 1") };
    let of = Some(("LeaseError", "appliance/lease.rs"));
    section_by("The lease of that pause", of, vec![sample], |error| GateError::Lease(error).into())
}

fn backup() -> Section {
    let dataset =
        CaptureError::Command { label: text("COMMAND"), status: text("exit code 1"), stderr: text("REASON") };
    let samples = vec![
        BackupError::Refused { reason: text("REASON (an upgrade runs, a replica, another appliance, …)") },
        BackupError::Dataset { dataset: text("NAME"), source: dataset },
        BackupError::Nothing { first: text("REASON") },
        BackupError::Changed { host: text("HOST"), was: text("primary"), is: text("replica") },
        BackupError::LostPrimary { host: text("HOST"), why: text("REASON") },
        BackupError::Cancelled,
    ];
    section("Backups", ("BackupError", "backup/run.rs"), samples)
}

fn shards() -> Section {
    let (run, what) = (|| text("NAME"), || text("shard 2/4"));
    let snapshot = || "0".repeat(64).parse().expect("an id");
    let samples = vec![
        ShardError::OtherCount { run: run(), begun: 3, what: what(), asked: 4 },
        ShardError::OtherAppliance {
            run: run(),
            begun: text("APPLIANCE"),
            what: what(),
            found: text("APPLIANCE"),
        },
        ShardError::OtherDatasets { run: run(), begun: text("NAME"), asked: text("nothing") },
        ShardError::Abandoned { run: run(), started: jiff::Timestamp::UNIX_EPOCH },
        ShardError::Joined { run: run(), snapshot: text("ID") },
        ShardError::ParentGone { run: run(), snapshot: snapshot() },
        ShardError::NoRun { run: run() },
        ShardError::NoneWaits,
        ShardError::NoParts { run: run() },
        ShardError::Stranger { run: run(), part: text("part 2/4"), key: text("KEY") },
        ShardError::OtherParent { run: run(), part: text("part 2/4") },
    ];
    section("Runs of several shards", ("ShardError", "backup/shard/run.rs"), samples)
}

fn courtesy() -> Section {
    let of = ("CourtesyError", "backup/courtesy/mod.rs");
    section("Backups that wait for their turn", of, vec![CourtesyError::Cancelled])
}

fn service() -> Section {
    let samples = vec![
        ServiceError::Running { waited: Duration::from_mins(30), age: Duration::from_mins(50) },
        ServiceError::StaleMark { age: Duration::from_hours(30) },
        ServiceError::NoSnapshot { current: text("PATH"), reason: text("REASON") },
        ServiceError::Pruned { name: text("NAME") },
    ];
    section("The appliance's own Backup Service", ("ServiceError", "import/service.rs"), samples)
}

fn plan() -> Section {
    let data = || text("DATA_DIR");
    let samples = vec![
        PlanError::BackupRunning { data: data(), snapshot: text("NAME"), pid: text("PID") },
        PlanError::RestoreRunning { data: data(), content: text("CONTENT") },
        PlanError::AncientMark { data: data() },
        PlanError::NoSuchSnapshot { name: text("NAME"), data: data(), known: text("NAMES") },
        PlanError::NoSnapshots { data: data() },
        PlanError::OtherAppliance { data: data(), theirs: text("UUID"), ours: text("UUID") },
    ];
    section("Imports: what is imported", ("PlanError", "import/plan.rs"), samples)
}

fn import() -> Section {
    let samples = vec![
        ImportError::Data { path: text("DATA_DIR"), source: io() },
        ImportError::Cancelled,
        ImportError::Folder { name: text("NAME"), source: VaultError::Invalid(text("REASON")).into() },
    ];
    section("Imports", ("ImportError", "import/run.rs"), samples)
}

fn promote() -> Section {
    let host = || text("HOST");
    let samples = vec![
        Refusal::NotSeen(host()),
        Refusal::Unreachable { host: host(), reason: text("REASON") },
        Refusal::Unclear { host: host(), reason: text("REASON") },
        Refusal::NotAReplica { host: host(), role: "the primary" },
        Refusal::NotConfirmed { host: host() },
        Refusal::ConfirmedOther { typed: text("OTHER"), host: host() },
        Refusal::SplitBrain(vec![host(), text("OTHER")]),
        Refusal::PrimaryServes(text("PRIMARY")),
        Refusal::PrimaryUnclear { host: text("PRIMARY"), reason: text("REASON") },
        Refusal::PrimaryUnknown(Some(text("PRIMARY"))),
        Refusal::DespiteOther { typed: text("OTHER"), primary: text("PRIMARY") },
        Refusal::Behind { host: host(), level: "critical", stores: vec![text("mysql")] },
        Refusal::BehindOther { accepted: vec![text("redis")], stores: vec![text("mysql")] },
        Refusal::BetterReplica { host: host(), better: text("OTHER"), level: "ok" },
        Refusal::OtherRelease {
            host: host(),
            found: text("RELEASE"),
            other: text("PRIMARY"),
            expected: text("RELEASE"),
        },
        Refusal::BackupRuns,
    ];
    section("Promotions that a guard refuses", ("Refusal", "failover/promote/guard.rs"), samples)
}

fn promotion() -> Section {
    let samples = vec![
        PromoteError::Busy { host: text("PRIMARY"), running: 3, after: Duration::from_mins(10) },
        PromoteError::NotTold { host: text("PRIMARY"), said: text("REASON") },
        PromoteError::FellBehind { host: text("HOST"), level: "critical", stores: vec![text("mysql")] },
    ];
    section("Promotions", ("PromoteError", "failover/promote/run.rs"), samples)
}
