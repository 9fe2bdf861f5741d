//! Restores to a cluster of three machines, whole and disturbed.

use crate::support::{cluster, cluster_target};
use cluster_target::{Case, fresh, switch_on};
use ghevault_core::restore::appliance::{self, Importer, Outcome};
use ghevault_sim::{
    appliance::{
        State,
        faults::{Action, Fault},
        mssql,
    },
    build::{
        Recipe,
        fleet::{FleetRecipe, Kind},
    },
    harness::Fleet,
};

#[test]
fn a_standalone_snapshot_fills_a_cluster_and_all_machines_show_its_host_key() {
    let (case, host_key) = Case::of_an_appliance();
    let report = case.restore();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    assert_eq!(report.warnings, Vec::<String>::new());
    case.assert_equal();
    assert_eq!(case.statuses(), ["complete"; 3]);
    for name in case.cluster.names() {
        let node = case.cluster.node(name).unwrap();
        assert_eq!(node.host_key().unwrap(), host_key, "{name}");
        assert!(!node.gate_exists(), "{name}");
    }
}

#[test]
fn what_cannot_be_registered_is_a_warning_that_names_it() {
    let (mut case, _) = Case::of_an_appliance();
    // The cluster places this network on the first and the third machine.
    let network = "6/nw/65/12/bd/11";
    let vanish = Action::Vanish { paths: vec![format!("/data/user/repositories/{network}")] };
    let fault = Fault::in_command("dgit-cluster-restore-finalize", vanish).times(1);
    case.cluster.node_mut("ghe-node-1").unwrap().set_faults(vec![fault]).unwrap();
    let report = case.restore();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    let expected =
        format!("not registered by dgit-cluster-restore-finalize: 11: /data/repositories/{network}");
    assert_eq!(report.warnings, [expected]);
}

#[test]
fn a_connection_that_is_cut_during_finalize_fails_the_restore_and_says_where() {
    let (mut case, _) = Case::of_an_appliance();
    let cut = Fault::at_door("dgit-cluster-restore-finalize", Action::Cut);
    case.cluster.node_mut("ghe-node-1").unwrap().set_faults(vec![cut]).unwrap();
    let report = case.restore();
    assert_eq!(report.outcome, Outcome::Failed, "{report:#?}");
    let step = report.steps.iter().find(|step| step.step == appliance::Step::Repositories).unwrap();
    assert!(!step.ok && step.error.is_some(), "{step:?}");
    assert!(report.next.iter().any(|next| next.contains("run the same restore again")), "{:?}", report.next);
    assert_ne!(case.statuses()[0], "complete");
    case.cluster.node_mut("ghe-node-1").unwrap().set_faults(Vec::new()).unwrap();
    case.reconnect();
    let again = case.restore();
    assert_eq!(again.outcome, Outcome::Complete, "{again:#?}");
    case.assert_equal();
}

#[test]
fn a_clusters_snapshot_with_a_binary_dump_becomes_another_cluster() {
    let source = cluster::Cluster::new(1);
    source.trust_nodes();
    switch_on(&source.fleet(), "mysql.backup.binary");
    let report = source.backup().unwrap();
    assert_eq!(report.outcome, ghevault_core::seal::Outcome::Complete, "{report:#?}");
    let (bench, root, _home) = source.close();
    let case = Case::of(bench, root, &fresh());
    switch_on(&case.cluster, "mysql.backup.binary");
    let mut importers = Vec::new();
    let report = case
        .restore_with(&ghevault_core::progress::Silent, |plan| {
            importers.extend(plan.steps.iter().filter_map(|planned| match planned.step {
                appliance::Step::Mysql(importer) => Some(importer),
                _ => None,
            }));
        })
        .unwrap();
    assert_eq!(importers, [Importer::Binary { wrapped: false }]);
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    case.assert_equal();
    assert_eq!(case.statuses(), ["complete"; 3]);
}

#[test]
fn the_databases_of_actions_are_taken_from_and_given_to_the_machine_that_has_them() {
    const HOLDER: &str = "ghe-node-2";
    let databases = |fleet: &Fleet, name: &str| State::load(fleet.node(name).unwrap().place()).unwrap().mssql;
    let with_actions =
        |recipe: Recipe| FleetRecipe { kind: Kind::Cluster3, appliance: Recipe { actions: true, ..recipe } };
    let source = cluster::Cluster::of(&with_actions(Recipe::small(1)));
    source.trust_nodes();
    cluster::configure(&source.fleet(), "cluster.mssql-master", HOLDER);
    let holder = source.fleet().node(HOLDER).unwrap().place().clone();
    mssql::write(&holder, mssql::NAMES[0], "only on the second machine").unwrap();
    let report = source.backup().unwrap();
    assert_eq!(report.outcome, ghevault_core::seal::Outcome::Complete, "{report:#?}");
    let (bench, root, _home) = source.close();

    let case = Case::of(bench, root.clone(), &with_actions(Recipe::fresh(7)));
    cluster::configure(&case.cluster, "cluster.mssql-master", HOLDER);
    let untouched = format!("{:?}", databases(&case.cluster, "ghe-node-1"));
    let report = case.restore();
    assert_eq!(report.outcome, Outcome::Complete, "{report:#?}");
    let source = Fleet::open(root).unwrap();
    let rows = |fleet: &Fleet| format!("{:?}", databases(fleet, HOLDER)[mssql::NAMES[0]].rows);
    assert!(rows(&source).contains("only on the second machine"));
    assert_eq!(rows(&case.cluster), rows(&source));
    assert_eq!(format!("{:?}", databases(&case.cluster, "ghe-node-1")), untouched);
}
