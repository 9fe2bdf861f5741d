//! E-mail and the queue of messages, against receivers on this machine that are well, refuse, or come back late.

use crate::support;
use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};
use support::Desk;

/// A mail server that answers the end of a message with each of `answers`, then takes all; hands over what it got.
fn server(listener: TcpListener, answers: &'static [&'static str]) -> Receiver<String> {
    let (sender, got) = channel();
    thread::spawn(move || {
        let mut answers = answers.iter();
        for stream in listener.incoming().flatten() {
            let _ = talk(stream, &mut answers, &sender);
        }
    });
    got
}

fn talk(
    mut stream: TcpStream,
    answers: &mut std::slice::Iter<'_, &'static str>,
    sender: &Sender<String>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut mail, mut content) = (String::new(), false);
    stream.write_all(b"220 here\r\n")?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        mail.push_str(&line);
        if content && line != ".\r\n" {
            continue;
        }
        let verb = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "." => {
                content = false;
                let answer = answers.next().copied().unwrap_or("250 taken");
                let _ = sender.send(format!("{answer}\n{}", std::mem::take(&mut mail)));
                answer
            }
            "DATA" => {
                content = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            _ => "250 yes",
        };
        write!(stream, "{answer}\r\n")?;
    }
}

fn open() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("smtp://{}", listener.local_addr().expect("an address"));
    (listener, address)
}

const MAIL: &str = "mail = \"file:mail\"\nmail_from = \"Backups <backup@example.com>\"\nmail_to = [\"a@example.com\", \"b@example.com\"]\n";

fn configured(desk: &mut Desk, server: &str, text: &str) {
    desk.write("mail", server);
    desk.configure(text);
}

fn daemon(desk: &Desk) -> Child {
    desk.command(&["daemon"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

fn end(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("ended");
}

#[test]
fn a_test_mail_has_all_receivers_a_subject_and_an_id() {
    let mut desk = Desk::new();
    let (listener, address) = open();
    let got = server(listener, &[]);
    configured(&mut desk, &address, &format!("[notify]\n{MAIL}"));
    assert_eq!(desk.run(&["notify", "test", "--json"]).exits(0).json()["mail"], "told");
    let mail = got.recv().expect("a mail");
    for part in [
        "RCPT TO:<a@example.com>",
        "RCPT TO:<b@example.com>",
        "Subject: [ghevault] ok: this is a test",
        "Auto-Submitted: auto-generated",
        "@ghevault>",
    ] {
        assert!(mail.contains(part), "`{part}` is missing in {mail}");
    }
}

#[test]
fn a_mail_is_said_in_the_words_of_templates_and_its_subject_stays_one_line() {
    let mut desk = Desk::new();
    let (listener, address) = open();
    let got = server(listener, &[]);
    let words = "subject_template = \"{{ severity|upper }} {{ subject }}\\nBcc: c@example.com\"\n\
                 text_template = \"Look at https://wiki.example.com/ghevault: {{ title }}\"\n";
    configured(&mut desk, &address, &format!("[notify]\n{MAIL}{words}"));
    desk.run(&["notify", "test"]).exits(0);
    let mail = got.recv().expect("a mail");
    assert!(mail.contains("Subject: INFO test?Bcc: c@example.com\r\n"), "{mail}");
    assert!(mail.contains("\r\n\r\nLook at https://wiki.example.com/ghevault: this is a test\r\n"), "{mail}");
}

#[test]
fn a_server_that_refuses_or_is_not_there_is_named_without_its_password() {
    let mut desk = Desk::new();
    let (listener, address) = open();
    let _got = server(listener, &["550 not you"]);
    configured(&mut desk, &address, &format!("[notify]\n{MAIL}"));
    assert!(desk.run(&["notify", "test"]).exits(1).stdout.contains("not you"));
    configured(&mut desk, "smtp://me:s3cret@127.0.0.1:1", &format!("[notify]\n{MAIL}"));
    let done = desk.run(&["notify", "test"]).exits(1);
    assert!(!format!("{done:?}").contains("s3cret"), "{done:?}");
    configured(&mut desk, "smtp://me:s3cret@mail.example.com", &format!("[notify]\n{MAIL}"));
    let done = desk.run(&["notify", "test"]).exits(2).complains("in the clear");
    assert!(!format!("{done:?}").contains("s3cret"), "{done:?}");
}

/// Nothing is there that could be backed up: each run is refused as wrongly configured, and that is told once.
const TROUBLE: &str = "[schedule]\nbackup = \"* * * * * *\"\n[daemon]\nlisten = \"none\"\n[notify]\n";

#[test]
fn a_message_survives_a_receiver_that_is_away_and_a_daemon_that_is_killed_and_comes_once() {
    let mut desk = Desk::with_vault();
    let (listener, address) = open();
    drop(listener);
    configured(&mut desk, &address, &format!("{TROUBLE}{MAIL}"));
    let first = daemon(&desk);
    while desk.run(&["status", "--json"]).exits(0).json()["waiting"]["mail"].is_null() {
        thread::park_timeout(Duration::from_millis(50));
    }
    end(first);
    let waiting = &desk.run(&["status", "--json"]).exits(0).json()["waiting"]["mail"];
    assert!(waiting.as_u64().is_some_and(|count| count <= 2), "{waiting}");
    // Later the receiver is back; at first it has no time.
    let listener = TcpListener::bind(address.trim_start_matches("smtp://")).expect("the same port");
    let got = server(listener, &["451 later"]);
    let second = daemon(&desk);
    let (refused, taken) = (got.recv().expect("a try"), got.recv().expect("the same again"));
    assert!(refused.starts_with("451") && taken.starts_with("250"), "{refused}\n{taken}");
    let subject = |mail: &str| mail.lines().find(|line| line.starts_with("Subject:")).map(str::to_owned);
    assert_eq!(subject(&refused), subject(&taken));
    while !desk.run(&["status", "--json"]).exits(0).json()["waiting"]["mail"].is_null() {
        thread::park_timeout(Duration::from_millis(50));
    }
    end(second);
    let more: Vec<_> = got.try_iter().filter_map(|mail| subject(&mail)).collect();
    assert!(!more.contains(&subject(&taken).expect("a subject")), "{more:?}");
}

#[test]
fn a_digest_says_how_everything_stands() {
    let mut desk = Desk::with_vault();
    let (listener, address) = open();
    let got = server(listener, &[]);
    let text = format!("{TROUBLE}digest = \"* * * * * *\"\n{MAIL}")
        .replace("* * * * * *\"\n[daemon]", "0 0 1 1 *\"\n[daemon]");
    configured(&mut desk, &address, &text);
    desk.write("state/digest.json", "\"2026-01-01T00:00:00Z\"");
    let daemon = daemon(&desk);
    let mail = got.recv().expect("a digest");
    end(daemon);
    assert!(mail.contains("[ghevault] warning: digest: unknown, 0 complete backup(s)"), "{mail}");
    assert!(mail.contains("objective: unknown; no complete snapshot is known to this host"), "{mail}");
    assert!(mail.contains("next: backup at"), "{mail}");
}
