//! `notify test`, against a real receiver on this machine.

use crate::support;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::{Command, Stdio},
    sync::{
        Mutex,
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};
use support::{
    Desk,
    wire::{liar, silence},
};

/// A receiver: answers with `answers` in turn, then 200; hands over what it got.
fn receiver(answers: &'static [u16]) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sender, got) = channel();
    thread::spawn(move || {
        let mut answers = answers.iter();
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a clone"));
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).expect("a line") == 0 || line == "\r\n" {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let code = answers.next().copied().unwrap_or(200);
            let _ = write!(stream, "HTTP/1.1 {code} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            if sender.send(format!("{head}\n{}", String::from_utf8_lossy(&body))).is_err() {
                return;
            }
        }
    });
    (format!("http://{address}/hook/s3cret"), got)
}

#[test]
fn everybody_gets_a_test_message_and_the_webhook_is_signed() {
    let mut desk = Desk::new();
    let (webhook, got_webhook) = receiver(&[]);
    let (slack, got_slack) = receiver(&[]);
    let (ping, got_ping) = receiver(&[]);
    for (name, text) in [("webhook", &webhook), ("slack", &slack), ("ping", &ping)] {
        desk.write(name, &format!("{text}\n"));
    }
    desk.write("key", "k3y\n");
    desk.configure("[notify]\nwebhook = \"file:webhook\"\nwebhook_key = \"file:key\"\nslack = \"file:slack\"\nping = \"file:ping\"\n");
    let told = desk.run(&["notify", "test", "--json"]).exits(0).json();
    for name in ["webhook", "slack", "ping"] {
        assert_eq!(told[name], "told");
    }
    let request = got_webhook.recv().expect("a request");
    assert!(
        request.contains("x-ghevault-signature: sha256=") && request.contains("\"subject\":\"test\""),
        "{request}"
    );
    assert!(got_slack.recv().expect("a request").contains("this is a test"));
    assert!(got_ping.recv().expect("a request").starts_with("POST /hook/s3cret/log "));
}

