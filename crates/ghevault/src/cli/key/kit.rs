//! The recovery kit as it is printed, and put together again.

use crate::{
    cli::{Invocation, connect},
    error::{CommandError, CommandResult},
};
use clap::Args;
use ghevault_core::keys::{
    RecoveryKey, Secret, SecretKind, SecretSource,
    recovery::{self, Part},
};
use serde_json::{Value, json};
use std::{fmt::Write as _, path::PathBuf};

/// In how many parts a kit is printed.
#[derive(Clone, Copy, Debug, Args)]
pub struct PartsArgs {
    /// Print it in this many parts, for as many people
    #[arg(long, value_name = "N", requires = "threshold")]
    parts: Option<u8>,
    /// Parts that are needed to get the key back
    #[arg(long, value_name = "K", requires = "parts")]
    threshold: Option<u8>,
}

impl PartsArgs {
    /// Whether parts are asked for.
    #[must_use]
    pub const fn any(self) -> bool {
        self.parts.is_some()
    }
}

/// A kit that is ready to be printed.
pub struct Kit {
    /// The key, for the vault.
    pub key: RecoveryKey,
    parts: Vec<Part>,
    threshold: u8,
}

impl Kit {
    /// A new kit.
    ///
    /// # Errors
    /// The numbers make no sense.
    pub fn new(arguments: PartsArgs) -> CommandResult<Self> {
        let key = RecoveryKey::generate();
        let (parts, threshold) = match (arguments.parts, arguments.threshold) {
            (Some(parts), Some(threshold)) => (recovery::split(&key, parts, threshold)?, threshold),
            _ => (Vec::new(), 0),
        };
        Ok(Self { key, parts, threshold })
    }

    /// Its name among the vault's keys.
    #[must_use]
    pub fn name(&self) -> String {
        format!("recovery-{}", self.key.name())
    }

    /// The kit for a program.
    #[must_use]
    pub fn value(&self) -> Value {
        if self.parts.is_empty() {
            return json!({ "name": self.name(), "key": plain(&self.key.text()) });
        }
        let parts: Vec<String> = self.parts.iter().map(|part| plain(&part.text())).collect();
        json!({ "name": self.name(), "threshold": self.threshold, "parts": parts })
    }

    /// The kit for paper.
    #[must_use]
    pub fn sheets(&self, location: &str, id: &str) -> String {
        let mut text = String::new();
        let day = jiff::Timestamp::now().strftime("%Y-%m-%d");
        let head = |text: &mut String, title: &str| {
            let _ = writeln!(
                text,
                "{}\nghevault {title}\nvault {location}\nid    {id}\nmade  {day}\n",
                "-".repeat(79)
            );
        };
        if self.parts.is_empty() {
            head(&mut text, &format!("recovery kit {}", self.key.name()));
            let _ = writeln!(text, "    {}\n", plain(&self.key.text()));
            let _ = writeln!(
                text,
                "This line, exactly as printed, is a password of the vault for any restic:\n    restic -r VAULT snapshots\n\
                 With ghevault, typed on standard input:\n    ghevault restore latest --to DIR --recovery-key stdin:"
            );
        }
        for part in &self.parts {
            let title = format!(
                "recovery kit {}: part {} of {}, any {} are needed",
                self.key.name(),
                part.number(),
                self.parts.len(),
                self.threshold
            );
            head(&mut text, &title);
            let _ = writeln!(text, "    {}\n", plain(&part.text()));
            let _ = writeln!(
                text,
                "{} parts, one a line, on standard input:\n    ghevault restore latest --to DIR --recovery-key stdin:\n\
                 `ghevault key join` prints the key, which is a password of the vault for any restic.",
                self.threshold
            );
        }
        let _ = writeln!(text, "{}", "-".repeat(79));
        text
    }
}

/// The one place where a secret becomes text for the screen.
fn plain(secret: &Secret) -> String {
    String::from_utf8_lossy(secret.bytes()).into_owned()
}

/// `ghevault key join`.
///
/// # Errors
/// The parts are too few, do not fit, or cannot be read.
pub fn join(invocation: &Invocation, files: &[PathBuf]) -> CommandResult {
    let sources = if files.is_empty() {
        vec![SecretSource::Stdin]
    } else {
        files.iter().cloned().map(SecretSource::File).collect()
    };
    let mut texts = Vec::new();
    for source in &sources {
        texts.push(connect::secret(invocation, source, SecretKind::Password, "a part of the recovery kit")?);
    }
    let key = RecoveryKey::read_all(&texts).map_err(CommandError::from)?;
    let text = plain(&key.text());
    invocation
        .screen
        .result(&json!({ "name": format!("recovery-{}", key.name()), "key": text }), || text.clone());
    Ok(())
}
