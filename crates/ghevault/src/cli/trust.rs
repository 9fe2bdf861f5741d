//! `ghevault trust`: shows the host keys of an appliance and pins those that are accepted.

use super::{Invocation, connect};
use crate::error::{CommandError, CommandResult};
use clap::Args;
use ghevault_core::appliance::{
    facts::{self, FactsError, Role},
    fleet::Jump,
    hostkeys::{HostKey, LeakedKeys, PinStore},
    russh,
    target::Target,
    transport,
};
use serde::Serialize;
use std::fmt::Write as _;
use std::{
    io::{self, BufRead, IsTerminal, Write},
    time::Duration,
};

/// Longest time for one handshake.
const SCAN_LIMIT: Duration = Duration::from_secs(15);

/// Show the host keys of an appliance and pin them.
///
/// Compare the fingerprints with what the appliance's console shows (or `ghe-ssh-...` on its own terminal) before you
/// accept them. Without --accept a terminal is asked, and anything but `yes` means no; elsewhere the fingerprints are
/// printed and nothing is pinned.
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// The appliance, instead of --host
    #[arg(value_name = "[USER@]HOST[:PORT]")]
    host: Option<String>,
    /// Fingerprint of a key to pin without asking; may be given several times
    #[arg(long, value_name = "SHA256:…", value_parser = fingerprint)]
    accept: Vec<String>,
}

/// A fingerprint as OpenSSH prints it.
fn fingerprint(text: &str) -> Result<String, String> {
    let digits =
        text.strip_prefix("SHA256:").ok_or("a fingerprint begins with `SHA256:`")?.trim_end_matches('=');
    let base64 = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    if digits.len() == 43 && digits.chars().all(base64) {
        Ok(format!("SHA256:{digits}"))
    } else {
        Err("a SHA256 fingerprint has 43 base64 digits".to_owned())
    }
}

/// One key in the result.
#[derive(Debug, Serialize)]
struct KeyRow {
    #[serde(rename = "type")]
    kind: String,
    fingerprint: String,
    pinned: bool,
}

/// What one machine shows, and what is pinned for it.
struct Shown {
    /// What messages call it.
    named: String,
    /// The name of its pins.
    pin_name: String,
    keys: Vec<HostKey>,
    pinned: Vec<HostKey>,
}

impl Shown {
    fn known(&self) -> bool {
        self.keys.iter().all(|key| self.pinned.contains(key))
    }
}

/// One machine in the result.
#[derive(Debug, Serialize)]
struct HostRow {
    host: String,
    keys: Vec<KeyRow>,
}

/// Shows and pins.
///
/// # Errors
/// No connection, nothing accepted, or the store cannot be written.
pub fn run(arguments: &TrustArgs, invocation: &Invocation) -> CommandResult {
    let targets = match &arguments.host {
        Some(text) => vec![connect::named_target(text)?],
        None => connect::configured_targets(&invocation.settings)?,
    };
    let store = connect::pins(&invocation.settings);
    let mut first = Vec::new();
    for target in &targets {
        let pin_name = target.known_hosts_name();
        let pinned = store.pins_of(&pin_name)?;
        let keys = russh::scan(target, SCAN_LIMIT)?;
        first.push(Shown { named: target.to_string(), pin_name, keys, pinned });
    }
    let argument = arguments.host.as_ref().map_or_else(String::new, |host| format!(" {host}"));
    let mut rows = settle(&first, arguments, invocation, &store, &argument)?;
    let nodes = nodes(&targets[0], invocation, &store)?;
    rows.extend(settle(&nodes, arguments, invocation, &store, &argument)?);
    let value = serde_json::json!({ "host": rows[0].host, "keys": rows[0].keys, "hosts": (rows.len() > 1).then_some(&rows) });
    invocation.screen.result(&value, || {
        let line = |host: &str, key: &KeyRow| format!("pinned for {host}: {} {}", key.kind, key.fingerprint);
        let lines: Vec<String> = rows
            .iter()
            .flat_map(|row| row.keys.iter().filter(|key| key.pinned).map(|key| line(&row.host, key)))
            .collect();
        lines.join("\n")
    });
    Ok(())
}

/// What the nodes of a cluster show, asked through the appliance that was just pinned; none without an SSH key, or without a cluster.
fn nodes(target: &Target, invocation: &Invocation, store: &PinStore) -> CommandResult<Vec<Shown>> {
    if invocation.settings.ssh_key.is_none() {
        return Ok(Vec::new());
    }
    let way = connect::way(invocation, target.clone())?;
    let asked = transport::connect(way.clone())
        .map_err(FactsError::from)
        .and_then(|channel| facts::probe(&*channel, "/data/user", &target.to_string()));
    let facts = match asked {
        Ok(facts) => facts,
        Err(why) => {
            tracing::warn!("{target} could not be asked for its nodes, whose keys are not looked at: {why}");
            return Ok(Vec::new());
        }
    };
    let Some(fleet) = facts.fleet.filter(|_| facts.role == Role::Cluster) else { return Ok(Vec::new()) };
    let jump = Jump::through(way);
    let mut shown = Vec::new();
    for node in fleet.nodes.iter().filter(|node| node.name != fleet.own && !node.offline) {
        let way = jump.way(node)?;
        let pin_name = way.pin_name();
        match jump.scan(node) {
            Ok(keys) => {
                shown.push(Shown { named: way.named(), pinned: store.pins_of(&pin_name)?, pin_name, keys });
            }
            Err(why) => tracing::warn!("the host keys of {} cannot be looked at: {why}", node.name),
        }
    }
    Ok(shown)
}

