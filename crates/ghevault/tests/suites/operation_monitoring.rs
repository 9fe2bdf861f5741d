//! The shipped alert rules in a real Prometheus: a backup that does not come is told, and so is that it came.

use crate::support;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use support::{
    Desk, appliance,
    daemon::{Ends, free_address},
};

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/monitoring");

fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: x\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

/// Names of the alerts that fire.
fn firing(prometheus: &str) -> Option<Vec<String>> {
    let body: serde_json::Value = serde_json::from_str(&get(prometheus, "/api/v1/alerts")?).ok()?;
    let firing = |alert: &&serde_json::Value| alert["state"] == "firing";
    let alerts = body["data"]["alerts"].as_array()?.iter().filter(firing);
    Some(alerts.filter_map(|alert| alert["labels"]["alertname"].as_str().map(str::to_owned)).collect())
}

fn until(prometheus: &str, what: &str, wanted: impl Fn(&[String]) -> bool) {
    let since = Instant::now();
    let mut seen = None;
    while !seen.as_deref().is_some_and(&wanted) {
        assert!(since.elapsed() < Duration::from_mins(3), "{what}: {seen:?}");
        std::thread::sleep(Duration::from_millis(200));
        seen = firing(prometheus);
    }
}

#[test]
fn promtool_accepts_rules_and_their_tests() {
    for arguments in [["check", "rules", "ghevault.rules.yml"], ["test", "rules", "ghevault.rules.test.yml"]]
    {
        let done =
            Command::new("promtool").args(arguments).current_dir(RULES).output().expect("promtool runs");
        assert!(done.status.success(), "{done:?}");
    }
}

#[test]
fn an_alert_fires_when_a_backup_is_missed_and_ends_with_the_next_one() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    // Nothing backs up by itself here: what was promised is not kept.
    desk.configure("[schedule]\nverify = \"0 0 1 1 *\"\n[objective]\nrpo = \"45s\"\n[daemon]\nlisten = \"127.0.0.1:0\"\n");
    desk.run(&["backup"]).exits(0);
    let mut daemon = Ends(desk.command(&["daemon"]).stdout(Stdio::piped()).spawn().expect("it starts"));
    let address = BufReader::new(daemon.0.stdout.take().expect("a log"))
        .lines()
        .map_while(Result::ok)
        .find(|line| line.contains("serving the status page"))
        .and_then(|line| serde_json::from_str::<serde_json::Value>(&line).ok())
        .and_then(|line| line["fields"]["address"].as_str().map(str::to_owned))
        .expect("an address");
    let prometheus = free_address();
    let _server = Ends(start_prometheus(&desk, &prometheus, &address));
    let broken = |names: &[String]| names.iter().any(|name| name == "GhevaultObjectiveBroken");
    until(&prometheus, "the alert does not fire", broken);
    desk.run(&["backup"]).exits(0);
    until(&prometheus, "the alert does not end", |names| !broken(names));
}

fn start_prometheus(desk: &Desk, listen: &str, target: &str) -> Child {
    fs::copy(Path::new(RULES).join("ghevault.rules.yml"), desk.path("rules.yml")).expect("copied");
    let config = desk.write(
        "prometheus.yml",
        &format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [rules.yml]\nscrape_configs:\n  \
             - job_name: ghevault\n    static_configs: [{{ targets: ['{target}'] }}]\n"
        ),
    );
    let log = fs::File::create(desk.path("prometheus.log")).expect("a log");
    Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", desk.path("tsdb").display()))
        .arg(format!("--web.listen-address={listen}"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("prometheus runs")
}
