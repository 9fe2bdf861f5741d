//! Fleets of several machines with a real SSH client before them, at both doors.

use ghevault_sim::{
    build::fleet::{FleetRecipe, Kind},
    harness::{DoorKind, Fleet},
};

struct Served {
    fleet: Fleet,
    _folder: tempfile::TempDir,
}

fn served(kind: Kind, door: DoorKind) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let mut fleet = Fleet::build(folder.path().join("fleet"), &FleetRecipe::small(kind, 1)).unwrap();
    fleet.open_doors(door, 0, None).unwrap();
    Served { fleet, _folder: folder }
}

impl Served {
    /// Runs a command on a node; its stdout and exit code.
    fn run(&self, node: &str, script: &str) -> (String, i32) {
        let output = self.fleet.run(node, script).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (text, output.status.code().unwrap_or(-1))
    }

    fn says(&self, node: &str, script: &str) -> String {
        let (text, code) = self.run(node, script);
        assert_eq!(code, 0, "{script}: {text}");
        text.trim().to_owned()
    }
}

fn at_both_doors(kind: Kind, test: impl Fn(&mut Served)) {
    for door in [DoorKind::Embedded, DoorKind::Sshd] {
        test(&mut served(kind, door));
    }
}

#[test]
fn machines_of_a_pair_reach_each_other_by_name_whatever_port_is_named() {
    at_both_doors(Kind::Ha, |pair| {
        let own = pair.says("ghe-replica", "cat /data/user/common/uuid");
        assert_ne!(own, pair.says("ghe-primary", "cat /data/user/common/uuid"));
        for way in ["ssh ghe-replica --", "ssh -p 122 admin@ghe-replica", "ssh -p 122 admin@127.0.0.12 --"] {
            assert_eq!(
                pair.says("ghe-primary", &format!("{way} 'cat /data/user/common/uuid'")),
                own,
                "{way}"
            );
        }
        assert_eq!(pair.says("ghe-replica", "ssh ghe-primary cat /etc/github/repl-state"), "primary");
        pair.says(
            "ghe-primary",
            "ssh ghe-replica -- 'sudo -u git touch /data/user/repositories/.sync_in_progress'",
        );
        assert!(pair.fleet.node("ghe-replica").unwrap().gate_exists());
        assert!(!pair.fleet.first().gate_exists());
    });
}

#[test]
fn a_client_reaches_the_replica_through_the_primary_unless_nothing_is_forwarded() {
    for door in [DoorKind::Embedded, DoorKind::Sshd] {
        let mut pair = served(Kind::Ha, door);
        let jump = |pair: &Served, way: &str| {
            let first: Vec<String> = words(&pair.fleet.ssh("ghe-primary").unwrap());
            let mut ssh = pair.fleet.ssh("ghe-replica").unwrap();
            // Options come before the host, which is last.
            let mut all = words_of(&ssh);
            let host = all.pop().unwrap();
            let last = first.len() - 1;
            let proxy = match way {
                "-W" => format!("{} -W %h:%p {}", first[..last].join(" "), first[last]),
                other => format!("{} {other} %h %p", first.join(" ")),
            };
            ssh = std::process::Command::new(&all[0]);
            ssh.args(&all[1..]).arg("-o").arg(format!("ProxyCommand={proxy}")).args([
                &host,
                "cat",
                "/etc/github/cluster",
            ]);
            let output = ssh.output().unwrap();
            (String::from_utf8(output.stdout).unwrap().trim().to_owned(), output.status.code())
        };
        for way in ["-W", "nc.openbsd"] {
            assert_eq!(jump(&pair, way), ("ghe-replica".to_owned(), Some(0)), "{way}");
        }
        pair.fleet.first().change_state(|state| state.knobs.no_forwarding = true).unwrap();
        pair.fleet.stop_node("ghe-primary").unwrap();
        pair.fleet.start_node("ghe-primary").unwrap();
        assert_eq!(jump(&pair, "-W"), (String::new(), Some(255)));
        assert_eq!(jump(&pair, "nc.openbsd").1, Some(0));
    }
}

fn words(command: &std::process::Command) -> Vec<String> {
    words_of(command)
}

