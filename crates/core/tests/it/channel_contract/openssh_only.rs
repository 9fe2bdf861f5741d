//! What only the transport over the OpenSSH client has: a program and a site's own options.

use std::{path::Path, time::Duration};

use ghevault_core::appliance::{
    channel::ChannelError,
    hostkeys::HostKey,
    openssh::scan,
    target::Target,
    transport::{TransportKind, connect},
};

use super::bench::{over, refused, says};
use crate::support::sshd::{KEY_KINDS, Sshd};

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

/// Options that lead through another server.
fn through(bastion: &Sshd) -> Vec<String> {
    let target = bastion.target();
    let command = format!(
        "ProxyCommand=ssh -F none -i {} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no \
         -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -l {} -p {} -W %h:%p {}",
        bastion.client_key_path("ed25519").display(),
        target.user(),
        target.port(),
        target.host()
    );
    vec!["-o".to_owned(), command]
}

#[test]
fn a_host_behind_a_bastion_is_scanned_and_reached() {
    let (bastion, sshd) = (Sshd::start(), Sshd::with(&KEY_KINDS, ""));
    let mut settings = over(TransportKind::OpenSsh, sshd.settings());
    settings.ssh_options = through(&bastion);
    let limit = Duration::from_secs(15);
    let mut shown = scan(&settings.target, Path::new("ssh"), &settings.ssh_options, limit).expect("scanned");
    let mut there: Vec<_> = KEY_KINDS.iter().map(|kind| sshd.host_key(kind)).collect();
    shown.sort_by_key(HostKey::kind);
    there.sort_by_key(HostKey::kind);
    assert_eq!(shown, there);
    let before = bastion.connections();
    let channel = connect(settings.clone()).expect("connected");
    assert_eq!(says(&*channel, "echo inside"), "inside\n");
    assert!(bastion.connections() > before);
    sshd.renew_host_key("ed25519");
    assert!(matches!(refused(settings), ChannelError::HostKeyChanged { .. }));
}

#[test]
fn a_scan_that_reaches_nobody_says_why() {
    let target = Target::parse("127.0.0.1:1").expect("a target");
    match scan(&target, Path::new("ssh"), &[], Duration::from_secs(15)) {
        Err(ChannelError::Connect { reason, .. }) => assert!(reason.contains("refused"), "{reason}"),
        other => panic!("{other:?}"),
    }
}
