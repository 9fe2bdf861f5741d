//! `ghevault trust`: shows the host keys of an appliance and pins those that are accepted.

use super::{Invocation, connect};
use crate::error::{CommandError, CommandResult};
use clap::Args;
use ghevault_core::appliance::{
    hostkeys::{HostKey, LeakedKeys},
    russh,
    target::Target,
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

/// Shows and pins.
///
/// # Errors
/// No connection, nothing accepted, or the store cannot be written.
pub fn run(arguments: &TrustArgs, invocation: &Invocation) -> CommandResult {
    let target = match &arguments.host {
        Some(text) => connect::named_target(text)?,
        None => connect::configured_target(&invocation.settings)?,
    };
    let shown = russh::scan(&target, SCAN_LIMIT)?;
    let store = connect::pins(&invocation.settings);
    let pinned = store.pins(&target)?;
    let known = |key: &HostKey| pinned.contains(key);
    let accepted: Vec<HostKey> = if !arguments.accept.is_empty() {
        accept_named(&target, &shown, &arguments.accept)?
    } else if shown.iter().all(known) {
        shown.clone()
    } else {
        ask(&target, &shown, &pinned, invocation)?
    };
    // Keys that are pinned and still shown stay; those that the appliance no longer shows go.
    let keep: Vec<HostKey> =
        shown.iter().filter(|key| accepted.contains(key) || known(key)).cloned().collect();
    if let Some(warning) = LeakedKeys::known().warning(&keep, &target.to_string()) {
        tracing::warn!("{warning}");
    }
    if keep != pinned {
        store.replace(&target, &keep)?;
    }
    let rows: Vec<KeyRow> = shown
        .iter()
        .map(|key| KeyRow { kind: key.kind(), fingerprint: key.fingerprint(), pinned: keep.contains(key) })
        .collect();
    let value = serde_json::json!({ "host": target.to_string(), "keys": rows });
    invocation.screen.result(&value, || {
        let lines: Vec<String> = keep.iter().map(|key| format!("pinned for {target}: {key}")).collect();
        lines.join("\n")
    });
    Ok(())
}

/// The shown keys with one of the named fingerprints.
fn accept_named(target: &Target, shown: &[HostKey], named: &[String]) -> CommandResult<Vec<HostKey>> {
    let accepted: Vec<HostKey> =
        shown.iter().filter(|key| named.contains(&key.fingerprint())).cloned().collect();
    if accepted.is_empty() {
        let shown: Vec<String> = shown.iter().map(ToString::to_string).collect();
        return Err(CommandError::new(
            crate::error::Kind::Refused,
            format!("{target} shows none of the accepted keys; it shows {}", shown.join(", ")),
        )
        .hint("Compare with the appliance's console. If they differ, somebody else may be answering in its place."));
    }
    Ok(accepted)
}

/// Asks a person; everything but a clear yes means no.
fn ask(
    target: &Target,
    shown: &[HostKey],
    pinned: &[HostKey],
    invocation: &Invocation,
) -> CommandResult<Vec<HostKey>> {
    let mut text = format!("{target} shows:\n");
    for key in shown {
        let known = if pinned.contains(key) { " (pinned)" } else { "" };
        let _ = writeln!(text, "  {key}{known}");
    }
    for key in pinned.iter().filter(|key| !shown.contains(key)) {
        let _ = writeln!(text, "pinned until now, no longer shown:\n  {key}");
    }
    invocation.screen.say(text.trim_end());
    if invocation.screen.json || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let flags: Vec<String> = shown.iter().map(|key| format!("--accept {}", key.fingerprint())).collect();
        return Err(CommandError::failure(format!(
            "the host keys of {target} are not pinned: nobody was there to accept them"
        ))
        .hint(format!(
            "Compare the fingerprints with the appliance's console, then run `ghevault trust {target} {}`.",
            flags.join(" ")
        )));
    }
    print!("Pin these keys? Type yes to accept: ");
    let _ = io::stdout().flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer).unwrap_or_default();
    if read > 0 && answer.trim() == "yes" {
        Ok(shown.to_vec())
    } else {
        Err(CommandError::failure(format!("the host keys of {target} were not accepted")))
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
