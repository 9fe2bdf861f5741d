//! The log of a run in the log of the daemon: one stream, each line with its task and run.

use ghevault_core::state::Task;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Puts a line of a run into the log. Returns it if it is about progress.
pub fn relay(task: Task, run: &str, line: &str) -> Option<String> {
    let task = task.name();
    let parsed: Option<Value> = serde_json::from_str(line).ok().filter(Value::is_object);
    let Some(value) = parsed else {
        tracing::info!(task, run, "{line}");
        return Some(line.to_owned());
    };
    let mut fields = value["fields"].clone();
    let message = fields["message"].as_str().unwrap_or_default().to_owned();
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("message");
    }
    let more = if fields.as_object().is_none_or(Map::is_empty) { String::new() } else { fields.to_string() };
    match value["level"].as_str() {
        Some("ERROR") => tracing::error!(task, run, more, "{message}"),
        Some("WARN") => tracing::warn!(task, run, more, "{message}"),
        Some("DEBUG" | "TRACE") => tracing::debug!(task, run, more, "{message}"),
        _ => tracing::info!(task, run, more, "{message}"),
    }
    None
}

/// Says when something is tried again.
pub fn log_retry(task: Task, retry: Option<Timestamp>) {
    if let Some(at) = retry {
        tracing::info!(task = task.name(), at = at.to_string(), "it will be tried again");
    }
}
