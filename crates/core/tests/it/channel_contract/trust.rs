//! Whom a transport trusts and by whom it is trusted, and what is said when either fails.

use std::{
    io::Read,
    net::TcpListener,
    time::{Duration, Instant},
};

use ghevault_core::{
    appliance::{
        channel::{ChannelError, RemoteCommand},
        target::Target,
        transport::{TransportKind, TransportSettings, connect},
    },
    keys::ClientKey,
};

use super::{
    agent::Agent,
    bench::{over, refused, says},
};
use crate::{
    contract,
    support::sshd::{KEY_KINDS, Sshd},
};

const LIMIT: Duration = Duration::from_mins(1);

contract! {
    an_unknown_host_key_is_shown_and_refused
    a_changed_host_key_is_shown_and_refused
    a_host_key_that_changes_under_a_transport_is_refused_too
    a_host_without_the_pinned_kind_of_key_counts_as_changed
    the_pinned_kind_of_key_is_asked_for
    every_kind_of_client_key_lets_us_in
    an_agent_lets_us_in_with_whichever_of_its_keys_is_known
    an_agent_without_a_known_key_is_told
    a_key_that_the_host_does_not_know_is_named
    a_shell_that_runs_nothing_is_no_admin_shell
    a_closed_port_is_a_failed_connection
    a_host_that_never_answers_runs_into_the_connect_limit
    a_host_that_falls_silent_is_given_up
    a_broken_pin_is_an_error_and_not_an_unknown_host
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
        settings.key = sshd.client_key(client_key).into();
        let channel = connect(settings).expect(client_key);
        assert_eq!(says(&*channel, "echo in"), "in\n");
    }
}

fn an_agent_lets_us_in_with_whichever_of_its_keys_is_known(kind: TransportKind) {
    let sshd = Sshd::start();
    let agent = Agent::start();
    sshd.stranger_key();
    for path in [sshd.client_key_path("ed25519").with_file_name("stranger"), sshd.client_key_path("rsa")] {
        agent.add(&path);
    }
    let mut settings = over(kind, sshd.settings());
    settings.key = ClientKey::Agent(agent.socket());
    let channel = connect(settings).expect("the second key is known");
    assert_eq!(says(&*channel, "echo in"), "in\n");
}

fn an_agent_without_a_known_key_is_told(kind: TransportKind) {
    let sshd = Sshd::start();
    let agent = Agent::start();
    sshd.stranger_key();
    agent.add(&sshd.client_key_path("ed25519").with_file_name("stranger"));
    let mut settings = over(kind, sshd.settings());
    settings.key = ClientKey::Agent(agent.socket());
    match refused(settings) {
        ChannelError::Authentication { key, .. } => assert!(key.contains("ssh-agent"), "{key}"),
        other => panic!("{other}"),
    }
}

fn a_key_that_the_host_does_not_know_is_named(kind: TransportKind) {
    let sshd = Sshd::start();
    let mut settings = over(kind, sshd.settings());
    settings.key = sshd.stranger_key().into();
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
    let target = Target::parse("127.0.0.1:1").expect("a target");
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