fn words_of(command: &std::process::Command) -> Vec<String> {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_stopped_machine_is_unreachable_and_comes_back_at_the_same_place() {
    at_both_doors(Kind::Ha, |pair| {
        assert_eq!(pair.says("ghe-primary", "ghe-cluster-host-check"), "Cluster is ready to configure.");
        pair.fleet.stop_node("ghe-replica").unwrap();
        assert_eq!(pair.run("ghe-primary", "ssh ghe-replica -- true").1, 255);
        let (text, code) = pair.run("ghe-primary", "ghe-cluster-host-check");
        assert!(code != 0 && !text.contains("ready") && text.contains("ghe-replica"), "{text}");
        pair.fleet.start_node("ghe-replica").unwrap();
        assert_eq!(pair.says("ghe-primary", "ssh ghe-replica -- cat /etc/github/cluster"), "ghe-replica");
    });
}

#[test]
fn nodes_are_listed_by_role_with_uuid_or_address() {
    let pair = served(Kind::Ha, DoorKind::Embedded);
    let uuid = pair.says("ghe-replica", "cat /data/user/common/uuid");
    let ask = |options: &str| pair.says("ghe-primary", &format!("ghe-cluster-nodes {options}"));
    assert_eq!(ask(""), "ghe-primary\nghe-replica");
    assert_eq!(ask("--replica"), "ghe-replica");
    assert_eq!(ask("--primary -i"), "ghe-primary 127.0.0.11");
    assert_eq!(ask("-x -r git -u"), format!("ghe-replica\t{uuid}"));
    assert_eq!(ask("-r actions"), "");
    assert_eq!(pair.says("ghe-primary", "ghe-config cluster.ha"), "true");
    assert_eq!(
        pair.says("ghe-primary", "ghe-cluster-each -r git -- cat /etc/github/repl-state"),
        "ghe-primary: primary\nghe-replica: replica"
    );
}

#[test]
fn replication_status_speaks_and_ends_as_nagios_expects() {
    let pair = served(Kind::Ha, DoorKind::Embedded);
    let (text, code) = pair.run("ghe-replica", "ghe-repl-status -vv");
    assert_eq!(code, 0, "{text}");
    assert!(text.lines().all(|line| line.starts_with("OK: ") || line.starts_with("  | ")), "{text}");
    let say = |channel: &str, line: &str| {
        pair.fleet
            .node("ghe-replica")
            .unwrap()
            .change_state(|state| _ = state.knobs.replication.insert(channel.to_owned(), line.to_owned()))
            .unwrap();
    };
    say("mysql", "WARNING: mysql replication delay is 29s");
    assert_eq!(pair.run("ghe-primary", "ghe-cluster-each --replica 'ghe-repl-status'").1, 1);
    say("git", "CRITICAL: git replication is behind the primary by 150 repositories and/or gists");
    let (text, code) = pair.run("ghe-replica", "ghe-repl-status -v");
    assert_eq!(code, 2);
    assert!(text.contains("  | IO running: Yes, SQL running: Yes, Delay: 29\n"), "{text}");
    pair.says("ghe-replica", "ghe-repl-stop");
    assert_eq!(pair.run("ghe-replica", "ghe-repl-status").1, 1);
    assert_eq!(pair.run("ghe-primary", "ghe-repl-status").1, 1);
}

#[test]
fn a_promotion_keeps_the_uuid_and_puts_a_reachable_primary_into_maintenance() {
    at_both_doors(Kind::Ha, |pair| {
        pair.fleet.first().mutate(5, 3).unwrap();
        pair.fleet.replicate().unwrap();
        let uuid = pair.says("ghe-replica", "cat /data/user/common/uuid");
        let text = pair.says("ghe-replica", "ghe-repl-promote");
        assert!(
            text.ends_with("Success: Replica has been promoted to primary and is now accepting requests.")
        );
        assert_eq!(pair.says("ghe-replica", "cat /etc/github/repl-state"), "primary");
        assert_eq!(pair.says("ghe-replica", "cat /data/user/common/uuid"), uuid);
        assert_eq!(pair.says("ghe-replica", "ghe-config cluster.mysql-master"), "ghe-replica");
        assert_eq!(pair.says("ghe-replica", "ghe-cluster-nodes --replica"), "");
        assert!(pair.says("ghe-primary", "ghe-maintenance -q").starts_with("maintenance mode set"));
        let aspects =
            ghevault_sim::compare::Aspects { skip: vec!["identity".to_owned()], ..Default::default() };
        let comparison =
            pair.fleet.first().compare(pair.fleet.node("ghe-replica").unwrap(), &aspects).unwrap();
        assert!(comparison.equal, "{:?}", comparison.differences());
    });
}

#[test]
fn a_pair_that_lives_on_is_replicated_as_it_stood_at_one_moment() {
    let pair = served(Kind::Ha, DoorKind::Embedded);
    let living = pair.fleet.first().live(500.0, 7);
    let replica = pair.fleet.node("ghe-replica").unwrap().place().repositories();
    for round in 0..5 {
        pair.fleet.replicate().unwrap();
        for repository in repositories(&replica) {
            let output = std::process::Command::new("git")
                .args(["-c", "safe.directory=*", "-C"])
                .arg(&repository)
                .args(["rev-list", "--objects", "--all", "--quiet"])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "round {round}, {}: {said}", repository.display());
        }
    }
    assert!(living.stop().unwrap() > 5);
}

