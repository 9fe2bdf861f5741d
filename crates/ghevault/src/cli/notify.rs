//! `ghevault notify`: whether those who should be told can be reached.

use super::{Invocation, operate, post::Post};
use crate::error::{CommandError, CommandResult, Kind};
use clap::{Args, Subcommand};
use ghevault_core::notify::{Message, Severity};
use jiff::Timestamp;
use std::{collections::BTreeMap, fmt::Write as _};

/// Try those who are told of trouble: dead-man check, webhook, Slack, e-mail, SNS.
#[derive(Debug, Args)]
pub struct NotifyArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Send a test message to all of them, once
    Test,
}

/// Sends.
///
/// # Errors
/// Nobody is configured, or somebody is not reached.
pub fn run(arguments: &NotifyArgs, invocation: &Invocation) -> CommandResult {
    let What::Test = arguments.what;
    let settings = &invocation.settings;
    let post = Post::open(invocation, &settings.operation.notify)?;
    if post.is_empty() {
        return Err(CommandError::usage("nobody is told anything").hint(
            "Set `notify.ping`, `notify.webhook`, `notify.slack` or `notify.mail` to the source of an address, e.g. `file:/etc/ghevault/slack`, or `notify.sns` to a topic.",
        ));
    }
    let host = settings.host.as_ref().map_or("", |host| host.text.as_str());
    let vault = settings.vault.as_deref().map(operate::shown_vault).unwrap_or_default();
    let message = Message::new(Timestamp::now(), Severity::Info, "test", "this is a test", (host, &vault));
    let runtime = operate::runtime()?;
    let results = runtime.block_on(post.try_all(&message));
    let told: BTreeMap<&str, &str> = results
        .iter()
        .map(|(name, result)| (*name, result.as_ref().map_or_else(String::as_str, |()| "told")))
        .collect();
    invocation.screen.result(&told, || {
        told.iter().fold(String::new(), |mut text, (name, result)| {
            let _ = writeln!(text, "{name}: {result}");
            text
        })
    });
    if results.values().all(Result::is_ok) {
        Ok(())
    } else {
        Err(CommandError::already_reported(Kind::Failure))
    }
}
