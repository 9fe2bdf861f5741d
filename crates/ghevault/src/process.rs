//! The process itself: its time zone, its core dumps, and how signals end it.

use crate::{
    error::{CommandError, CommandResult, Kind},
    output,
};
use ghevault_core::{
    backup::CancelToken,
    keys::harden::{Inspection, harden_process},
};
use std::{
    env,
    os::unix::process::CommandExt,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

/// Longest time that a verb has to end by itself after a signal; whatever it holds on an appliance ends with it anyway.
const GRACE: Duration = Duration::from_secs(10);

/// The allocator's number of arenas: threads that hand buffers of megabytes to each other leave holes in many of them.
const ARENAS: (&str, &str) = ("MALLOC_ARENA_MAX", "2");

/// Where the system shows a program its own file.
const OWN_FILE: &str = "/proc/self/exe";

/// Makes sure that the process runs in UTC, with few arenas, and leaves no core dumps.
///
/// Trees in a vault carry time stamps with the zone of the process, so a zone that changes would rewrite all of them.
/// Changing the environment of a running process is not safe; a fresh start of the same program with it is.
///
/// # Errors
/// The program cannot be started again.
pub fn prepare() -> CommandResult {
    let arenas = env::var_os(ARENAS.0);
    let in_utc = env::var_os("TZ").is_some_and(|zone| zone == "UTC");
    if arenas.is_none() || !in_utc {
        let mut arguments = env::args_os();
        let mut again = Command::new(OWN_FILE);
        if let Some(name) = arguments.next() {
            again.arg0(name);
        }
        let failure = again
            .args(arguments)
            .env("TZ", "UTC")
            .env(ARENAS.0, arenas.unwrap_or_else(|| ARENAS.1.into()))
            .exec();
        // Many arenas cost memory and nothing else.
        if !in_utc {
            return Err(not_again(&failure));
        }
    }
    if let Err(error) = harden_process(Inspection::Unchanged) {
        output::complain(&format!("warning: core dumps cannot be switched off: {error}"));
    }
    Ok(())
}

/// Why the program cannot be started again, and what helps.
fn not_again(failure: &std::io::Error) -> CommandError {
    let hidden = failure.kind() == std::io::ErrorKind::NotFound;
    let why = if hidden {
        format!(": {OWN_FILE} is not there, so /proc is hidden or not mounted")
    } else {
        String::new()
    };
    CommandError::failure(format!("cannot start again in the time zone UTC{why}"))
        .because_of(Some(failure))
        .hint("Set TZ=UTC in the environment: then nothing is started again. The container image has it.")
}

/// What SIGINT and SIGTERM do: ask a verb that holds something to end, end all others at once.
#[derive(Clone, Debug)]
pub struct Interrupt {
    asked: CancelToken,
    cooperative: Arc<AtomicBool>,
    json: bool,
}

impl Interrupt {
    /// Starts to listen for signals; with `json` the end is told as JSON too.
    ///
    /// # Errors
    /// The system gives no thread or no signals.
    pub fn install(json: bool) -> CommandResult<Self> {
        let interrupt = Self { asked: CancelToken::new(), cooperative: Arc::default(), json };
        let listener = interrupt.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| CommandError::from_error(Kind::Failure, &error))?;
        let (ready, installed) = std::sync::mpsc::channel();
        let body = move || runtime.block_on(listener.listen(&ready));
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(body)
            .map_err(|error| CommandError::from_error(Kind::Failure, &error))?;
        match installed.recv() {
            Ok(Ok(())) => Ok(interrupt),
            Ok(Err(error)) => Err(CommandError::from_error(Kind::Failure, &error)),
            Err(error) => Err(CommandError::from_error(Kind::Failure, &error)),
        }
    }

    /// Takes signals until the process ends.
    async fn listen(self, ready: &std::sync::mpsc::Sender<std::io::Result<()>>) {
        let (mut interrupt, mut terminate) =
            match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
                (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
                (Err(error), _) | (_, Err(error)) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
        let _ = ready.send(Ok(()));
        let mut any = async || {
            tokio::select! {
                _ = interrupt.recv() => (),
                _ = terminate.recv() => (),
            }
        };
        any().await;
        if self.cooperative.load(Ordering::SeqCst) {
            self.asked.cancel();
            output::complain("ending; a second signal ends at once");
            let _ = tokio::time::timeout(GRACE, any()).await;
        }
        end_now(self.json);
    }

    /// From now on a signal only sets the token that is returned; the verb looks at it and ends.
    #[must_use]
    pub fn cooperative(&self) -> CancelToken {
        self.cooperative.store(true, Ordering::SeqCst);
        self.asked.clone()
    }
}

/// Ends the process as interrupted.
fn end_now(json: bool) -> ! {
    let end = CommandError::new(Kind::Interrupted, "interrupted");
    output::complain(&end.message);
    if json {
        output::json_line(&end.to_json());
    }
    std::process::exit(i32::from(end.kind.exit_code()));
}