#[test]
fn messages_are_said_in_the_words_of_templates_and_signed_as_they_are_sent() {
    let mut desk = Desk::new();
    let (webhook, got_webhook) = receiver(&[]);
    let (slack, got_slack) = receiver(&[]);
    for (name, text) in [("webhook", webhook.as_str()), ("slack", &slack), ("key", "k3y")] {
        desk.write(name, text);
    }
    desk.configure(
        "host = \"ghe<1>.example.com\"\n[notify]\nwebhook = \"file:webhook\"\nwebhook_key = \"file:key\"\nslack = \"file:slack\"\n\
         slack_template = \"*{{ title }}* on {{ host }}\"\n\
         webhook_template = '''{\n  \"summary\": {{ severity ~ \": \" ~ title }}, \"run\": {{ run }}\n}'''\n",
    );
    desk.run(&["notify", "test"]).exits(0);
    let request = got_webhook.recv().expect("a request");
    let (head, body) = request.split_once("\n\n").unwrap_or_else(|| panic!("{request}"));
    assert_eq!(body, "{\n  \"summary\": \"info: this is a test\", \"run\": null\n}");
    let value = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{head}")).trim().to_owned()
    };
    let mut mac = Command::new("openssl");
    mac.args(["dgst", "-sha256", "-hmac", "k3y", "-hex"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut mac = mac.spawn().expect("openssl");
    let signed = format!("{}.{body}", value("x-ghevault-timestamp:"));
    mac.stdin.take().expect("a pipe").write_all(signed.as_bytes()).expect("written");
    let mac = String::from_utf8(mac.wait_with_output().expect("its end").stdout).expect("text");
    let mac = mac.trim().rsplit(' ').next().expect("a word");
    assert_eq!(value("x-ghevault-signature:"), format!("sha256={mac}"));
    let request = got_slack.recv().expect("a request");
    assert!(request.ends_with(r#"{"text":"*this is a test* on ghe&lt;1&gt;.example.com"}"#), "{request}");
}

#[test]
fn a_wrong_template_is_refused_with_its_place() {
    let mut desk = Desk::new();
    for (text, why) in [
        ("text_template = \"{{ title }}\\n{{ titel }}\"", "`notify.text_template`: line 2: undefined value"),
        ("slack_template = \"{% if %}\"", "`notify.slack_template`: line 1: syntax error"),
        ("webhook_template = '{\"text\": \"{{ title }}\"}'", "`notify.webhook_template`: it is not JSON"),
        ("subject_template = \"{{ run.snapshot }}\"", "(in a message of a run that failed)"),
    ] {
        desk.configure(&format!("[notify]\n{text}\n"));
        desk.run(&["notify", "test"]).exits(2).complains(why).complains("g.toml");
    }
}

#[test]
fn a_receiver_that_refuses_is_named_without_its_address() {
    let mut desk = Desk::new();
    let (slack, _got) = receiver(&[403]);
    desk.write("slack", &slack);
    desk.configure("[notify]\nslack = \"file:slack\"\n");
    let done = desk.run(&["notify", "test"]).exits(1);
    assert!(done.stdout.contains("slack: it answers 403"), "{done:?}");
    desk.write("slack", "http://127.0.0.1:1/hook/s3cret\n");
    let done = desk.run(&["notify", "test"]).exits(1);
    assert!(done.stdout.contains("onnect") && !format!("{done:?}").contains("s3cret"), "{done:?}");
    desk.write("slack", "not an address s3cret\n");
    let done = desk.run(&["notify", "test"]).exits(2).complains("no address");
    assert!(!format!("{done:?}").contains("s3cret"), "{done:?}");
}

#[test]
fn who_says_yes_and_breaks_off_or_never_ends_or_never_answers_was_not_told() {
    let mut desk = Desk::new();
    let breaks_off = liar("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok", |_| ());
    let drips = liar("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", |mut stream| {
        while stream.write_all(b"1\r\nx\r\n").is_ok() {
            thread::sleep(Duration::from_millis(500));
        }
    });
    let silent = liar("", silence);
    for (name, address) in [("webhook", &breaks_off), ("slack", &drips), ("ping", &silent)] {
        desk.write(name, address);
    }
    desk.configure("[notify]\nwebhook = \"file:webhook\"\nslack = \"file:slack\"\nping = \"file:ping\"\n");
    let told = desk.run(&["notify", "test", "--json"]).exits(1).json();
    assert_eq!(told["webhook"], "its answer breaks off");
    assert_eq!(told["slack"], "its answer does not end within 10 s");
    assert_eq!(told["ping"], "no answer within 10 s");
}

#[test]
fn a_receiver_that_never_answers_holds_nothing_up() {
    let mut desk = Desk::with_vault();
    let (told, asked) = channel();
    let told = Mutex::new(told);
    let silent = liar("", move |stream| {
        let _ = told.lock().expect("not poisoned").send("asked");
        silence(stream);
        let _ = told.lock().expect("not poisoned").send("given up");
    });
    let (ping, got_ping) = receiver(&[]);
    desk.write("webhook", &silent);
    desk.write("ping", &ping);
    desk.configure("[schedule]\nbackup = \"* * * * * *\"\n[daemon]\nlisten = \"none\"\n[notify]\nwebhook = \"file:webhook\"\nping = \"file:ping\"\n");
    let mut daemon = desk.command(&["daemon"]).stdout(std::process::Stdio::null()).spawn().expect("started");
    assert_eq!(asked.recv(), Ok("asked"));
    while got_ping.try_recv().is_ok() {}
    // While that message waits for its answer, runs go on: each pings at its beginning and at its end.
    for _ in 0..3 {
        got_ping.recv().expect("a ping");
    }
    assert!(asked.try_recv().is_err(), "runs went on only after the message was given up");
    assert!(desk.run(&["status", "--json"]).exits(0).json()["waiting"]["webhook"].as_u64() >= Some(1));
    daemon.kill().expect("killed");
    daemon.wait().expect("ended");
}

#[test]
fn with_nobody_to_tell_it_says_how_to_name_somebody() {
    Desk::new().run(&["notify", "test"]).exits(2).complains("notify.slack");
}

#[test]
fn the_daemon_pings_and_tells_of_trouble_once_although_the_receiver_fails_first() {
    let mut desk = Desk::with_vault();
    let (webhook, got) = receiver(&[500]);
    let (ping, got_ping) = receiver(&[]);
    desk.write("webhook", &webhook);
    desk.write("ping", &ping);
    // Nothing is there that could be backed up: the run is refused as wrongly configured.
    desk.configure("[schedule]\nbackup = \"* * * * * *\"\n[daemon]\nlisten = \"none\"\n[notify]\nwebhook = \"file:webhook\"\nping = \"file:ping\"\n");
    let mut daemon = desk.command(&["daemon"]).stdout(std::process::Stdio::null()).spawn().expect("started");
    assert!(got_ping.recv().expect("a ping").starts_with("POST /hook/s3cret/start?rid="));
    let ended = got_ping.recv().expect("a ping");
    assert!(
        ended.starts_with("POST /hook/s3cret/2?rid=") && ended.contains("no appliance is named"),
        "{ended}"
    );
    let (first, second) = (got.recv().expect("a message"), got.recv().expect("the same again"));
    assert_eq!(first.lines().last(), second.lines().last());
    assert!(first.contains("\"subject\":\"backup\"") && first.contains("critical"), "{first}");
    // The next runs fail likewise: that is no news. The objective that breaks with it is told once.
    for _ in 0..4 {
        got_ping.recv().expect("a ping");
    }
    let more: Vec<String> = got.try_iter().collect();
    assert!(more.len() <= 1 && more.iter().all(|one| one.contains("\"subject\":\"objective\"")), "{more:#?}");
    daemon.kill().expect("killed");
    daemon.wait().expect("ended");
}