fn repositories(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let folders = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    folders
        .flat_map(|path| if path.join("HEAD").exists() { vec![path] } else { repositories(&path) })
        .collect()
}

#[test]
fn a_machine_that_was_stopped_comes_back_at_the_same_place_at_once() {
    let mut pair = served(Kind::Ha, DoorKind::Embedded);
    let place = pair.fleet.address("ghe-primary").unwrap();
    for _ in 0..20 {
        pair.fleet.stop_node("ghe-primary").unwrap();
        assert!(std::net::TcpStream::connect(place).is_err());
        pair.fleet.start_node("ghe-primary").unwrap();
    }
    assert_eq!(pair.fleet.address("ghe-primary").unwrap(), place);
    pair.says("ghe-primary", "cat /data/user/common/uuid");
}

#[test]
fn a_replica_is_promoted_although_its_primary_is_gone_and_a_pair_is_made_anew() {
    let mut pair = served(Kind::Ha, DoorKind::Embedded);
    pair.fleet.stop_node("ghe-primary").unwrap();
    let output = pair.fleet.run("ghe-replica", "ghe-repl-promote").unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("ghe-primary could not be reached"));
    pair.fleet.start_node("ghe-primary").unwrap();
    pair.says("ghe-primary", "ghe-repl-teardown");
    assert_eq!(pair.run("ghe-primary", "cat /etc/github/repl-state").1, 1);
    let text = pair.says("ghe-primary", "ghe-repl-setup 127.0.0.12");
    assert!(text.contains("Success: Replica mode is configured against 127.0.0.12."), "{text}");
    pair.says("ghe-primary", "ghe-repl-start");
    assert_eq!(pair.run("ghe-primary", "ghe-repl-status").1, 0);
    assert_eq!(pair.says("ghe-replica", "ghe-cluster-nodes --replica"), "ghe-primary");
    pair.says("ghe-primary", "ghe-repl-teardown");
    assert_eq!(pair.run("ghe-replica", "test -e /etc/github/repl-state").1, 1);
}

#[test]
fn an_appliance_that_stands_alone_is_not_clustered() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = ghevault_sim::build::Recipe::small(1);
    let mut alone = ghevault_sim::harness::Appliance::build(folder.path().join("alone"), &recipe).unwrap();
    let port = alone.open_embedded().unwrap().port();
    let ask = |script: &str| alone.ssh(port).unwrap().arg(script).output().unwrap();
    for command in
        ["ghe-cluster-nodes", "ghe-cluster-each -- true", "ghe-repl-status", "ghe-cluster-host-check"]
    {
        let output = ask(command);
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("Clustering is not configured on this host.")
        );
    }
}

#[test]
fn a_network_is_only_on_the_machines_that_its_route_names() {
    let cluster = served(Kind::Cluster5, DoorKind::Embedded);
    let routes = cluster.says("ghe-node-1", "github-env ./bin/dgit-cluster-backup-routes");
    // Whoever is asked, the database on the master answers.
    assert_eq!(cluster.says("ghe-node-4", "github-env ./bin/dgit-cluster-backup-routes"), routes);
    assert!(routes.lines().count() > 5);
    for line in routes.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words.len(), 3, "{line}");
        for node in cluster.fleet.names() {
            let place = cluster.fleet.node(node).unwrap().place();
            let uuid = std::fs::read_to_string(place.disk("/data/user/common/uuid")).unwrap();
            let named = words.contains(&format!("git-server-{}", uuid.trim()).as_str());
            assert_eq!(place.repositories().join(words[0]).exists(), named, "{line} on {node}");
        }
    }
}

