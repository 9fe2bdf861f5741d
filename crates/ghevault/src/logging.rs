//! Log lines: to stderr (beside the bars, never through them), to a file, or as the output of the daemon; as text or as JSON, each with the
//! id of the run that it is of.

use crate::{
    config::Settings,
    error::{CommandError, CommandResult},
    output::{self, Screen},
};
use ghevault_core::state::Task;
use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    sync::{Arc, OnceLock},
};
use tracing_subscriber::{EnvFilter, fmt::writer::BoxMakeWriter};

/// Libraries that warn of what is no trouble: the program has its time zones in itself, an image without any is as it should be.
const QUIET: &str = "jiff=error";

/// The run that this process is, once that is known.
static RUN: OnceLock<(Task, String)> = OnceLock::new();

/// From now on each line says that it is of this run.
pub fn is_of(task: Task, run: &str) {
    let _ = RUN.set((task, run.to_owned()));
}

/// Installs the log. `RUST_LOG` sets what is logged; without it warnings only, and with a log file, or of the daemon, information too.
///
/// # Errors
/// The log file cannot be opened, or `RUST_LOG` is not understood.
pub fn install(settings: &Settings, screen: Screen, daemon: bool) -> CommandResult {
    let default = match (&settings.log_file, screen.quiet) {
        (Some(_), _) => "info",
        _ if daemon => "info",
        (None, true) => "error",
        (None, false) => "warn",
    };
    let text = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let filter = EnvFilter::try_new(text.unwrap_or_else(|| format!("{default},{QUIET}")))
        .map_err(|error| CommandError::usage("RUST_LOG is not understood").because_of(Some(&error)))?;
    let json = settings.log_json.unwrap_or(daemon);
    let (writer, on_stderr) = match &settings.log_file {
        Some(path) => {
            let file =
                OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|error| {
                    CommandError::usage(format!("cannot open the log file {}", path.display()))
                        .because_of(Some(&error))
                        .hint("`log_file` names it; its folder must be there, and this user must be allowed to write there.")
                })?;
            let file = Arc::new(file);
            (BoxMakeWriter::new(move || Marked { json, to: Arc::clone(&file) }), false)
        }
        None if daemon => (BoxMakeWriter::new(move || Marked { json, to: io::stdout() }), false),
        None => (BoxMakeWriter::new(move || Marked { json, to: BesideBars }), true),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(on_stderr && output::stderr_is_terminal());
    if json {
        builder.json().init();
    } else {
        builder.with_target(false).init();
    }
    Ok(())
}

/// Writes to stderr while the bars step aside.
struct BesideBars;

impl Write for BesideBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        output::beside_bars(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Writes whole lines, with the run that they are of.
struct Marked<W> {
    json: bool,
    to: W,
}

impl<W: Write> Write for Marked<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match RUN.get() {
            Some((task, run)) => self.to.write_all(&marked(line, self.json, task.name(), run))?,
            None => self.to.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A line with task and run: its first fields in JSON, its last in text.
fn marked(line: &[u8], json: bool, task: &str, run: &str) -> Vec<u8> {
    match (json, line.strip_prefix(b"{"), line.strip_suffix(b"\n")) {
        (true, Some(rest), _) => {
            [format!("{{\"task\":\"{task}\",\"run\":\"{run}\",").as_bytes(), rest].concat()
        }
        (false, _, Some(text)) => [text, format!(" task={task} run={run}\n").as_bytes()].concat(),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::marked;

    #[test]
    fn a_line_says_of_which_run_it_is() {
        let text = |line: &str, json| {
            String::from_utf8(marked(line.as_bytes(), json, "backup", "0a")).expect("text")
        };
        assert_eq!(
            text("{\"level\":\"INFO\"}\n", true),
            "{\"task\":\"backup\",\"run\":\"0a\",\"level\":\"INFO\"}\n"
        );
        assert_eq!(text("WARN it waits\n", false), "WARN it waits task=backup run=0a\n");
        assert_eq!(text("no line", false), "no line");
    }
}
