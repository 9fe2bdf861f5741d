//! Every situation of the worst hour, and its verdict.

use jiff::Timestamp;

use super::*;
use crate::{
    appliance::{channel::ExitStatus, facts::Version},
    failover::{
        cluster::ClusterHealth,
        observe::{Peer, Seen, State},
        repl_status::parse,
        ways::{KnownSnapshot, VerifiedSnapshot},
    },
};

const NOW: i64 = 1_000_000;

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn node(role: Role) -> Node {
    Node {
        role,
        version: Version::new(3, 18, 2),
        version_text: "3.18.2".into(),
        uuid: format!("uuid-{role:?}"),
        configured: true,
        maintenance: false,
        actions: false,
        host_key: None,
        replication: None,
        cluster: None,
        peers: Vec::new(),
        gate_age_s: None,
    }
}

fn answers(host: &str, node: Node) -> Seen {
    Seen { host: host.into(), state: State::Answers(Box::new(node)) }
}

fn primary() -> Seen {
    answers("p", node(Role::Primary))
}

fn gone(host: &str) -> Seen {
    Seen { host: host.into(), state: State::Unreachable { reason: "connection refused".into() } }
}

fn unclear(host: &str, doubt: Doubt) -> Seen {
    Seen { host: host.into(), state: State::Unclear { doubt, reason: "why".into() } }
}

/// A replica that says `text` with `code`.
fn replica(host: &str, text: &str, code: u32) -> Seen {
    let peers =
        vec![Peer { name: "ghe-primary".into(), uuid: "uuid-Primary".into(), replica: false, reached: None }];
    let replication = Some(parse(text, &ExitStatus::Code(code)));
    answers(host, Node { replication, peers, ..node(Role::Replica) })
}

fn ok(host: &str) -> Seen {
    replica(host, "OK: mysql replication is in sync\n  | Delay: 0\nOK: git replication is in sync\n", 0)
}

fn reaching(host: &str) -> Seen {
    let mut seen = ok(host);
    if let State::Answers(node) = &mut seen.state {
        node.peers[0].reached = Some(true);
    }
    seen
}

fn late(host: &str, delay: u32) -> Seen {
    replica(host, &format!("WARNING: mysql replication delay\n  | Delay: {delay}\n"), 1)
}

fn critical(host: &str) -> Seen {
    replica(host, "OK: mysql replication is in sync\nCRITICAL: git replication is behind\n", 2)
}

fn vault(age_s: i64, verified: bool) -> VaultFacts {
    let newest = KnownSnapshot {
        id: "0123456789abcdef".into(),
        time: time(NOW - age_s),
        host: "p".into(),
        uuid: "uuid-Primary".into(),
        version: "3.18.2".into(),
        bytes: 1 << 30,
    };
    let known = VerifiedSnapshot { snapshot: newest.clone(), verified_at: time(NOW), depth: 1 };
    VaultFacts { newest: Some(newest), verified: verified.then_some(known), ..VaultFacts::default() }
}

fn full() -> VaultFacts {
    vault(3_600, true)
}

fn empty() -> VaultFacts {
    VaultFacts::default()
}

fn ask(hosts: &[Seen], vault: &VaultFacts, tampering: bool) -> Advice {
    advise(&Observation { at: time(NOW), hosts: hosts.to_vec() }, vault, tampering)
}

