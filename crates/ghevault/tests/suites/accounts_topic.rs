//! Messages to a topic of SNS: by whoever may, by whoever may not, and while SNS is down, slow or lies.

use crate::support;
use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};
use support::{
    Desk,
    accounts::variable,
    wire::{liar, silence},
};

/// A desk in account A that tells the topic.
fn desk(profile: &str) -> Desk {
    let mut desk = Desk::in_account(profile);
    desk.set("AWS_ENDPOINT_URL_SNS", &variable("GHEVAULT_TEST_SNS_ENDPOINT"));
    let text = format!("[notify]\nsns = \"{}\"\n", variable("GHEVAULT_TEST_SNS_TOPIC"));
    desk.configure(&text);
    desk
}

/// What the subscription of the topic gets.
fn subscriber() -> Receiver<String> {
    let listener = TcpListener::bind(variable("GHEVAULT_TEST_SNS_SINK")).expect("the port of the suite");
    let (sender, got) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a limit");
            let mut bytes = Vec::new();
            let mut room = [0; 8192];
            while let Ok(count @ 1..) = stream.read(&mut room) {
                bytes.extend_from_slice(&room[..count]);
                let text = String::from_utf8_lossy(&bytes);
                if text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.trim_end().ends_with('}')) {
                    break;
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            if sender.send(String::from_utf8_lossy(&bytes).into_owned()).is_err() {
                return;
            }
        }
    });
    got
}

#[test]
fn a_message_to_a_topic_reaches_who_has_subscribed() {
    let got = subscriber();
    let told = desk("a-runner").run(&["notify", "test", "--json"]).exits(0).json();
    assert_eq!(told["sns"], "told");
    let request = got.recv_timeout(Duration::from_secs(20)).expect("a message");
    assert!(request.contains("this is a test"), "{request}");
}

#[test]
fn who_may_not_publish_is_told_so() {
    let mut desk = desk("a-nobody");
    // As SNS says it; moto knows no policies of topics.
    let no = liar(
        "HTTP/1.1 403 Forbidden\r\ncontent-type: text/xml\r\nconnection: close\r\n\r\n\
         <ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>\
         <Code>AuthorizationError</Code><Message>User is not authorized to perform: SNS:Publish</Message></Error>\
         <RequestId>1</RequestId></ErrorResponse>",
        |_| (),
    );
    desk.set("AWS_ENDPOINT_URL_SNS", &no);
    let told = desk.run(&["notify", "test", "--json"]).exits(1).json();
    let why = told["sns"].as_str().expect("a reason");
    assert!(
        why.contains("AuthorizationError") && why.contains("not authorized to perform: SNS:Publish"),
        "{why}"
    );
}

#[test]
fn a_topic_service_that_is_down_broken_lying_or_silent_was_not_told() {
    let mut desk = desk("a-runner");
    let cases = [
        ("down", "http://127.0.0.1:9".to_owned()),
        ("broken", liar("HTTP/1.1 500 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", |_| ())),
        ("breaks off", liar("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n<PublishResponse>", |_| ())),
        (
            "no answer of SNS",
            liar("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", |_| ()),
        ),
        ("silent", liar("", silence)),
    ];
    for (case, endpoint) in cases {
        desk.set("AWS_ENDPOINT_URL_SNS", &endpoint);
        let began = Instant::now();
        let told = desk.run(&["notify", "test", "--json"]).exits(1).json();
        let why = told["sns"].as_str().expect("a reason").to_owned();
        assert!(why.starts_with("SNS did not take a message"), "{case}: {why}");
        assert!(began.elapsed() < Duration::from_secs(90), "{case}: {:?}", began.elapsed());
    }
}
