//! Clusters: every route from one node that has it, the next one when that is lost, and nothing complete that is not.

use crate::support::{bench, cluster};
use cluster::{Cluster, row};
use ghevault_core::{
    appliance::{channel::ChannelError, facts::FactsError, transport::TransportKind},
    backup::{BackupError, BackupReport, BackupSettings},
    progress::{Event, Silent},
    seal::Outcome,
    vault::tree_hex,
};
use jiff::Timestamp;

#[test]
fn a_cluster_is_backed_up_whole_and_the_next_run_reads_next_to_nothing() {
    let cluster = Cluster::new(1);
    cluster.trust_nodes();
    let first = cluster.backup().unwrap();
    assert_eq!(first.outcome, Outcome::Complete, "{first:#?}");
    for folder in ["repositories", "storage", "pages"] {
        cluster::assert_same(&cluster.contents(&first.snapshot, folder), &cluster.union(folder), folder);
    }
    let text = |path: &str| cluster.bench.restic(&["dump", &first.snapshot, path]).stdout;
    assert_eq!(text("/strategy"), b"cluster\n");
    assert!(String::from_utf8_lossy(&text("/cluster.conf")).contains("mysql-master"));
    assert_eq!(first.topology.as_ref().unwrap().nodes.len(), 3);
    cluster.assert_gates_are_open();
    let second = cluster.backup().unwrap();
    assert_eq!(second.outcome, Outcome::Complete, "{second:#?}");
    for name in ["repositories", "storage", "pages"] {
        assert_eq!(row(&second, name).files_changed, 0, "{second:#?}");
    }
    cluster::assert_same(
        &cluster.contents(&second.snapshot, "repositories"),
        &cluster.union("repositories"),
        "repositories",
    );
    cluster.bench.assert_restic_finds_no_fault();
}

#[test]
fn a_node_whose_key_nobody_has_pinned_ends_the_run() {
    let cluster = Cluster::new(2);
    cluster.trust_first();
    let end = cluster.backup().unwrap_err();
    assert!(
        matches!(&end, BackupError::Facts(FactsError::Channel(ChannelError::HostKeyUnknown { .. }))),
        "{end:?}"
    );
    assert!(end.to_string().contains("through"), "{end}");
    cluster.assert_gates_are_open();
}

#[test]
fn a_node_that_is_down_makes_the_snapshot_partial_with_its_name_and_its_routes_come_from_others() {
    let cluster = Cluster::new(3);
    cluster.trust_nodes();
    let last = cluster.names()[2].clone();
    cluster.fleet().stop_node(&last).unwrap();
    let report = cluster.backup().unwrap();
    assert_eq!(report.outcome, Outcome::Partial, "{report:#?}");
    let told = row(&report, "repositories");
    assert!(told.problems.iter().any(|problem| problem.contains(&last)), "{told:#?}");
    let topology = report.topology.as_ref().unwrap();
    let node = topology.nodes.iter().find(|node| node.name == last).unwrap();
    assert!(node.trouble.is_some(), "{topology:?}");
    let (stored, mut whole) = (cluster.contents(&report.snapshot, "storage"), cluster.union("storage"));
    whole.retain(|path, _| stored.contains_key(path));
    assert_eq!(stored, whole);
    assert!(!stored.is_empty());
    cluster.assert_gates_are_open();
    cluster.fleet().start_node(&last).unwrap();
    let report = cluster.backup().unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    cluster::assert_same(
        &cluster.contents(&report.snapshot, "repositories"),
        &cluster.union("repositories"),
        "repositories",
    );
    cluster.bench.assert_restic_finds_no_fault();
}

#[test]
fn a_node_that_dies_while_it_is_read_gives_its_routes_to_the_next() {
    let cluster = Cluster::new(4);
    cluster.trust_nodes();
    let node = &cluster.names()[1];
    let listed = |event: &Event<'_>| matches!(event, Event::Expected { part: "repositories", .. });
    let report = cluster.backup_with(&cluster.stop_at(node, listed)).unwrap();
    let told = row(&report, "repositories");
    assert_eq!(told.outcome, Outcome::Partial, "{report:#?}");
    assert!(told.problems.iter().any(|problem| problem.contains(node)), "{told:#?}");
    let (stored, whole) = (cluster.contents(&report.snapshot, "repositories"), cluster.union("repositories"));
    let missing: Vec<&String> = whole.keys().filter(|path| !stored.contains_key(*path)).collect();
    // Only what no other node has may be missing, and each such route is named.
    for path in missing {
        assert!(
            told.problems
                .iter()
                .any(|problem| { problem.split('`').nth(1).is_some_and(|route| path.starts_with(route)) }),
            "{path} is missing and not named: {told:#?}"
        );
    }
    cluster.bench.assert_restic_finds_no_fault();
}

