//! What only the transport in this process has: scans, a shared connection, session keys of its own asking.

use std::{
    io::{Read, Write},
    net::TcpListener,
    time::Duration,
};

use ghevault_core::appliance::{
    channel::{ChannelError, RemoteCommand},
    hostkeys::HostKey,
    russh::scan,
    target::Target,
    transport::connect,
};

use super::bench::says;
use crate::support::sshd::{KEY_KINDS, Sshd};

const LIMIT: Duration = Duration::from_secs(15);

#[test]
fn a_scan_shows_every_kind_of_host_key_and_trusts_none() {
    let sshd = Sshd::with(&KEY_KINDS, "");
    let mut shown = scan(&sshd.target(), LIMIT).expect("scanned");
    let mut there: Vec<_> = KEY_KINDS.iter().map(|kind| sshd.host_key(kind)).collect();
    shown.sort_by_key(HostKey::kind);
    there.sort_by_key(HostKey::kind);
    assert_eq!(shown, there);
    assert!(!sshd.pins().path().exists());
}

#[test]
fn a_scan_of_a_host_with_one_key_shows_one() {
    let sshd = Sshd::with(&["rsa:2048"], "");
    assert_eq!(scan(&sshd.target(), LIMIT).expect("scanned"), [sshd.host_key("rsa:2048")]);
}

#[test]
fn a_scan_of_something_else_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = Target::parse(&listener.local_addr().expect("an address").to_string()).expect("a target");
    let answer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 1024]);
    });
    assert!(matches!(scan(&target, LIMIT), Err(ChannelError::Connect { .. })));
    answer.join().expect("no panic");
    assert!(matches!(scan(&target, LIMIT), Err(ChannelError::Connect { .. })), "nobody listens any more");
}

#[test]
fn our_own_new_session_keys_lose_nothing() {
    let sshd = Sshd::start();
    let mut settings = sshd.settings();
    settings.rekey_bytes = 1024 * 1024;
    let channel = connect(settings).expect("connected");
    let input = vec![3; 20_000_000];
    let mut command = RemoteCommand::new("cat", "cat");
    command.bulk = true;
    let output = channel.run(&command, &input).expect("ran");
    assert!(output.stdout == input);
}

#[test]
fn short_commands_share_one_connection_and_bulk_commands_do_not() {
    let sshd = Sshd::start();
    let channel = connect(sshd.settings()).expect("connected");
    for _ in 0..3 {
        says(&*channel, "true");
    }
    assert_eq!(sshd.connections(), 1);
    for expected in [2, 3] {
        let exit = channel.start(&RemoteCommand::bulk("bulk", "true", LIMIT)).expect("started").wait();
        assert!(exit.expect("exit").status.success());
        assert_eq!(sshd.connections(), expected);
    }
}

#[test]
fn unread_output_ends_its_own_short_command_only() {
    let sshd = Sshd::start();
    let channel = connect(sshd.settings()).expect("connected");
    let mut flood =
        channel.start(&RemoteCommand::new("flood", "head -c 100000000 /dev/zero")).expect("started");
    let mut stdout = flood.take_stdout().expect("stdout");
    // The gate's shell beside it goes on answering.
    let mut gate = channel.start(&RemoteCommand::new("gate", "cat")).expect("started");
    let (mut to_gate, mut from_gate) =
        (gate.take_stdin().expect("stdin"), gate.take_stdout().expect("stdout"));
    for _ in 0..50 {
        to_gate.write_all(b"heartbeat").expect("written");
        from_gate.read_exact(&mut [0; 9]).expect("answered");
    }
    let error = flood.wait().expect_err("nobody read it");
    assert!(matches!(error, ChannelError::Stream { .. }), "{error}");
    let cut = std::io::copy(&mut stdout, &mut std::io::sink());
    assert!(cut.is_err(), "a cut output has no proper end");
    drop(to_gate);
    assert!(gate.wait().expect("exit").status.success());
    assert_eq!(sshd.connections(), 1);
}
