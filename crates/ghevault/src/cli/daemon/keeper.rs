//! What the daemon knows, and each of its steps.

#[cfg(feature = "otlp")]
use super::meter::Meter;
use super::{
    child::{self, Ended, Message},
    herald::Herald,
    relay::{self, log_retry},
    shared::{Shared, lock},
    words::{arguments, words},
};
#[cfg(feature = "otlp")]
use crate::cli::otlp::Exporter;
use crate::{
    cli::{Invocation, operate, schedule::nothing_scheduled},
    error::{CommandError, CommandResult, Kind},
};
use ghevault_core::{
    schedule::decide::{self, Decision, Order, Plan},
    state::{DaemonMark, RunResult, Started, StateFolder, Task, run_id},
};
use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How often a run of somebody else is looked at.
const FOREIGN: Duration = Duration::from_secs(5);
/// Longest wait for messages that are not sent when the daemon ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Reason to look again.
pub enum Wake {
    /// A run has ended.
    Ended(Ended),
    /// A run said something.
    Said {
        /// Whose run.
        task: Task,
        /// What.
        line: String,
    },
}

/// A run that this daemon started.
pub(super) struct Running {
    pid: u32,
    order: Order,
    began: Timestamp,
    run: String,
}

/// See the module.
pub struct Keeper {
    pub(super) shared: Arc<Mutex<Shared>>,
    pub(super) state: StateFolder,
    plans: Vec<Plan>,
    arguments: Vec<OsString>,
    pub(super) children: BTreeMap<Task, Running>,
    tell: UnboundedSender<Message>,
    told: UnboundedReceiver<Message>,
    herald: Herald,
    #[cfg(feature = "otlp")]
    meter: Option<Meter>,
    _mark: DaemonMark,
}

impl Keeper {
    /// Takes the state folder and reads the schedule.
    ///
    /// # Errors
    /// Nothing is scheduled; another daemon has the folder.
    pub fn begin(invocation: &Invocation) -> CommandResult<Self> {
        let settings = invocation.settings.clone();
        let state = StateFolder::open(&settings.state)?;
        let mark = state.begin_daemon()?.ok_or_else(|| {
            CommandError::new(
                Kind::VaultLocked,
                format!("another daemon works with the state folder {}", state.path().display()),
            )
            .hint("One daemon is enough for a state folder; give each its own with GHEVAULT_STATE.")
        })?;
        let plans = settings.operation.plans(&state.host_id()?);
        if plans.is_empty() {
            return Err(nothing_scheduled());
        }
        let (tell, told) = unbounded_channel();
        let arguments = arguments(invocation, &settings, &state)?;
        let herald = Herald::begin(invocation, &settings, &state)?;
        #[cfg(feature = "otlp")]
        let exporter = Exporter::open(invocation, &settings, &state)?;
        let shared = Arc::new(Mutex::new(Shared::new(settings, state.clone())));
        let keeper = Self {
            #[cfg(feature = "otlp")]
            meter: exporter.map(|exporter| Meter::start(exporter, &shared)),
            shared,
            state,
            plans,
            arguments,
            children: BTreeMap::new(),
            tell,
            told,
            herald,
            _mark: mark,
        };
        tracing::info!(pid = std::process::id(), version = operate::VERSION, "the daemon begins");
        keeper.announce();
        Ok(keeper)
    }

    /// What the web server sees, too.
    pub fn shared(&self) -> Arc<Mutex<Shared>> {
        Arc::clone(&self.shared)
    }

    /// Looks at what is shared.
    pub fn with<T>(&self, look: impl FnOnce(&mut Shared) -> T) -> T {
        look(&mut lock(&self.shared))
    }

    /// Logs what comes next.
    fn announce(&self) {
        for plan in &self.plans {
            if let Some(next) = plan.calendar.next_after(Timestamp::now()) {
                let (task, at) = (plan.task.name(), next.at.to_string());
                tracing::info!(task, at, because = next.because, "next activation");
            }
        }
    }

