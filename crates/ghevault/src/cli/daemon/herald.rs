//! Decides what of the daemon's life is told to whom; nothing here may fail a backup.

use crate::{
    cli::{
        Invocation, operate,
        post::{Outbox, Post},
    },
    config::Settings,
    error::CommandResult,
};
use ghevault_core::{
    notify::{self, Message, Severity, Told},
    schedule::Calendar,
    state::{History, RunRecord, RunResult, StateFolder, Task},
    status::{Health, RESTORE, StatusReport},
};
use jiff::Timestamp;
use std::time::{Duration, Instant};

/// Time between two looks at the objective.
const LOOKS: Duration = Duration::from_mins(1);
/// When the last digest was sent.
const DIGEST: &str = "digest.json";

/// See the module.
pub struct Herald {
    outbox: Outbox,
    every_run: bool,
    digest: Option<Calendar>,
    looked: Option<Instant>,
}

impl Herald {
    /// Fetches addresses and starts to send.
    ///
    /// # Errors
    /// An address cannot be fetched.
    pub fn begin(invocation: &Invocation, settings: &Settings, state: &StateFolder) -> CommandResult<Self> {
        let notify = &settings.operation.notify;
        let outbox = Post::open(invocation, notify)?.start(state)?;
        Ok(Self { outbox, every_run: notify.every_run, digest: notify.digest.clone(), looked: None })
    }

    /// A run begins.
    pub fn begins(&self, task: Task, run: &str) {
        if task == Task::Backup {
            self.outbox.begins(run);
        }
    }

    /// A run has ended; `again` when it will be tried again soon.
    pub fn has_ended(&mut self, state: &StateFolder, settings: &Settings, record: &RunRecord, again: bool) {
        // The objective may have changed with it.
        self.looked = None;
        if record.task == Task::Backup {
            self.outbox.has_ended(record);
        }
        // Locked and interrupted runs are told when their tries are used up.
        let known = notify::severity(record).or((!again).then_some(Severity::Warning));
        let Some(severity) = known else { return };
        let trouble = record.result != RunResult::Complete;
        let reason = record.details.reason.as_deref().unwrap_or_default();
        let what = format!("{}: {reason}", record.result.name());
        let host = settings.host.as_ref().map_or("", |host| host.text.as_str());
        let vault = settings.vault.as_deref().map(operate::shown_vault).unwrap_or_default();
        let (at, title) = (Timestamp::now(), notify::title(record));
        let mut message = Message::new(at, severity, record.task.name(), title, (host, &vault));
        message.run = Some(record.clone());
        let always = self.every_run && !trouble;
        self.tell(state, &message, (record.task.name(), &what, trouble), always);
    }

    /// Whether it is time to look at the objectives again.
    pub fn looks(&mut self) -> bool {
        let due = self.looked.is_none_or(|looked| looked.elapsed() >= LOOKS);
        if due {
            self.looked = Some(Instant::now());
        }
        due
    }

    /// The objectives as they stand now.
    pub fn objectives(&self, state: &StateFolder, report: &StatusReport) {
        let last =
            report.tasks.iter().find(|task| task.task == Task::Backup).and_then(|task| task.last.as_ref());
        // A backup that was not complete is told as such; the risk that follows from it is no news.
        let told_already = last.is_some_and(|run| run.result != RunResult::Complete);
        let whole = ("objective".to_owned(), report.objective.health, &report.objective.because);
        let others =
            report.targets.iter().map(|one| (format!("objective {}", one.name), one.health, &one.because));
        for (subject, health, because) in others.chain([whole]) {
            let severity = match health {
                Health::Broken => Severity::Critical,
                Health::AtRisk if told_already && !subject.ends_with(RESTORE) => continue,
                Health::AtRisk => Severity::Warning,
                Health::Good | Health::Unset => Severity::Info,
                Health::Unknown => continue,
            };
            let title = format!("{subject}: {}; {because}", health.name());
            let place = (report.host.as_str(), report.vault.as_str());
            let message = Message::new(report.at, severity, "objective", title, place);
            let fact = (subject.as_str(), health.name(), severity != Severity::Info);
            if self.tell(state, &message, fact, false) {
                tracing::warn!(objective = health.name(), "{because}");
            }
        }
    }

    /// Sends the digest when its time has come.
    pub fn digest(&self, state: &StateFolder, report: &StatusReport, history: &History) {
        let Some(calendar) = &self.digest else { return };
        let last = state.recall::<Timestamp>(DIGEST).unwrap_or_else(|error| {
            tracing::error!("the last digest is not known: {error}");
            None
        });
        // A clock that was put back makes it wait for the next time, not for years.
        let due = match last {
            Some(last) if last <= report.at => calendar.last_between(last, report.at).map(|_| last),
            _ => None,
        };
        if let Some(since) = due {
            self.outbox.message(&notify::digest(report, &history.runs, since));
        }
        if (due.is_some() || last.is_none_or(|last| last > report.at))
            && let Err(error) = state.keep(DIGEST, &report.at)
        {
            tracing::error!("cannot remember that the digest was sent: {error}");
        }
    }

    /// Sends what is waiting, but not for long.
    pub async fn end(self, within: Duration) {
        self.outbox.close(within).await;
    }

    /// Tells what is news, or anything if `always`; returns whether it is news. It stands in the queue before it counts as told.
    fn tell(&self, state: &StateFolder, message: &Message, fact: (&str, &str, bool), always: bool) -> bool {
        let (subject, what, trouble) = fact;
        let mut told = match state.told() {
            Ok(told) => told,
            Err(error) => {
                tracing::error!("what was told is not known: {error}");
                Told::default()
            }
        };
        let before = told.clone();
        let news = told.tell(subject, what, trouble, Timestamp::now());
        if news || always {
            self.outbox.message(message);
        }
        if told != before
            && let Err(error) = state.put_told(&told)
        {
            tracing::error!("cannot remember what was told: {error}");
        }
        news
    }
}