#[test]
fn every_situation_has_its_verdict() {
    use Verdict::{Investigate, NothingToDo, Promote, Restore, Wait};
    let working = answers("p", Node { maintenance: true, ..node(Role::Primary) });
    let alone = answers("s", node(Role::Standalone));
    let fresh = answers("f", Node { configured: false, ..node(Role::Standalone) });
    let cluster = |ready, maintenance| {
        let said = if ready { "" } else { "Error: Not all nodes are online!" };
        let cluster = Some(ClusterHealth { ready, said: said.into() });
        answers("c", Node { maintenance, cluster, ..node(Role::Cluster) })
    };
    let stopped = replica("r", "Replication is not running\n", 1);
    let mute = replica("r", "", 127);
    let rows: Vec<(&str, Vec<Seen>, VaultFacts, Verdict, &str)> = vec![
        ("all is well", vec![primary(), ok("r")], full(), NothingToDo, "serves release 3.18.2"),
        ("a standalone serves", vec![alone.clone()], full(), NothingToDo, "standalone"),
        ("replica is late", vec![primary(), late("r", 29)], full(), NothingToDo, "warning: mysql"),
        ("replica is critical", vec![primary(), critical("r")], full(), NothingToDo, "critical: git"),
        ("replica is stopped", vec![primary(), stopped.clone()], full(), NothingToDo, "not started"),
        ("replica is gone", vec![primary(), gone("r")], full(), NothingToDo, "`r` cannot be reached"),
        (
            "replica's key changed",
            vec![primary(), unclear("r", Doubt::HostKeyChanged)],
            full(),
            NothingToDo,
            "another host key",
        ),
        ("primary in maintenance", vec![working, ok("r")], full(), Wait, "maintenance mode"),
        ("primary lost", vec![gone("p"), ok("r")], full(), Promote, "everything is in sync"),
        ("primary lost, vault empty", vec![gone("p"), ok("r")], empty(), Promote, "no complete snapshot"),
        ("primary lost, late", vec![gone("p"), late("r", 29)], full(), Promote, "warning: mysql"),
        ("primary lost, critical", vec![gone("p"), critical("r")], full(), Promote, "critical: git"),
        ("primary lost, mute", vec![gone("p"), mute], full(), Promote, "did not tell"),
        ("primary lost, stopped", vec![gone("p"), stopped.clone()], full(), Restore, "known moment"),
        ("primary lost, stopped, empty", vec![gone("p"), stopped], empty(), Promote, "unknown age"),
        ("primary lost and reinstalled", vec![fresh.clone(), ok("r")], full(), Promote, "in sync"),
        ("standalone lost", vec![gone("s")], full(), Restore, "second place"),
        ("standalone lost, vault empty", vec![gone("s")], empty(), Investigate, "no complete snapshot"),
        ("standalone reinstalled", vec![fresh], full(), Restore, "nothing to promote"),
        ("nobody answers", vec![gone("p"), gone("r")], full(), Investigate, "network"),
        (
            "primary's key changed",
            vec![unclear("p", Doubt::HostKeyChanged), ok("r")],
            full(),
            Investigate,
            "another host key",
        ),
        (
            "primary not pinned",
            vec![unclear("p", Doubt::HostKeyUnknown), ok("r")],
            full(),
            Investigate,
            "ghevault trust p",
        ),
        (
            "primary lets nobody in",
            vec![unclear("p", Doubt::NotLetIn), ok("r")],
            full(),
            Investigate,
            "cannot be asked",
        ),
        (
            "primary hangs",
            vec![unclear("p", Doubt::NoAnswer), ok("r")],
            full(),
            Investigate,
            "cannot be asked",
        ),
        ("replicas only", vec![ok("r")], full(), Investigate, "`ghe-primary`"),
        ("only we do not reach it", vec![gone("p"), reaching("r")], full(), Investigate, "still reaches"),
        ("two primaries", vec![primary(), alone], full(), Investigate, "split brain"),
        ("a whole cluster", vec![cluster(true, false)], full(), NothingToDo, "all there"),
        (
            "a whole cluster of which one cannot be reached",
            vec![gone("d"), cluster(true, false)],
            full(),
            NothingToDo,
            "the cluster reaches",
        ),
        ("a cluster in maintenance", vec![cluster(true, true)], full(), Wait, "maintenance"),
        (
            "a cluster that has lost a machine",
            vec![cluster(false, false)],
            full(),
            Investigate,
            "Not all nodes",
        ),
    ];
    for (name, hosts, vault, verdict, reason) in rows {
        let advice = ask(&hosts, &vault, false);
        assert_eq!(advice.verdict, verdict, "{name}: {:?}", advice.reasons);
        assert!(advice.reasons.iter().any(|text| text.contains(reason)), "{name}: {:?}", advice.reasons);
        assert_eq!(advice.restore.is_some(), vault.newest.is_some(), "{name}");
    }
}

