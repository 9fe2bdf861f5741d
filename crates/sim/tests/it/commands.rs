//! The appliance's commands through SSH, where clients depend on more than their text.

use crate::support;
use support::with_both_doors;

#[test]
fn an_unset_key_is_exit_code_1_without_output() {
    with_both_doors(|door| {
        let output = door.run("ghe-config secrets.not-there", b"");
        assert_eq!((output.code, output.text()), (Some(1), String::new()));
        assert_eq!(door.run("ghe-config --true app.actions.enabled", b"").code, Some(1));
        door.run("ghe-config app.actions.enabled true", b"");
        assert_eq!(door.run("ghe-config --true app.actions.enabled", b"").code, Some(0));
    });
}

#[test]
fn a_value_with_quotes_and_spaces_comes_back_as_it_was_set() {
    with_both_doors(|door| {
        let output =
            door.run(r#"ghe-config secrets.manage "it's \"q\" \\ ;x" && ghe-config secrets.manage"#, b"");
        assert_eq!(output.text(), "it's \"q\" \\ ;x\n");
    });
}

#[test]
fn a_background_save_moves_lastsave_when_it_is_over() {
    with_both_doors(|door| {
        let save = || door.run("ghe-redis-cli --remote -h localhost LASTSAVE", b"").text();
        let before = save();
        assert!(door.run("ghe-redis-cli --remote -h localhost BGSAVE", b"").text().starts_with("Background"));
        support::wait_until("the save is over", || save() != before);
        door.appliance.change_state(|state| state.knobs.redis_errors = 1).unwrap();
        assert!(door.run("ghe-redis-cli BGSAVE", b"").text().contains("ERR"));
    });
}

#[test]
fn the_audit_log_leaves_and_returns_line_by_line() {
    with_both_doors(|door| {
        let list =
            door.run("curl -s 'localhost:9201/_cat/indices/audit_log*?h=index,pri.store.size&bytes=b'", b"");
        let text = list.text();
        let (index, bytes) = text.lines().next().unwrap().split_once(' ').unwrap();
        let url = format!("http://localhost:9201/{index}");
        let dump = door.run(&format!("/usr/local/share/enterprise/ghe-es-dump-json {url}"), b"");
        assert_eq!(dump.stdout.len().to_string(), bytes);
        let gone = door.run(&format!("curl -s -XDELETE {url} && curl -f -s -XGET {url}"), b"");
        assert_eq!(gone.code, Some(22));
        let load = format!("PATH=$PATH:/usr/local/share/enterprise; ghe-es-load-json {url}");
        assert_eq!(door.run(&load, &dump.stdout).code, Some(0));
        let again = door.run(&format!("/usr/local/share/enterprise/ghe-es-dump-json {url}"), b"");
        assert!(again.stdout == dump.stdout);
    });
}

#[test]
fn the_flush_threshold_and_the_http_status_are_remembered_and_told() {
    with_both_doors(|door| {
        let body = br#"{"index":{"translog.flush_threshold_size":"1PB"}}"#;
        let put = "curl -s -o /dev/null -w '%{http_code}' -XPUT localhost:9200/_settings -d @-";
        assert_eq!(door.run(put, body).text(), "200");
        let state = door.appliance.state().unwrap();
        assert_eq!(state.elasticsearch.flush_threshold.as_deref(), Some("1PB"));
        door.appliance.set_version("3.13.0").unwrap();
        assert_eq!(door.run(put, body).text(), "406");
        let put = put.replace("-XPUT", "-H 'Content-Type: application/json' -XPUT");
        assert_eq!(door.run(&put, body).text(), "200");
    });
}

#[test]
fn applying_the_configuration_registers_what_is_on_disk() {
    with_both_doors(|door| {
        std::fs::remove_file(door.appliance.disk("/etc/github/configured")).unwrap();
        door.appliance.change_state(|state| state.networks.clear()).unwrap();
        assert_eq!(door.run("github-env ./bin/dgit-cluster-backup-routes | grep -c /nw/", b"").text(), "0\n");
        assert_eq!(door.run("ghe-config-apply", b"").code, Some(0));
        assert_eq!(
            door.run("github-env ./bin/dgit-cluster-backup-routes | grep -c /nw/", b"").text(),
            "11\n"
        );
        assert_eq!(door.run("[ -f /etc/github/configured ]", b"").code, Some(0));
    });
}

#[test]
fn every_import_gives_back_what_its_export_gave() {
    with_both_doors(|door| {
        for name in ["settings", "authorized-keys", "ssl-ca-certificates", "mysql"] {
            let exported = door.run(&format!("ghe-export-{name}"), b"");
            assert!(!exported.stdout.is_empty(), "{name}");
            let imported = door.run(&format!("ghe-import-{name}"), &exported.stdout);
            assert_eq!(imported.code, Some(0), "{name}: {}", imported.error());
            let again = door.run(&format!("ghe-export-{name}"), b"");
            assert!(again.stdout == exported.stdout, "{name}");
        }
    });
}