#[test]
fn where_nothing_is_forwarded_netcat_does_the_same() {
    let cluster = Cluster::new(5);
    cluster.trust_nodes();
    for name in cluster.names() {
        cluster.fleet().node(&name).unwrap().change_state(|state| state.knobs.no_forwarding = true).unwrap();
    }
    let report = cluster.backup().unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
}

#[test]
fn the_ssh_program_reaches_the_nodes_as_well() {
    let mut cluster = Cluster::new(6);
    cluster.trust_nodes();
    cluster.kind = TransportKind::OpenSsh;
    let report = cluster.backup().unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
}

#[test]
fn a_cluster_of_real_sshds_is_backed_up_by_both_transports() {
    let mut cluster = Cluster::behind_sshd(7);
    cluster.trust_nodes();
    let first = cluster.backup().unwrap();
    assert_eq!(first.outcome, Outcome::Complete, "{first:#?}");
    cluster.kind = TransportKind::OpenSsh;
    let second = cluster.backup().unwrap();
    assert_eq!(second.outcome, Outcome::Complete, "{second:#?}");
    for snapshot in [&first.snapshot, &second.snapshot] {
        for folder in ["repositories", "storage", "pages"] {
            cluster::assert_same(&cluster.contents(snapshot, folder), &cluster.union(folder), folder);
        }
    }
    cluster.assert_gates_are_open();
}

/// All shards of a run at once.
fn shards(cluster: &Cluster, run: &str, count: u32, moment: Option<Timestamp>) -> Vec<BackupReport> {
    std::thread::scope(|scope| {
        let one = |index| {
            let settings = BackupSettings { moment, ..bench::shard(run, index, count) };
            scope.spawn(move || cluster.backup_as(settings, &Silent).unwrap())
        };
        let threads: Vec<_> = (1..=count).map(one).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn shards_of_a_cluster_join_to_the_very_tree_of_one_process() {
    let mut cluster = Cluster::new(8);
    cluster.trust_nodes();
    let moment = Some(Timestamp::from_second(1_800_000_000).unwrap());
    let one = cluster.backup_as(BackupSettings { moment, ..bench::Bench::settings() }, &Silent).unwrap();
    let tree = |cluster: &Cluster, id: &str| tree_hex(&cluster.bench.vault.find(id).unwrap().tree);
    let alone = tree(&cluster, &one.snapshot);
    cluster.change_host();
    let parts = shards(&cluster, "r", 3, moment);
    assert!(parts.iter().all(|part| part.outcome == Outcome::Complete), "{parts:#?}");
    cluster.assert_gates_are_open();
    let joined = bench::join_run(&cluster.bench, Some("r")).unwrap().report;
    assert_eq!(joined.outcome, Outcome::Complete, "{joined:#?}");
    assert_eq!(tree(&cluster, &joined.snapshot), alone);
    let items = |report: &BackupReport| -> Vec<(String, u64, u64)> {
        report.datasets.iter().map(|row| (row.name.clone(), row.items, row.bytes)).collect()
    };
    assert_eq!(items(&joined), items(&one));
    assert_eq!(joined.topology.as_ref().map(|topology| topology.nodes.len()), Some(3));
    cluster.bench.assert_restic_finds_no_fault();
}

#[test]
fn shards_of_a_cluster_without_one_node_say_so_and_the_next_run_is_whole() {
    let cluster = Cluster::new(9);
    cluster.trust_nodes();
    let last = cluster.names()[2].clone();
    cluster.fleet().stop_node(&last).unwrap();
    shards(&cluster, "without", 2, None);
    let joined = bench::join_run(&cluster.bench, None).unwrap().report;
    assert_eq!(joined.outcome, Outcome::Partial, "{joined:#?}");
    let problems = &row(&joined, "repositories").problems;
    assert!(problems.iter().any(|problem| problem.contains(&last)), "{problems:#?}");
    let (stored, mut whole) = (cluster.contents(&joined.snapshot, "storage"), cluster.union("storage"));
    whole.retain(|path, _| stored.contains_key(path));
    assert_eq!(stored, whole);
    cluster.fleet().start_node(&last).unwrap();
    shards(&cluster, "with", 2, None);
    let joined = bench::join_run(&cluster.bench, Some("with")).unwrap().report;
    assert_eq!(joined.outcome, Outcome::Complete, "{joined:#?}");
    for folder in ["repositories", "storage", "pages"] {
        cluster::assert_same(&cluster.contents(&joined.snapshot, folder), &cluster.union(folder), folder);
    }
}
