//! Metrics to a real collector of OpenTelemetry: it reads the same numbers as Prometheus does.
#![cfg(feature = "otlp")]

use crate::support;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::TcpStream,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use support::{
    Desk, appliance,
    daemon::{Ends, free_address},
};

/// A collector that writes down what it gets.
struct Collector {
    address: String,
    _process: Ends,
}

fn collector(desk: &Desk) -> Collector {
    let (address, grpc) = (free_address(), free_address());
    let log = File::create(desk.path("collector.log")).expect("a log");
    let process = Command::new("rotel-agent")
        .args(["start", "--otlp-http-endpoint", &address, "--otlp-grpc-endpoint", &grpc])
        .args(["--exporter", "blackhole", "--debug-log", "metrics", "--debug-log-verbosity", "detailed"])
        .stdout(log)
        .stderr(Stdio::null())
        .spawn()
        .map(Ends)
        .expect("rotel-agent runs");
    until(|| TcpStream::connect(&address).ok(), || "the collector does not listen".to_owned());
    Collector { address, _process: process }
}

fn until<T>(mut what: impl FnMut() -> Option<T>, why: impl Fn() -> String) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = what() {
            return found;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{}", why());
        thread::sleep(Duration::from_millis(100));
    }
}

/// What the collector wrote down, in the form of Prometheus: name and labels, and the number.
fn collected(log: &str) -> BTreeMap<String, f64> {
    let mut numbers = BTreeMap::new();
    let (mut name, mut labels, mut in_labels) = (String::new(), Vec::new(), false);
    for line in log.lines().map(str::trim) {
        if let Some(found) = line.strip_prefix("-> Name: ") {
            found.clone_into(&mut name);
        } else if line.starts_with("NumberDataPoints #") {
            labels.clear();
        } else if line == "Data point attributes:" {
            in_labels = true;
        } else if line.starts_with("StartTimestamp:") {
            in_labels = false;
        } else if let (true, Some((label, value))) = (
            in_labels,
            line.strip_prefix("-> ").and_then(|line| line.strip_suffix(')')?.split_once(": Str(")),
        ) {
            labels.push(format!("{label}=\"{value}\""));
        } else if let Some(value) = line.strip_prefix("Value: ") {
            numbers.insert(key(&name, &labels), value.parse().expect("a number"));
        }
    }
    numbers
}

fn key(name: &str, labels: &[String]) -> String {
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
}

#[test]
fn a_collector_reads_the_same_numbers_as_prometheus() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    let collector = collector(&desk);
    desk.configure(&format!(
        "[schedule]\nverify = \"0 0 1 1 *\"\n[objective]\nrpo = \"2h\"\n[metrics]\notlp = \"http://{}\"\n",
        collector.address
    ));
    let done = desk.run(&["backup"]).exits(0);
    assert!(!done.stderr.contains("not sent"), "{done:?}");
    let read = || fs::read_to_string(desk.path("collector.log")).expect("its log");
    let last = "ghevault_history_unreadable_lines";
    until(|| collected(&read()).contains_key(last).then_some(()), read);
    let collected = collected(&read());
    let text = desk.run(&["status", "--metrics"]).exits(0).stdout;
    let scraped: BTreeMap<String, f64> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').expect("name and number"))
        .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
        .collect();
    assert!(scraped.len() > 100, "{text}");
    assert_eq!(collected.keys().collect::<Vec<_>>(), scraped.keys().collect::<Vec<_>>());
    for (name, value) in &collected {
        // A few seconds have passed in between.
        let slack = if name.starts_with("ghevault_rpo_seconds") { 60.0 } else { 0.0 };
        assert!((value - scraped[name]).abs() <= slack, "{name}: {value}, {}", scraped[name]);
    }
    let complete =
        collected.iter().find(|(name, _)| name.contains("backup_runs_total") && name.contains("complete"));
    assert_eq!(complete.map(|(_, value)| *value), Some(1.0));
    assert!(read().contains("service.name: Str(ghevault)"));
}