#[test]
fn tampering_is_never_answered_with_a_promotion() {
    for hosts in [vec![primary(), ok("r")], vec![gone("p"), ok("r")], vec![gone("p"), gone("r")]] {
        let advice = ask(&hosts, &full(), true);
        assert_eq!(advice.verdict, Verdict::Restore);
        assert!(advice.reasons.iter().any(|reason| reason.contains("from before the tampering")));
        assert_eq!(ask(&hosts, &empty(), true).verdict, Verdict::Investigate);
    }
    let advice = ask(&[primary(), answers("o", node(Role::Standalone))], &full(), true);
    assert_eq!(advice.verdict, Verdict::Investigate, "two primaries come first");
}

#[test]
fn the_replica_that_loses_least_is_chosen() {
    let chosen = |hosts: &[Seen]| ask(hosts, &full(), false).promote.expect("a way").host;
    assert_eq!(chosen(&[gone("p"), critical("a"), ok("b"), late("c", 1)]), "b");
    assert_eq!(chosen(&[gone("p"), late("a", 60), late("b", 3), critical("c")]), "b");
    assert_eq!(chosen(&[gone("p"), ok("a"), ok("b")]), "a");
    let advice = ask(&[gone("p"), late("a", 60), late("b", 3)], &full(), false);
    assert_eq!((advice.verdict, advice.host.as_deref()), (Verdict::Promote, Some("b")));
    assert_eq!(advice.promote.expect("a way").data_loss.seconds, Some(3));
}

#[test]
fn the_commands_are_exact_and_name_what_was_lost() {
    let way = ask(&[gone("p"), critical("r")], &full(), false).promote.expect("a way");
    let lines: Vec<&str> = way.commands.iter().map(|command| command.run.as_str()).collect();
    assert!(lines.contains(&"ghevault failover promote r --confirm r --accept-data-loss git"), "{lines:?}");
    assert!(lines.contains(&"ghe-repl-decommission uuid-Primary"), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("switch p off")), "{lines:?}");
    let way = ask(&[primary(), ok("r")], &full(), false).promote.expect("a way");
    assert_eq!(
        (way.commands[0].on.as_str(), way.commands[0].run.as_str()),
        ("admin shell of p", "ghe-maintenance -s")
    );
}

#[test]
fn the_age_of_a_snapshot_and_its_verification_are_told() {
    let advice = ask(&[gone("s")], &vault(2 * 86_400, false), false);
    let way = advice.restore.expect("a way");
    assert_eq!((way.data_loss_seconds, way.verified), (2 * 86_400, None));
    assert!(advice.reasons.iter().any(|reason| reason.contains("48 hours old")));
    assert!(advice.reasons.iter().any(|reason| reason.contains("been verified")));
    let mut older = vault(3_600, true);
    if let Some(verified) = &mut older.verified {
        verified.snapshot.id = "fedcba9876543210".into();
    }
    let advice = ask(&[gone("s")], &older, false);
    assert!(advice.reasons.iter().any(|reason| reason.contains("newest verified one is fedcba98")));
    let locked = VaultFacts { problem: Some("wrong password".into()), ..empty() };
    let advice = ask(&[gone("p"), ok("r")], &locked, false);
    assert!(advice.reasons.iter().any(|reason| reason.contains("wrong password")));
}

#[test]
fn traps_are_those_of_the_release_and_the_situation() {
    let names = |advice: &Advice| advice.traps.iter().map(|trap| trap.name).collect::<Vec<_>>();
    let lost = ask(&[gone("p"), ok("r")], &full(), false);
    for name in ["corruption-replicates", "split-brain", "old-uuid", "dns", "stale-gate"] {
        assert!(names(&lost).contains(&name), "{name}");
    }
    assert!(!names(&lost).contains(&"release"), "nobody restores here");
    let nothing = ask(&[gone("s")], &full(), false);
    assert!(names(&nothing).contains(&"release") && names(&nothing).contains(&"host-keys"));
    assert!(!names(&lost).contains(&"elasticsearch-3.15.5"));
    let mut old = node(Role::Replica);
    (old.version, old.actions) = (Version::new(3, 15, 4), true);
    old.replication = Some(parse("OK: mysql\n", &ExitStatus::Code(0)));
    let lost = ask(&[gone("p"), answers("r", old)], &full(), false);
    assert!(names(&lost).contains(&"elasticsearch-3.15.5") && names(&lost).contains(&"mssql"));
    let calm = ask(&[answers("s", node(Role::Standalone))], &full(), false);
    assert!(calm.traps.is_empty());
}
