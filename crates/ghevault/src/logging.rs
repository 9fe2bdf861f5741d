//! Log lines: to stderr (beside the bars, never through them), to a file, or as the output of the daemon; as text or as JSON.

use crate::{
    config::Settings,
    error::{CommandError, CommandResult},
    output::{self, Screen},
};
use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    sync::Mutex,
};
use tracing_subscriber::{EnvFilter, fmt::writer::BoxMakeWriter};

/// Libraries that warn of what is no trouble: the program has its time zones in itself, an image without any is as it should be.
const QUIET: &str = "jiff=error";

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
    let (writer, on_stderr) = match &settings.log_file {
        Some(path) => {
            let file =
                OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|error| {
                    CommandError::usage(format!("cannot open the log file {}", path.display()))
                        .because_of(Some(&error))
                        .hint("`log_file` names it; its folder must be there, and this user must be allowed to write there.")
                })?;
            (BoxMakeWriter::new(Mutex::new(file)), false)
        }
        None if daemon => (BoxMakeWriter::new(io::stdout), false),
        None => (BoxMakeWriter::new(|| BesideBars), true),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(on_stderr && output::stderr_is_terminal());
    if settings.log_json.unwrap_or(daemon) {
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