    /// Starts what is due. Returns how long nothing more is.
    ///
    /// # Errors
    /// The state folder cannot be used: then nothing may be started, because it would not be remembered.
    pub fn act(&mut self) -> CommandResult<Duration> {
        self.watch_objective();
        loop {
            let now = Timestamp::now();
            let mut ledger = self.state.ledger()?;
            let before = ledger.clone();
            let (busy, foreign) = self.busy(&ledger, now)?;
            for task in Task::ALL.into_iter().filter(|task| !busy.contains(task)) {
                let started = ledger.tasks.get(&task).and_then(|known| known.running.clone());
                if let Some(started) = started {
                    self.settle(&mut ledger, task, &started, now)?;
                }
            }
            decide::watch(&self.plans, &mut ledger, now);
            match decide::decide(&self.plans, &ledger, &busy, now) {
                Decision::Start(order) => {
                    let run = run_id();
                    decide::started(&mut ledger, &order, &run, now);
                    self.state.put_ledger(&ledger)?;
                    self.start(order, run, now)?;
                }
                Decision::Wait(until) => {
                    if ledger != before {
                        self.state.put_ledger(&ledger)?;
                    }
                    let wait = until.map_or(Duration::MAX, |until| {
                        until.duration_since(now).max(SignedDuration::ZERO).unsigned_abs()
                    });
                    // A moment later rather than sooner: a timer that fires early would find nothing due.
                    let wait = wait.saturating_add(Duration::from_millis(5));
                    return Ok(if foreign { wait.min(FOREIGN) } else { wait });
                }
            }
        }
    }

    fn start(&mut self, order: Order, run: String, now: Timestamp) -> CommandResult {
        let mut arguments = self.arguments.clone();
        arguments.extend(["--log-format", "json"].map(OsString::from));
        let deadline = self.with(|shared| {
            arguments.extend(words(order.task, &shared.settings.operation).into_iter().map(OsString::from));
            shared.settings.operation.deadline
        });
        let task = order.task.name();
        let (due, because) = (order.due.to_string(), order.because.as_str());
        let (trigger, attempt, missed) = (order.trigger.name(), order.attempt, order.stands_for - 1);
        match child::start(&order, &run, &arguments, deadline, self.tell.clone()) {
            Ok(pid) => {
                tracing::info!(task, run, pid, due, trigger, attempt, missed, because, "started");
                self.herald.begins(order.task, &run);
                self.children.insert(order.task, Running { pid, order, began: now, run });
                Ok(())
            }
            Err(error) => {
                tracing::error!(task, run, "cannot start the run: {error}");
                let ended = Ended { task: order.task, code: 1, overdue: false };
                self.children.insert(order.task, Running { pid: 0, order, began: now, run });
                self.ended(&ended)
            }
        }
    }

    /// The next thing that a run says.
    pub async fn wake(&mut self) -> Wake {
        match self.told.recv().await {
            Some(Message::Line(task, line)) => Wake::Said { task, line },
            Some(Message::Ended(ended)) => Wake::Ended(ended),
            // We hold a sender ourselves.
            None => std::future::pending().await,
        }
    }

    /// Puts a line of a run into the log.
    pub fn said(&mut self, task: Task, line: &str) {
        let run = self.children.get(&task).map_or("", |child| child.run.as_str());
        if let Some(progress) = relay::relay(task, run, line) {
            self.with(|shared| shared.progress.insert(task, progress));
        }
    }

    /// Deals with the end of a run.
    ///
    /// # Errors
    /// The state folder cannot be used.
    pub fn ended(&mut self, ended: &Ended) -> CommandResult {
        let now = Timestamp::now();
        let Some(child) = self.children.remove(&ended.task) else { return Ok(()) };
        self.with(|shared| shared.progress.remove(&ended.task));
        // Over its deadline it has failed, whatever it says.
        let code = if ended.overdue { 1 } else { ended.code };
        let mut ledger = self.state.ledger()?;
        let (result, retry) = decide::ended(&mut ledger, ended.task, code, now);
        let started = Started {
            run: child.run.clone(),
            due: child.order.due,
            began: child.began,
            attempt: child.order.attempt,
        };
        let reason = match (ended.overdue, ended.code) {
            (true, _) => "it was over its deadline".to_owned(),
            (false, code @ 129..) => format!("it was ended by signal {}", code - 128),
            (false, code) => format!("it ended with exit code {code} and said nothing"),
        };
        // Before the ledger: whoever finds the activation open looks into the history.
        self.record(ended.task, &started, now, (code, result), &reason)?;
        self.state.put_ledger(&ledger)?;
        let seconds = now.duration_since(child.began).as_secs();
        let (task, result) = (ended.task.name(), result.name());
        tracing::info!(task, run = child.run, code, result, seconds, overdue = ended.overdue, "ended");
        log_retry(ended.task, retry);
        self.with(|shared| operate::write_textfile(&shared.settings, &shared.state));
        self.tell_end(&child.run, retry.is_some());
        Ok(())
    }

