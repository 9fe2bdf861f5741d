//! Whom a transport trusts and by whom it is trusted: host keys, client keys, and what is said when either fails.

#[path = "support/sshd.rs"]
mod sshd;

use std::{
    io::{Read, Write},
    net::TcpListener,
    time::{Duration, Instant},
};

use ghevault_core::appliance::{
    channel::{Channel, ChannelError, RemoteCommand},
    hostkeys::HostKey,
    russh::scan,
    target::Target,
    transport::{TransportKind, TransportSettings, connect},
};
use sshd::{KEY_KINDS, Sshd};

const LIMIT: Duration = Duration::from_secs(15);

fn over(kind: TransportKind, mut settings: TransportSettings) -> TransportSettings {
    settings.kind = kind;
    settings
}

/// The error of a connection that must not come about.
fn refused(settings: TransportSettings) -> ChannelError {
    match connect(settings) {
        Ok(_) => panic!("connected"),
        Err(error) => error,
    }
}

fn says(channel: &dyn Channel, script: &str) -> String {
    let output = channel.run(&RemoteCommand::new("test", script), b"").expect("ran");
    String::from_utf8(output.stdout).expect("text")
}

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

fn an_unknown_host_key_is_shown_and_refused(kind: TransportKind) {
    let sshd = Sshd::start();
    let settings = TransportSettings::new(sshd.target(), sshd.client_key("ed25519"), sshd.pins());
    match refused(over(kind, settings)) {
        ChannelError::HostKeyUnknown { shown, .. } => {
            assert_eq!(shown, sshd.host_key("ed25519").fingerprint());
        }
        other => panic!("{other}"),
    }
}

fn a_changed_host_key_is_shown_and_refused(kind: TransportKind) {
    let sshd = Sshd::start();
    let settings = sshd.settings();
    let old = sshd.host_key("ed25519").fingerprint();
    sshd.renew_host_key("ed25519");
    match refused(over(kind, settings)) {
        ChannelError::HostKeyChanged { pinned, shown, .. } => {
            assert_eq!(pinned, old);
            assert_eq!(shown, sshd.host_key("ed25519").fingerprint());
        }
        other => panic!("{other}"),
    }
}

fn a_host_key_that_changes_under_a_transport_is_refused_too(kind: TransportKind) {
    let sshd = Sshd::start();
    let channel = connect(over(kind, sshd.settings())).expect("connected");
    sshd.renew_host_key("ed25519");
    let command = RemoteCommand::bulk("bulk", "true", LIMIT);
    let error = channel.start(&command).err().expect("a new connection to another host");
    assert!(matches!(error, ChannelError::HostKeyChanged { .. }), "{error}");
}

fn a_host_without_the_pinned_kind_of_key_counts_as_changed(kind: TransportKind) {
    let sshd = Sshd::with(&["ed25519"], "");
    let settings = sshd.settings();
    let other = Sshd::with(&["rsa:2048"], "");
    settings.pins.replace(&other.target(), &[sshd.host_key("ed25519")]).expect("pinned");
    let settings = TransportSettings { target: other.target(), ..settings };
    match refused(over(kind, settings)) {
        ChannelError::HostKeyChanged { shown, .. } => {
            assert_eq!(shown, other.host_key("rsa:2048").fingerprint());
        }
        other => panic!("{other}"),
    }
}

fn the_pinned_kind_of_key_is_asked_for(kind: TransportKind) {
    let sshd = Sshd::with(&KEY_KINDS, "");
    for host_key in KEY_KINDS {
        let settings = sshd.settings();
        settings.pins.replace(&sshd.target(), &[sshd.host_key(host_key)]).expect("pinned");
        let channel = connect(over(kind, settings)).expect(host_key);
        assert_eq!(channel.host_key(), Some(sshd.host_key(host_key).fingerprint()));
    }
}

fn every_kind_of_client_key_lets_us_in(kind: TransportKind) {
    let sshd = Sshd::start();
    for client_key in KEY_KINDS {
        let mut settings = over(kind, sshd.settings());
        settings.key = sshd.client_key(client_key);
        let channel = connect(settings).expect(client_key);
        assert_eq!(says(&*channel, "echo in"), "in\n");
    }
}

fn a_key_that_the_host_does_not_know_is_named(kind: TransportKind) {
    let sshd = Sshd::start();
    let mut settings = over(kind, sshd.settings());
    settings.key = sshd.stranger_key();
    let (fingerprint, name) = (settings.key.fingerprint(), sshd.target().user().to_owned());
    match refused(settings) {
        ChannelError::Authentication { user, key, .. } => assert_eq!((user, key), (name, fingerprint)),
        other => panic!("{other}"),
    }
}

fn a_shell_that_runs_nothing_is_no_admin_shell(kind: TransportKind) {
    let sshd = Sshd::with(&["ed25519"], "ForceCommand echo 'no shell access here' >&2; exit 1");
    match refused(over(kind, sshd.settings())) {
        ChannelError::Connect { reason, .. } => {
            assert!(reason.contains("no shell access here"), "{reason}");
        }
        other => panic!("{other}"),
    }
}

