//! What a promotion is refused for, and what its plan has.

use jiff::Timestamp;

use super::*;
use crate::failover::observe::Doubt;
use crate::{
    appliance::{channel::ExitStatus, facts::Version},
    failover::{
        observe::{Peer, Seen},
        repl_status::parse,
    },
};

const IN_SYNC: &str = "OK: mysql replication is in sync\nOK: git replication is in sync\n";

fn node(role: Role) -> Node {
    Node {
        role,
        version: Version::new(3, 17, 0),
        version_text: "3.17.0".into(),
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

fn replica_at(host: &str, text: &str, code: u32) -> Seen {
    let peers =
        vec![Peer { name: "ghe-primary".into(), uuid: "uuid-Primary".into(), replica: false, reached: None }];
    let replication = Some(parse(text, &ExitStatus::Code(code)));
    answers(host, Node { replication, peers, ..node(Role::Replica) })
}

fn ok() -> Seen {
    replica_at("r", IN_SYNC, 0)
}

fn critical() -> Seen {
    replica_at("r", "OK: mysql replication\nCRITICAL: git replication\n", 2)
}

fn gone(host: &str) -> Seen {
    Seen { host: host.into(), state: State::Unreachable { reason: "refused".into() } }
}

fn unclear(host: &str, doubt: Doubt) -> Seen {
    Seen { host: host.into(), state: State::Unclear { doubt, reason: "why".into() } }
}

fn options() -> PromoteOptions {
    PromoteOptions { host: "r".into(), confirmation: Some("r".into()), ..PromoteOptions::default() }
}

fn decide(hosts: &[Seen], options: &PromoteOptions) -> Result<PromotePlan, Refusal> {
    plan(&Observation { at: Timestamp::UNIX_EPOCH, hosts: hosts.to_vec() }, options)
}

fn despite(host: &str) -> PromoteOptions {
    PromoteOptions { despite_primary: Some(host.into()), ..options() }
}

#[test]
fn a_lost_primary_and_a_replica_in_sync_are_promoted_at_once() {
    let plan = decide(&[gone("p"), ok()], &options()).expect("a plan");
    assert_eq!(plan.steps, [Step::HealGate, Step::Promote, Step::Verify]);
    assert_eq!((plan.primary.as_deref(), plan.primary_uuid.as_deref()), (None, Some("uuid-Primary")));
    assert!(plan.warnings.is_empty());
    assert!(plan.next.iter().any(|command| command.run == "ghe-repl-teardown -u uuid-Primary"));
}

#[test]
fn a_planned_failover_drains_the_primary_and_asks_again() {
    let working = answers("p", Node { maintenance: true, ..node(Role::Primary) });
    let plan = decide(&[working.clone(), ok()], &options()).expect("a plan");
    assert_eq!(plan.steps[..2], [Step::Drain, Step::CheckReplication]);
    assert_eq!(plan.primary.as_deref(), Some("p"));
    let loss = PromoteOptions { accept_data_loss: vec!["git".into()], ..options() };
    let plan = decide(&[working, critical()], &loss).expect("a plan");
    assert!(!plan.steps.contains(&Step::CheckReplication), "the loss was accepted");
}

#[test]
fn only_a_replica_that_answers_is_promoted() {
    let at = |hosts: &[Seen], host: &str| {
        let options = PromoteOptions { host: host.into(), confirmation: Some(host.into()), ..options() };
        decide(hosts, &options).expect_err("refused")
    };
    let hosts = [
        answers("p", node(Role::Primary)),
        answers("s", node(Role::Standalone)),
        gone("g"),
        unclear("u", Doubt::HostKeyChanged),
    ];
    assert_eq!(at(&hosts, "p"), Refusal::NotAReplica { host: "p".into(), role: "the primary" });
    assert!(matches!(at(&hosts, "s"), Refusal::NotAReplica { .. }));
    assert!(matches!(at(&hosts, "g"), Refusal::Unreachable { .. }));
    assert!(matches!(at(&hosts, "u"), Refusal::Unclear { .. }));
    assert_eq!(at(&hosts, "x"), Refusal::NotSeen("x".into()));
}

#[test]
fn only_the_typed_name_is_consent() {
    let typed = |text: Option<&str>| {
        let options = PromoteOptions { confirmation: text.map(str::to_owned), ..options() };
        decide(&[gone("p"), ok()], &options)
    };
    for text in [None, Some(""), Some(" \n")] {
        assert_eq!(typed(text), Err(Refusal::NotConfirmed { host: "r".into() }));
    }
    assert_eq!(typed(Some("yes")), Err(Refusal::ConfirmedOther { typed: "yes".into(), host: "r".into() }));
    assert!(typed(Some("r\n")).is_ok());
    assert!(typed(Some("r:122")).is_ok() && typed(Some("r:22")).is_err() && typed(Some("r:1")).is_err());
}

#[test]
fn a_primary_that_may_serve_stops_it_unless_its_name_is_typed() {
    let serving = answers("p", node(Role::Primary));
    for (other, name) in [
        (serving.clone(), "p"),
        (unclear("p", Doubt::HostKeyChanged), "p"),
        (unclear("p", Doubt::HostKeyUnknown), "p"),
        (unclear("p", Doubt::NoAnswer), "p"),
    ] {
        let hosts = [other, ok()];
        assert!(matches!(
            decide(&hosts, &options()),
            Err(Refusal::PrimaryServes(_) | Refusal::PrimaryUnclear { .. })
        ));
        assert!(matches!(decide(&hosts, &despite("q")), Err(Refusal::DespiteOther { .. })));
        let plan = decide(&hosts, &despite(name)).expect("its name was typed");
        assert_eq!(plan.warnings.len(), 1);
        assert!(!plan.steps.contains(&Step::Drain));
    }
    assert_eq!(decide(&[ok()], &options()), Err(Refusal::PrimaryUnknown(Some("ghe-primary".into()))));
    assert!(decide(&[ok()], &despite("ghe-primary")).is_ok());
    let old = answers("o", node(Role::Standalone));
    assert!(matches!(decide(&[serving, old, ok()], &despite("p")), Err(Refusal::SplitBrain(_))));
}

#[test]
fn a_primary_that_only_this_host_does_not_reach_is_not_lost() {
    let mut seen = ok();
    if let State::Answers(node) = &mut seen.state {
        node.peers[0].reached = Some(true);
    }
    let hosts = [gone("p"), seen];
    assert!(matches!(decide(&hosts, &options()), Err(Refusal::PrimaryUnclear { .. })));
    assert!(decide(&hosts, &despite("ghe-primary")).is_ok());
}

#[test]
fn a_loss_is_accepted_by_its_name_only() {
    let hosts = [gone("p"), critical()];
    let accept = |names: &[&str]| {
        let accept_data_loss = names.iter().map(ToString::to_string).collect();
        decide(&hosts, &PromoteOptions { accept_data_loss, ..options() })
    };
    let behind = Refusal::Behind { host: "r".into(), level: "critical", stores: vec!["git".into()] };
    assert_eq!(accept(&[]), Err(behind));
    assert!(matches!(accept(&["mysql"]), Err(Refusal::BehindOther { .. })));
    assert!(matches!(accept(&["everything"]), Err(Refusal::BehindOther { .. })));
    assert_eq!(accept(&["git"]).expect("a plan").warnings.len(), 1);
    let stopped = [gone("p"), replica_at("r", "", 1)];
    let all = PromoteOptions { accept_data_loss: vec!["everything".into()], ..options() };
    assert!(decide(&stopped, &all).is_ok());
}

#[test]
fn a_better_replica_is_named() {
    let hosts = [gone("p"), critical(), replica_at("b", IN_SYNC, 0)];
    assert!(
        matches!(decide(&hosts, &options()), Err(Refusal::BetterReplica { better, .. }) if better == "b")
    );
}

#[test]
fn another_release_and_a_running_backup_stop_it() {
    let newer = Node { version: Version::new(3, 17, 1), maintenance: true, ..node(Role::Primary) };
    let hosts = [answers("p", newer), ok()];
    assert!(matches!(decide(&hosts, &options()), Err(Refusal::OtherRelease { .. })));
    assert!(decide(&hosts, &PromoteOptions { allow_other_release: true, ..options() }).is_ok());
    let busy = PromoteOptions { own_backup_runs: true, ..options() };
    assert_eq!(decide(&[gone("p"), ok()], &busy), Err(Refusal::BackupRuns));
}
