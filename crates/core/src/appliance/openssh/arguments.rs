//! The arguments of one `ssh`.
//!
//! `ssh` takes the first value it is given for an option, so what must hold stands first, what sites may change stands
//! after their own options, and no configuration file is read unless they name one.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use russh::keys::Algorithm;

use crate::appliance::{hostkeys::HostKey, quote::quote, target::Target, transport::TransportSettings};

/// What the local command writes to stderr just before the remote command starts.
pub(super) const SESSION_MARK: &str = "ghevault: the session starts here";

/// Options that hold whatever a site says.
const FIRM: &[&str] = &[
    // Older clients do not know these and must not fail for them.
    "IgnoreUnknown=KnownHostsCommand,SessionType,StdinNull,ForkAfterAuthentication",
    "KnownHostsCommand=none",
    "SessionType=default",
    "StdinNull=no",
    "ForkAfterAuthentication=no",
    "BatchMode=yes",
    "GlobalKnownHostsFile=/dev/null",
    "CheckHostIP=no",
    "UpdateHostKeys=no",
    "VerifyHostKeyDNS=no",
    "NoHostAuthenticationForLocalhost=no",
    "ControlMaster=no",
    "ControlPath=none",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "RequestTTY=no",
    "PermitLocalCommand=yes",
    // The messages that tell an exit status from a lost connection.
    "LogLevel=DEBUG2",
];

/// Options that a site may have set otherwise.
const USUAL: &[&str] = &[
    "PreferredAuthentications=publickey",
    "ConnectionAttempts=1",
    "Compression=no",
    "Ciphers=^aes128-gcm@openssh.com,aes256-gcm@openssh.com",
];

/// Where `ssh` finds the key.
pub(super) enum Identity {
    /// A file.
    File(PathBuf),
    /// An agent's socket.
    Agent(PathBuf),
}

/// All arguments, the script last.
pub(super) fn arguments(
    settings: &TransportSettings,
    pins: &[HostKey],
    key: &Identity,
    log: &Path,
    proxy: Option<&str>,
    script: &str,
) -> Vec<OsString> {
    let mut all: Vec<OsString> = Vec::new();
    option(&mut all, "StrictHostKeyChecking=yes");
    let algorithms: Vec<_> = pins.iter().flat_map(HostKey::algorithms).collect();
    firm(&mut all, &settings.pin_name(), settings.pins.path(), &algorithms);
    option(&mut all, &format!("LocalCommand=echo '{SESSION_MARK}' >&2"));
    all.extend(["-E".into(), log.into()]);
    if let Identity::File(path) = key {
        all.extend(["-i".into(), path.into()]);
    }
    match proxy {
        // What a site says about the way holds for the appliance before the node.
        Some(proxy) => {
            option(&mut all, &format!("ProxyCommand={proxy}"));
            site(&mut all, &[]);
        }
        None => site(&mut all, &settings.ssh_options),
    }
    match key {
        Identity::File(_) => {
            option(&mut all, "IdentitiesOnly=yes");
            option(&mut all, "IdentityAgent=none");
        }
        Identity::Agent(socket) => {
            option(&mut all, "IdentityFile=none");
            option(&mut all, &format!("IdentityAgent=\"{}\"", escaped(socket)));
        }
    }
    for usual in USUAL {
        option(&mut all, usual);
    }
    option(&mut all, &format!("ServerAliveInterval={}", settings.keepalive_interval.as_secs().max(1)));
    option(&mut all, &format!("ServerAliveCountMax={}", settings.keepalives_missed_max));
    destination(&mut all, &settings.target, settings.connect_timeout);
    all.push(script.into());
    all
}

/// The local command that reaches `node` through an appliance: another `ssh`, and `nc.openbsd` over there, as backup-utils does it
/// (contract §7.3).
pub(super) fn proxy_command(
    way: &TransportSettings,
    pins: &[HostKey],
    key: &Identity,
    node: &Target,
) -> String {
    let script = format!("exec nc.openbsd {} {}", quote(node.host()), node.port());
    let words = arguments(way, pins, key, Path::new("/dev/null"), None, &script);
    let program = std::iter::once(way.ssh_program.clone().into_os_string());
    let quoted: Vec<String> = program.chain(words).map(|word| quote(&word.to_string_lossy())).collect();
    // `ssh` puts `exec` before it, and takes `%` for the start of a token; the messages of this one would be taken for the node's.
    format!("{} 2>/dev/null", quoted.join(" ").replace('%', "%%"))
}

/// All arguments of a client that only learns a host key of one of these kinds, into `known_hosts`.
pub(super) fn scan_arguments(
    target: &Target,
    site_options: &[String],
    kinds: &[Algorithm],
    known_hosts: &Path,
    connect_timeout: Duration,
) -> Vec<OsString> {
    let mut all: Vec<OsString> = Vec::new();
    // Into a file of this scan alone; nobody trusts it.
    option(&mut all, "StrictHostKeyChecking=accept-new");
    option(&mut all, "HashKnownHosts=no");
    option(&mut all, "PreferredAuthentications=none");
    firm(&mut all, &target.known_hosts_name(), known_hosts, kinds);
    site(&mut all, site_options);
    destination(&mut all, target, connect_timeout);
    all.push("true".into());
    all
}

