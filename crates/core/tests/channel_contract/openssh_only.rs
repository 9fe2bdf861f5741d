//! What only the transport over the OpenSSH client has: a program and a site's own options.

use ghevault_core::appliance::{
    channel::ChannelError,
    transport::{TransportKind, connect},
};

use crate::{
    bench::{over, refused, says},
    sshd::Sshd,
};

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
