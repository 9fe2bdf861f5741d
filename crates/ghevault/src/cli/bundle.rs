//! `ghevault support-bundle`: what somebody who helps wants to know, in one file, without secrets.

use super::{Invocation, operate};
use crate::{
    config::Settings,
    error::{CommandError, CommandResult},
};
use clap::Args;
use ghevault_core::{keys::SecretSource, state::StateFolder};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs, io,
    io::{Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Runs that are in a bundle.
const RUNS: usize = 500;
/// The end of a log file that is in it, in bytes.
const LOG: u64 = 256 << 10;
/// Shorter words are too common to be taken for secrets.
const SECRET_MIN: usize = 6;
/// What stands in place of a secret.
const HIDDEN: &str = "(secret)";

/// Write what somebody who helps wants to know into one file, without secrets.
///
/// It has the settings with their origins, the status, the history of runs, the files of the state folder by name, and the end of the
/// log file. Names stay: of hosts, people, datasets, paths. Read it before you give it away; it is plain JSON. Nothing is connected to.
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// The file
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Writes.
///
/// # Errors
/// The state folder cannot be read, or the file not written.
pub fn run(arguments: &BundleArgs, invocation: &Invocation) -> CommandResult {
    let settings = &invocation.settings;
    let state = StateFolder::open(&settings.state)?;
    let history = state.history()?;
    let report = operate::report(settings, &state, &BTreeMap::new(), &history)?;
    let host = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let mut bundle = json!({
        "made": Timestamp::now(),
        "version": operate::VERSION,
        "system": {
            "kernel": text(host.release()),
            "machine": text(host.machine()),
            "os": fs::read_to_string("/etc/os-release").ok().and_then(|file| {
                file.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=").map(|name| name.trim_matches('"').to_owned()))
            }),
            "processors": std::thread::available_parallelism().ok(),
        },
        "settings": settings.effective,
        "notes": settings.notes,
        "status": report,
        "ledger": state.ledger()?,
        "told": state.told()?,
        "history": history.runs.iter().rev().take(RUNS).collect::<Vec<_>>(),
        "state": files(state.path()),
        "log": settings.log_file.as_deref().map(|path| tail(path).unwrap_or_else(|error| error.to_string())),
    });
    let secrets = secrets(settings);
    scrub(&mut bundle, &secrets);
    let content = format!("{bundle:#}\n");
    operate::replace(&arguments.to, content.as_bytes(), 0o600).map_err(|error| {
        CommandError::failure(format!("cannot write {}", arguments.to.display()))
            .because_of(Some(&error))
            .hint("Name a file in a folder that this user may write to.")
    })?;
    let value = json!({ "file": arguments.to, "bytes": content.len() });
    invocation.screen.result(&value, || {
        format!("{} has it, {} bytes; read it before you give it away", arguments.to.display(), content.len())
    });
    Ok(())
}

/// The files of a folder by name, size and mode; nothing of what is in them.
fn files(folder: &Path) -> Value {
    let Ok(entries) = fs::read_dir(folder) else { return Value::Null };
    let mut rows: Vec<Value> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let data = entry.metadata().ok()?;
            Some(json!({
                "name": entry.file_name().to_string_lossy(),
                "bytes": data.len(),
                "mode": format!("{:o}", data.mode() & 0o7777),
                "changed": Timestamp::from_second(data.mtime()).ok(),
            }))
        })
        .collect();
    rows.sort_by_key(|row| row["name"].as_str().map(str::to_owned));
    rows.into()
}

/// The end of a file.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(LOG);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(LOG).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = if from > 0 { text.split_once('\n').map_or("", |(_, rest)| rest) } else { &text };
    Ok(whole.to_owned())
}

/// The secrets themselves, as far as they lie on this host, line by line: wherever they stand, they are taken out.
fn secrets(settings: &Settings) -> Vec<String> {
    let mut found: Vec<String> = settings
        .secret_sources
        .iter()
        .filter_map(|source| match source {
            SecretSource::File(path) => fs::read_to_string(path).ok(),
            SecretSource::Environment(name) => std::env::var(name).ok(),
            _ => None,
        })
        .flat_map(|text| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>())
        .filter(|line| line.len() >= SECRET_MIN && !line.starts_with("-----"))
        .collect();
    found.sort_by_key(|line| std::cmp::Reverse(line.len()));
    found.dedup();
    found
}

/// Takes secrets out of all texts.
fn scrub(value: &mut Value, secrets: &[String]) {
    match value {
        Value::String(text) => {
            for secret in secrets {
                if text.contains(secret.as_str()) {
                    *text = text.replace(secret.as_str(), HIDDEN);
                }
            }
            *text = without_credentials(text);
        }
        Value::Array(rows) => rows.iter_mut().for_each(|row| scrub(row, secrets)),
        Value::Object(fields) => fields.values_mut().for_each(|field| scrub(field, secrets)),
        _ => {}
    }
}

/// A text in which no address has a user or password: `https://user:password@host` becomes `https://(secret)@host`.
fn without_credentials(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        let end = tail
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '<' | '>'))
            .unwrap_or(tail.len());
        match tail[..end].rfind('@') {
            Some(at) => {
                out.push_str(HIDDEN);
                rest = &tail[at..];
            }
            None => rest = tail,
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{scrub, without_credentials};
    use serde_json::json;

    #[test]
    fn addresses_lose_their_credentials_wherever_they_stand() {
        assert_eq!(
            without_credentials("a smtp://u:p@w@h:25/x, https://h/p@q and s3://b"),
            "a smtp://(secret)@h:25/x, https://h/p@q and s3://b"
        );
    }

    #[test]
    fn secrets_are_taken_out_of_every_text() {
        let mut value = json!({ "a": ["x hunter22 y", { "b": "hunter22" }], "n": 1 });
        scrub(&mut value, &["hunter22".to_owned()]);
        assert_eq!(value, json!({ "a": ["x (secret) y", { "b": "(secret)" }], "n": 1 }));
    }
}
