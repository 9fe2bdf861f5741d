//! Writes down what was run and how it ended, whoever started it: by hand, by another scheduler or by the daemon.

use super::{Invocation, operate};
use crate::{
    error::{CommandError, CommandResult, Kind},
    logging,
};
use ghevault_core::{
    schedule::outcome::result_of,
    state::{LiveRun, RunDetails, RunRecord, StateFolder, Task, Trigger, run_id},
};
use jiff::Timestamp;

/// The variable by which the daemon gives a run its id.
pub const RUN_VARIABLE: &str = "GHEVAULT_RUN_ID";
/// The variable by which the daemon says why it started a run.
pub const TRIGGER_VARIABLE: &str = "GHEVAULT_RUN_TRIGGER";

/// Longest reason that is kept, in characters.
const REASON_MAX: usize = 400;

/// Runs `body` as a run of `task`.
///
/// # Errors
/// Those of `body`; that nothing could be written down is only a warning.
pub fn recorded(task: Task, invocation: &Invocation, body: impl FnOnce() -> CommandResult) -> CommandResult {
    let state = match StateFolder::open(&invocation.settings.state) {
        Ok(state) => state,
        Err(error) => {
            tracing::warn!("the run is not recorded: {error}");
            return body();
        }
    };
    let given = std::env::var(RUN_VARIABLE).ok().filter(|id| is_id(id));
    let of_the_daemon = given.is_some();
    let (run, began) = (given.unwrap_or_else(run_id), Timestamp::now());
    logging::is_of(task, &run);
    // The daemon says so itself.
    if !of_the_daemon {
        tracing::info!(version = operate::VERSION, "the run begins");
    }
    let live = LiveRun { run: run.clone(), task, pid: std::process::id(), began };
    let mark = state.begin_run(&live).inspect_err(|error| tracing::warn!("{error}"));
    let result = body();
    let code = result.as_ref().err().map_or(0, |error| error.kind.exit_code());
    if !of_the_daemon {
        tracing::info!(code, "the run has ended");
    }
    if of_the_daemon || code != Kind::Usage.exit_code() {
        let mut details: RunDetails = invocation.details();
        details.vault = invocation.settings.vault.as_deref().map(operate::shown_vault);
        details.reason = details.reason.or_else(|| result.as_ref().err().and_then(reason)).map(shortened);
        let record = RunRecord {
            run,
            task,
            began: details.read_from.unwrap_or(began).min(began),
            ended: Timestamp::now().max(began),
            result: result_of(code),
            code,
            trigger: if of_the_daemon { trigger() } else { Trigger::Manual },
            details,
        };
        if let Err(error) = state.record_run(&record) {
            tracing::warn!("the run is not recorded: {error}");
        }
    }
    drop(mark);
    if !of_the_daemon {
        operate::write_textfile(&invocation.settings, &state);
        #[cfg(feature = "otlp")]
        super::otlp::once(invocation, &state);
    }
    result
}

/// Why the run ended as it did.
fn reason(error: &CommandError) -> Option<String> {
    (!error.message.is_empty()).then(|| error.one_line())
}

fn shortened(text: String) -> String {
    if text.chars().count() <= REASON_MAX {
        return text;
    }
    text.chars().take(REASON_MAX - 1).chain(['…']).collect()
}

fn is_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Why the daemon started this run.
fn trigger() -> Trigger {
    let word = std::env::var(TRIGGER_VARIABLE).unwrap_or_default();
    [Trigger::CatchUp, Trigger::Retry].into_iter().find(|one| one.name() == word).unwrap_or(Trigger::Schedule)
}