#[test]
fn services_answer_from_the_machine_that_has_them() {
    let cluster = served(Kind::Cluster5, DoorKind::Embedded);
    let dump = cluster.says("ghe-node-3", "ghe-export-mysql");
    assert!(dump.contains("Dump completed") || dump.contains("INSERT"), "{dump:.200}");
    assert_eq!(cluster.run("ghe-node-1", "test -e /data/user/redis/dump.rdb").1, 1);
    assert_eq!(cluster.run("ghe-node-2", "test -e /data/user/redis/dump.rdb").1, 0);
    let save = cluster.says("ghe-node-1", "ghe-redis-cli --remote -h ghe-node-2 LASTSAVE");
    assert!(save.parse::<u64>().unwrap() > 0);
    let indices = "curl -s 'localhost:9201/_cat/indices/audit_log*?h=index,pri.store.size&bytes=b'";
    assert_eq!(cluster.says("ghe-node-1", indices), cluster.says("ghe-node-2", indices));
    assert!(!cluster.says("ghe-node-1", indices).is_empty());
}

#[test]
fn only_what_the_named_machines_hold_is_registered() {
    // The embedded door would rewrite the paths in a request's text.
    let cluster = served(Kind::Cluster3, DoorKind::Sshd);
    let routes = cluster.says("ghe-node-1", "github-env ./bin/dgit-cluster-backup-routes");
    let line = routes.lines().find(|line| line.contains("/nw/")).unwrap();
    let (path, servers) = line.split_once(' ').unwrap();
    let id = path.rsplit('/').next().unwrap();
    let finalize = |line: &str| {
        let script = format!("echo '{line}' | github-env ./bin/dgit-cluster-restore-finalize");
        let output = cluster.fleet.run("ghe-node-2", &script).unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(finalize(&format!("{id} /data/repositories/{path} {servers}")), "");
    let absent = format!("9 /data/repositories/4/nw/45/c4/8c/9 {servers}");
    assert_eq!(finalize(&absent), "9: /data/repositories/4/nw/45/c4/8c/9\n");
    assert!(finalize(&format!("{id} /data/repositories/{path}")).starts_with(id), "no server is named");
    assert!(finalize(&format!("7 /data/repositories/{path} {servers}")).starts_with("7: "), "another id");
}

#[test]
fn a_machine_that_is_marked_as_offline_is_in_no_route_and_no_list() {
    let cluster = served(Kind::Cluster3, DoorKind::Embedded);
    let uuid = cluster.says("ghe-node-3", "cat /data/user/common/uuid");
    cluster.says("ghe-node-1", "ghe-config cluster.ghe-node-3.offline true");
    assert_eq!(cluster.says("ghe-node-1", "ghe-cluster-nodes"), "ghe-node-1\nghe-node-2");
    assert_eq!(cluster.says("ghe-node-1", "ghe-cluster-nodes -o"), "ghe-node-3");
    assert!(!cluster.says("ghe-node-1", "github-env ./bin/dgit-cluster-backup-routes").contains(&uuid));
}

#[test]
fn maintenance_and_configuration_reach_all_machines() {
    let cluster = served(Kind::Cluster3, DoorKind::Embedded);
    cluster.says("ghe-node-2", "ghe-cluster-maintenance -s");
    for node in cluster.fleet.names() {
        assert!(cluster.says(node, "ghe-maintenance -q").starts_with("maintenance mode set"), "{node}");
    }
    cluster.says("ghe-node-1", "ghe-config smtp.address other.example.com && ghe-cluster-config-apply");
    assert_eq!(cluster.says("ghe-node-3", "ghe-config smtp.address"), "other.example.com");
}

#[test]
fn a_cluster_is_compared_by_the_union_of_its_machines() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = FleetRecipe::small(Kind::Cluster3, 1);
    let fleet = Fleet::build(folder.path().join("fleet"), &recipe).unwrap();
    let alone =
        ghevault_sim::harness::Appliance::build(folder.path().join("alone"), &recipe.appliance).unwrap();
    let aspects = ghevault_sim::compare::Aspects { skip: vec!["identity".to_owned()], ..Default::default() };
    let same = fleet.compare(alone.place().root(), &aspects).unwrap();
    assert!(same.equal, "{}", same.table());
    // A replica that is not as the other is no union.
    let state = fleet.first().state().unwrap();
    let object = state.storage.iter().next().unwrap();
    let holder = fleet.names().into_iter().find_map(|name| {
        let path =
            ghevault_sim::appliance::state::storage_path(fleet.node(name).unwrap().place(), &object.sha256);
        path.exists().then_some(path)
    });
    std::fs::write(holder.unwrap(), b"torn").unwrap();
    assert!(!fleet.compare(alone.place().root(), &aspects).unwrap().equal);
}