fn a_closed_port_is_a_failed_connection(kind: TransportKind) {
    let sshd = Sshd::start();
    let settings = sshd.settings();
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let target = Target::parse(&free.to_string()).expect("a target");
    settings.pins.pin(&target, &[sshd.host_key("ed25519")]).expect("pinned");
    match refused(over(kind, TransportSettings { target, ..settings })) {
        ChannelError::Connect { reason, .. } => assert!(reason.contains("refused"), "{reason}"),
        other => panic!("{other}"),
    }
}

fn a_host_that_never_answers_runs_into_the_connect_limit(kind: TransportKind) {
    let sshd = Sshd::start();
    let mut settings = over(kind, sshd.settings());
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    settings.target = Target::parse(&address).expect("a target");
    settings.pins.pin(&settings.target, &[sshd.host_key("ed25519")]).expect("pinned");
    settings.connect_timeout = Duration::from_secs(1);
    let since = Instant::now();
    assert!(matches!(refused(settings), ChannelError::Connect { .. }));
    assert!(since.elapsed() < LIMIT, "{:?}", since.elapsed());
}

fn a_host_that_falls_silent_is_given_up(kind: TransportKind) {
    let sshd = Sshd::start();
    let mut settings = over(kind, sshd.settings());
    settings.keepalive_interval = Duration::from_secs(1);
    settings.keepalives_missed_max = 1;
    let channel = connect(settings).expect("connected");
    let number = sshd.connections();
    let mut command = RemoteCommand::bulk("silent", "echo ready; exec sleep 1000", LIMIT);
    command.idle = None;
    let mut running = channel.start(&command).expect("started");
    let mut stdout = running.take_stdout().expect("stdout");
    stdout.read_exact(&mut [0; 6]).expect("ready");
    sshd.freeze_connection(number);
    let since = Instant::now();
    assert!(stdout.read(&mut [0; 1]).is_err());
    assert!(matches!(running.wait(), Err(ChannelError::Ended { .. })));
    assert!(since.elapsed() < LIMIT, "{:?}", since.elapsed());
}

fn a_broken_pin_is_an_error_and_not_an_unknown_host(kind: TransportKind) {
    let sshd = Sshd::start();
    let settings = sshd.settings();
    let line = format!("{} ssh-ed25519 AAAAbroken\n", sshd.target().known_hosts_name());
    std::fs::write(settings.pins.path(), line).expect("written");
    match refused(over(kind, settings)) {
        ChannelError::Connect { reason, .. } => assert!(reason.contains("line 1"), "{reason}"),
        other => panic!("{other}"),
    }
}

macro_rules! contract {
    ($($case:ident)*) => {
        mod over_russh {
            $(#[test] fn $case() { super::$case(super::TransportKind::Russh); })*
        }
        mod over_openssh {
            $(#[test] fn $case() { super::$case(super::TransportKind::OpenSsh); })*
        }
    };
}

contract! {
    an_unknown_host_key_is_shown_and_refused
    a_changed_host_key_is_shown_and_refused
    a_host_key_that_changes_under_a_transport_is_refused_too
    a_host_without_the_pinned_kind_of_key_counts_as_changed
    the_pinned_kind_of_key_is_asked_for
    every_kind_of_client_key_lets_us_in
    a_key_that_the_host_does_not_know_is_named
    a_shell_that_runs_nothing_is_no_admin_shell
    a_closed_port_is_a_failed_connection
    a_host_that_never_answers_runs_into_the_connect_limit
    a_host_that_falls_silent_is_given_up
    a_broken_pin_is_an_error_and_not_an_unknown_host
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

#[test]
fn site_options_reach_ssh_but_cannot_weaken_the_host_key_check() {
    let sshd = Sshd::start();
    let mut settings = over(TransportKind::OpenSsh, sshd.settings());
    settings.ssh_options =
        ["-o", "StrictHostKeyChecking=no", "-o", "SetEnv=LC_MARK=here"].map(str::to_owned).into();
    sshd.configure(&["ed25519"], "AcceptEnv LC_MARK");
    let channel = connect(settings.clone()).expect("connected");
    assert_eq!(says(&*channel, "echo $LC_MARK"), "here\n");
    sshd.renew_host_key("ed25519");
    assert!(matches!(refused(settings), ChannelError::HostKeyChanged { .. }));
}

#[test]
fn a_missing_or_misused_ssh_program_is_explained() {
    let sshd = Sshd::start();
    let mut settings = over(TransportKind::OpenSsh, sshd.settings());
    settings.ssh_program = "/nonexistent/ssh".into();
    assert!(refused(settings.clone()).to_string().contains("/nonexistent/ssh"));
    settings.ssh_program = "ssh".into();
    settings.ssh_options = vec!["-o".to_owned(), "NoSuchOption=1".to_owned()];
    let error = refused(settings).to_string();
    assert!(error.to_lowercase().contains("nosuchoption"), "{error}");
}