fn option(all: &mut Vec<OsString>, text: &str) {
    all.extend(["-o".into(), OsString::from(text)]);
}

fn firm(all: &mut Vec<OsString>, alias: &str, known_hosts: &Path, kinds: &[Algorithm]) {
    for firm in FIRM {
        option(all, firm);
    }
    option(all, &format!("UserKnownHostsFile=\"{}\"", escaped(known_hosts)));
    option(all, &format!("HostKeyAlias={alias}"));
    if !kinds.is_empty() {
        let names: Vec<_> = kinds.iter().map(ToString::to_string).collect();
        option(all, &format!("HostKeyAlgorithms={}", names.join(",")));
    }
}

fn site(all: &mut Vec<OsString>, options: &[String]) {
    if !options.iter().any(|option| option.starts_with("-F")) {
        all.extend(["-F".into(), "none".into()]);
    }
    all.extend(options.iter().map(OsString::from));
}

fn destination(all: &mut Vec<OsString>, target: &Target, connect_timeout: Duration) {
    option(all, &format!("ConnectTimeout={}", connect_timeout.as_secs().max(1)));
    all.extend(["-l".into(), target.user().into(), "-p".into(), target.port().to_string().into()]);
    all.extend(["--".into(), target.host().into()]);
}

/// A path as the value of an option, where `%` starts a token and `"` ends the value.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%%").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        appliance::hostkeys::PinStore,
        keys::{Secret, SshKey},
    };

    const PIN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK2pr+Bfus1hvPof4Wb/plZCzSbqadHH0u+/f4ODtKnE";
    // A throw-away key in the form of RFC 8410, section 10.3.
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";

    fn settings(options: &[&str]) -> TransportSettings {
        let key = SshKey::parse(&Secret::new(KEY.into()), None).expect("a key");
        let target = Target::parse("me@[::1]:2222").expect("a target");
        let mut settings = TransportSettings::new(target, key, PinStore::below(Path::new("/st ate/50%")));
        settings.ssh_options = options.iter().map(|&option| option.to_owned()).collect();
        settings
    }

    fn lines(options: &[&str], pins: &[HostKey]) -> Vec<String> {
        arguments(
            &settings(options),
            pins,
            &Identity::File("/proc/1/fd/3".into()),
            Path::new("/proc/1/fd/4"),
            None,
            "-x; echo",
        )
        .into_iter()
        .map(|argument| argument.into_string().expect("text"))
        .collect()
    }

    fn position(all: &[String], argument: &str) -> usize {
        all.iter().position(|given| given == argument).unwrap_or_else(|| panic!("{argument} in {all:?}"))
    }

    #[test]
    fn what_must_hold_stands_before_what_a_site_says() {
        let all = lines(&["-o", "StrictHostKeyChecking=no", "-J", "bastion"], &[]);
        let theirs = position(&all, "StrictHostKeyChecking=no");
        for firm in ["StrictHostKeyChecking=yes", "UserKnownHostsFile=\"/st ate/50%%/known_hosts\""] {
            assert!(position(&all, firm) < theirs);
        }
        assert!(position(&all, "ServerAliveInterval=10") > theirs);
        assert!(position(&all, "HostKeyAlias=[::1]:2222") < theirs);
    }

    #[test]
    fn no_configuration_is_read_unless_one_is_named() {
        let all = lines(&[], &[]);
        assert_eq!(all[position(&all, "-F") + 1], "none");
        let all = lines(&["-F", "/etc/site"], &[]);
        assert_eq!(all.iter().filter(|argument| *argument == "-F").count(), 1);
    }

    #[test]
    fn with_an_agent_no_file_of_the_user_is_offered() {
        let agent = Identity::Agent("/run/user/1/ag ent".into());
        let all = arguments(&settings(&[]), &[], &agent, Path::new("/proc/1/fd/4"), None, "true");
        let all: Vec<String> =
            all.into_iter().map(|argument| argument.into_string().expect("text")).collect();
        position(&all, "IdentityAgent=\"/run/user/1/ag ent\"");
        position(&all, "IdentityFile=none");
        assert!(!all.iter().any(|argument| argument == "-i" || argument == "IdentitiesOnly=yes"));
    }

    #[test]
    fn host_keys_are_limited_to_the_pinned_kinds() {
        let pin = HostKey::parse(PIN).expect("a key");
        position(&lines(&[], &[pin]), "HostKeyAlgorithms=ssh-ed25519");
        assert!(!lines(&[], &[]).iter().any(|argument| argument.starts_with("HostKeyAlgorithms")));
    }

    #[test]
    fn host_and_script_are_never_options() {
        let all = lines(&[], &[]);
        assert_eq!(all[all.len() - 3..], ["--", "::1", "-x; echo"]);
        assert!(!all.iter().any(|argument| argument.contains("PRIVATE")));
    }
}