    /// Tells those who want to know how a run has ended.
    fn tell_end(&mut self, run: &str, again: bool) {
        let Self { herald, shared, state, .. } = self;
        let mut shared = lock(shared);
        let told = shared.history().map(|history| {
            if let Some(record) = history.runs.iter().rev().find(|record| record.run == run) {
                herald.has_ended(state, &shared.settings, record, again);
            }
        });
        if let Err(error) = told {
            tracing::error!("nobody is told of the end of the run: {error}");
        }
    }

    /// Looks at the objective, and tells when it is at risk or broken, and when it holds again.
    fn watch_objective(&mut self) {
        let Self { herald, shared, state, .. } = self;
        if herald.looks() {
            let mut shared = lock(shared);
            let looked = shared.history().and_then(|history| Ok((shared.report()?, history)));
            match looked {
                Ok((report, history)) => {
                    herald.objectives(state, &report);
                    herald.digest(state, &report, &history);
                }
                Err(error) => tracing::error!("the objective is not watched: {error}"),
            }
        }
    }

    /// Reads the configuration again. Returns whether the new one holds.
    pub fn reload(&mut self, invocation: &Invocation) -> bool {
        let fresh = invocation.global.settings().and_then(|settings| {
            if settings.state != invocation.settings.state {
                return Err(CommandError::usage("the state folder cannot be changed while the daemon runs")
                    .hint("Stop the daemon, and start it with the new configuration."));
            }
            let plans = settings.operation.plans(&self.state.host_id()?);
            if plans.is_empty() {
                return Err(nothing_scheduled());
            }
            let arguments = arguments(invocation, &settings, &self.state)?;
            #[cfg(feature = "otlp")]
            let exporter = Exporter::open(invocation, &settings, &self.state)?;
            let herald = Herald::begin(invocation, &settings, &self.state)?;
            #[cfg(feature = "otlp")]
            {
                self.meter = exporter.map(|exporter| Meter::start(exporter, &self.shared));
            }
            Ok((arguments, settings, plans, herald))
        });
        match fresh {
            Ok((arguments, settings, plans, herald)) => {
                (self.arguments, self.plans, self.herald) = (arguments, plans, herald);
                self.with(|shared| shared.settings = settings);
                tracing::info!("the configuration was read again");
                self.announce();
                true
            }
            Err(error) => {
                tracing::error!("the configuration is wrong, the old one is kept: {}", error.one_line());
                false
            }
        }
    }

    /// Ends all runs and the daemon.
    ///
    /// # Errors
    /// The state folder cannot be used.
    pub async fn end(mut self, within: Duration) -> CommandResult {
        tracing::info!(runs = self.children.len(), "the daemon ends");
        for child in self.children.values() {
            child::signal(child.pid, Signal::TERM);
        }
        let until = tokio::time::Instant::now() + within;
        let mut killed = false;
        while !self.children.is_empty() {
            tokio::select! {
                wake = self.wake() => match wake {
                    Wake::Said { task, line } => self.said(task, &line),
                    Wake::Ended(ended) => self.interrupted(&ended)?,
                },
                () = tokio::time::sleep_until(until), if !killed => {
                    killed = true;
                    for child in self.children.values() {
                        child::signal(child.pid, Signal::KILL);
                    }
                }
            }
        }
        self.herald.end(LAST_WORDS).await;
        Ok(())
    }

    /// The end of a run that ends with the daemon: one that was cut short is started again by the next daemon.
    fn interrupted(&mut self, ended: &Ended) -> CommandResult {
        if !matches!(ended.code, 130 | 137 | 143) {
            return self.ended(ended);
        }
        let now = Timestamp::now();
        let Some(child) = self.children.remove(&ended.task) else { return Ok(()) };
        let started = Started {
            run: child.run.clone(),
            due: child.order.due,
            began: child.began,
            attempt: child.order.attempt,
        };
        let how = (ended.code, RunResult::Interrupted);
        self.record(ended.task, &started, now, how, "it was ended with the daemon")?;
        let mut ledger = self.state.ledger()?;
        let retry = decide::lost(&mut ledger, ended.task, now);
        self.state.put_ledger(&ledger)?;
        tracing::info!(task = ended.task.name(), run = child.run, code = ended.code, "ended with the daemon");
        log_retry(ended.task, retry);
        Ok(())
    }
}