/// Accepts, or asks, and pins.
fn settle(
    all: &[Shown],
    arguments: &TrustArgs,
    invocation: &Invocation,
    store: &PinStore,
    argument: &str,
) -> CommandResult<Vec<HostRow>> {
    if arguments.accept.is_empty() && !all.iter().all(Shown::known) {
        show(all, invocation);
        if invocation.screen.json || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(nobody(all, argument));
        }
    }
    let mut rows = Vec::new();
    for one in all {
        let accepted = if one.known() {
            one.keys.clone()
        } else if arguments.accept.is_empty() {
            ask(one)?
        } else {
            accept_named(one, &arguments.accept)?
        };
        // Keys that are pinned and still shown stay; those that the appliance no longer shows go.
        let stays = |key: &&HostKey| accepted.contains(key) || one.pinned.contains(key);
        let keep: Vec<HostKey> = one.keys.iter().filter(stays).cloned().collect();
        if let Some(warning) = LeakedKeys::known().warning(&keep, &one.named) {
            tracing::warn!("{warning}");
        }
        if keep != one.pinned {
            store.replace_of(&one.pin_name, &keep)?;
        }
        let row = |key: &HostKey| KeyRow {
            kind: key.kind(),
            fingerprint: key.fingerprint(),
            pinned: keep.contains(key),
        };
        rows.push(HostRow { host: one.named.clone(), keys: one.keys.iter().map(row).collect() });
    }
    Ok(rows)
}

/// The shown keys with one of the named fingerprints.
fn accept_named(one: &Shown, named: &[String]) -> CommandResult<Vec<HostKey>> {
    let accepted: Vec<HostKey> =
        one.keys.iter().filter(|key| named.contains(&key.fingerprint())).cloned().collect();
    if accepted.is_empty() {
        let shown: Vec<String> = one.keys.iter().map(ToString::to_string).collect();
        return Err(CommandError::new(
            crate::error::Kind::Refused,
            format!("{} shows none of the accepted keys; it shows {}", one.named, shown.join(", ")),
        )
        .hint("Compare with the appliance's console. If they differ, somebody else may be answering in its place."));
    }
    Ok(accepted)
}

/// Shows what is not known yet.
fn show(all: &[Shown], invocation: &Invocation) {
    for one in all.iter().filter(|one| !one.known()) {
        let mut text = format!("{} shows:\n", one.named);
        for key in &one.keys {
            let known = if one.pinned.contains(key) { " (pinned)" } else { "" };
            let _ = writeln!(text, "  {key}{known}");
        }
        for key in one.pinned.iter().filter(|key| !one.keys.contains(key)) {
            let _ = writeln!(text, "pinned until now, no longer shown:\n  {key}");
        }
        invocation.screen.say(text.trim_end());
    }
}

/// The error when keys are to be accepted and nobody is there.
fn nobody(all: &[Shown], argument: &str) -> CommandError {
    let unknown: Vec<&Shown> = all.iter().filter(|one| !one.known()).collect();
    let names: Vec<&str> = unknown.iter().map(|one| one.named.as_str()).collect();
    let mut flags: Vec<String> = unknown
        .iter()
        .flat_map(|one| one.keys.iter().map(|key| format!("--accept {}", key.fingerprint())))
        .collect();
    flags.dedup();
    let mut seen = std::collections::HashSet::new();
    flags.retain(|flag| seen.insert(flag.clone()));
    CommandError::failure(format!(
        "the host keys of {} are not pinned: nobody was there to accept them",
        names.join(", ")
    ))
    .hint(format!(
        "Compare the fingerprints with the appliance's console, then run `ghevault trust{argument} {}`.",
        flags.join(" ")
    ))
}

/// Asks a person; everything but a clear yes means no.
fn ask(one: &Shown) -> CommandResult<Vec<HostKey>> {
    print!("Pin these keys of {}? Type yes to accept: ", one.named);
    let _ = io::stdout().flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer).unwrap_or_default();
    if read > 0 && answer.trim() == "yes" {
        Ok(one.keys.clone())
    } else {
        Err(CommandError::failure(format!("the host keys of {} were not accepted", one.named))
            .hint("Nothing was pinned. Compare them with the appliance's console and run it again."))
    }
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn fingerprints_have_the_form_that_openssh_prints() {
        let good = "SHA256:ldyiXa1JQakitNU5tErauu8DvWQ1dZ7aXu+rm7KQuog";
        assert_eq!(fingerprint(good).as_deref(), Ok(good));
        assert_eq!(fingerprint(&format!("{good}=")).as_deref(), Ok(good));
        for text in ["", "MD5:aa", "SHA256:", "SHA256:short", &good[7..]] {
            assert!(fingerprint(text).is_err(), "{text}");
        }
    }
}
