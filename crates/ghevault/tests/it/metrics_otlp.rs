//! Metrics to a receiver of OpenTelemetry, by the daemon and by a run without one. That a real receiver understands them, a suite proves.
#![cfg(feature = "otlp")]

use crate::support;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread::sleep,
    time::Duration,
};
use support::{
    Desk,
    daemon::Daemon,
    wire::{Answer, Request, Wire, liar, silence},
};

const EMPTY: Answer = Answer::Say(200, "application/x-protobuf", String::new());

fn has(request: &Request, text: &str) -> bool {
    memchr::memmem::find(&request.body, text.as_bytes()).is_some()
}

fn configured(url: &str, more: &str) -> Desk {
    let mut desk = Desk::with_vault();
    desk.configure(&format!("[metrics]\notlp = \"{url}\"\n{more}"));
    desk
}

/// A run that is written down: nobody can be backed up to an empty vault, so it is verified.
const RUN: [&str; 1] = ["verify"];

#[test]
fn a_run_without_a_daemon_sends_its_numbers_at_its_end() {
    let receiver = Wire::start(|_| EMPTY);
    let desk = configured(&receiver.url, "otlp_headers = \"file:headers\"\n");
    desk.write("headers", "authorization: Bearer s3cret\nx-scope: backups\n");
    let done = desk.run(&RUN);
    assert!(!format!("{done:?}").contains("not sent"), "{done:?}");
    let [request] = &receiver.seen()[..] else { panic!("{:?}", receiver.seen()) };
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/metrics"));
    assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(request.header("authorization"), Some("Bearer s3cret"));
    assert_eq!(request.header("x-scope"), Some("backups"));
    for text in
        ["service.name", "service.instance.id", "ghevault_task_runs_total", "ghevault_objective_state"]
    {
        assert!(has(request, text), "{text}");
    }
    desk.write("headers", "s3cret\n");
    let done = desk.run(&RUN).complains("no headers");
    assert!(!format!("{done:?}").contains("s3cret"), "{done:?}");
}

#[test]
fn a_receiver_that_is_away_or_slow_or_takes_only_a_part_changes_no_run() {
    let code = configured("http://127.0.0.1:1", "").run(&RUN).complains("metrics were not sent").code;
    let refuses = Wire::start(|_| Answer::Say(400, "text/plain", String::new()));
    assert_eq!(configured(&refuses.url, "").run(&RUN).complains("it answers 400").code, code);
    let silent = liar("", silence);
    assert_eq!(configured(&silent, "").run(&RUN).complains("no answer within 10 s").code, code);
    // ExportMetricsServiceResponse { partial_success { rejected_data_points: 7, error_message: "too old" } }
    let part = Wire::start(|_| {
        Answer::Say(200, "application/x-protobuf", "\n\u{b}\u{8}\u{7}\u{12}\u{7}too old".into())
    });
    assert_eq!(
        configured(&part.url, "").run(&RUN).complains("did not take 7 of the numbers: too old").code,
        code
    );
}

#[test]
fn the_daemon_sends_again_and_again_and_says_once_that_nobody_takes_it() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let receiver = Wire::start(|_| match ASKED.fetch_add(1, Ordering::SeqCst) {
        1..=2 => Answer::Say(503, "text/plain", String::new()),
        _ => EMPTY,
    });
    let more = "otlp_every_s = 1\n[schedule]\nverify = \"0 0 1 1 *\"\n[daemon]\nlisten = \"none\"\n";
    let desk = configured(&receiver.url, more);
    let mut daemon = Daemon::start(&desk);
    daemon.until(&["metrics were not sent: it answers 503"]);
    daemon.until(&["metrics are sent again"]);
    assert!(receiver.seen().iter().all(|request| has(request, "ghevault_schedule_next_timestamp_seconds")));
    // Without a receiver it stops.
    desk.write("g.toml", "[schedule]\nverify = \"0 0 1 1 *\"\n[daemon]\nlisten = \"none\"\n");
    daemon.signal(rustix::process::Signal::HUP);
    daemon.until(&["the configuration was read again"]);
    // What was under way may still arrive.
    sleep(Duration::from_millis(300));
    let before = receiver.seen().len();
    sleep(Duration::from_millis(2500));
    assert_eq!(receiver.seen().len(), before);
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(daemon.ends(), 0);
}

#[test]
fn an_address_that_is_none_is_refused_and_so_are_secrets_in_the_clear() {
    let mut desk = Desk::new();
    for (text, why) in [
        ("otlp = \"127.0.0.1:4318\"", "metrics.otlp"),
        ("otlp = \"https://u:s3cret@otel.example.com\"", "metrics.otlp"),
        ("otlp = \"http://otel.example.com\"\notlp_headers = \"file:headers\"", "in the clear"),
        ("otlp = \"http://127.0.0.1:4318\"\notlp_every_s = 0", "metrics.otlp_every_s"),
    ] {
        desk.configure(&format!("[metrics]\n{text}\n"));
        desk.run(&["status"]).exits(2).complains(why);
    }
}
