//! Sends messages and pings in the background. Nothing waits for it, and no receiver waits for another.
//!
//! Messages stand in the state folder until they have arrived. Pings of a dead-man check do not: late, they would not be true.

pub(in crate::cli) mod http;
mod mail;

use super::{Invocation, connect};
use crate::{
    config::notify::Notify,
    error::{CommandError, CommandResult},
};
use ghevault_core::{
    aws::{FailureKind, Topic},
    keys::{SecretKind, SecretSource},
    notify::{Message, Next, Templates},
    state::{RunRecord, StateError, StateFolder},
};
use http::{Http, Letter};
use hyper::Uri;
use jiff::Timestamp;
use mail::Mailer;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{
        Notify as Bell,
        mpsc::{Receiver, Sender, channel, error::TrySendError},
    },
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Pauses before further tries of a ping.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_mins(3)];
/// Pings that may wait; more are dropped, and said so in the log.
const WAITING: usize = 64;
/// Longest sleep of somebody who sends: the state folder may be filled by a hand, and clocks jump.
const LOOK: Duration = Duration::from_mins(1);

/// Why a try failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody answers, or not now.
    Away(String),
    /// The receiver does not want this message.
    Refused(String),
}

impl Fault {
    /// In words.
    pub(in crate::cli) fn words(&self) -> &str {
        match self {
            Self::Away(why) | Self::Refused(why) => why,
        }
    }
}

/// How a receiver is reached; addresses are secrets and are never shown.
enum Way {
    Webhook { address: Uri, key: Option<Vec<u8>> },
    Slack(Uri),
    Mail(Box<Mailer>),
    Topic(Box<Topic>),
}

/// Who gets messages.
struct Receiving {
    name: &'static str,
    way: Way,
    words: Templates,
}

impl Receiving {
    /// Sends a message once.
    async fn send(&self, client: &Http, message: &Message) -> Result<(), Fault> {
        let words = &self.words;
        match &self.way {
            Way::Webhook { address, key } => {
                http::send(client, address, &Letter::webhook(message, words, key.as_deref())).await
            }
            Way::Slack(address) => http::send(client, address, &Letter::slack(message, words)).await,
            Way::Mail(mailer) => mailer.send(message, words).await,
            Way::Topic(topic) => publish(Topic::clone(topic), message, words).await,
        }
    }
}

/// Sends a message to a topic; AWS has threads of its own.
async fn publish(topic: Topic, message: &Message, words: &Templates) -> Result<(), Fault> {
    let (subject, text) = ghevault_core::notify::plain(message, words);
    let id = message.id.clone();
    let sent = tokio::task::spawn_blocking(move || topic.publish(&subject, &text, &id)).await;
    match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(failure)) if failure.kind == FailureKind::Invalid => Err(Fault::Refused(failure.to_string())),
        Ok(Err(failure)) => Err(Fault::Away(failure.to_string())),
        Err(error) => Err(Fault::Away(error.to_string())),
    }
}

/// All receivers of the settings.
pub struct Post {
    ping: Option<Uri>,
    receivers: Vec<Receiving>,
}

impl Post {
    /// Fetches the addresses.
    ///
    /// # Errors
    /// A source gives none, or what it gives is no address.
    pub fn open(invocation: &Invocation, notify: &Notify) -> CommandResult<Self> {
        let receiving = |name, way| Receiving { name, way, words: notify.templates.clone() };
        let mut receivers = Vec::new();
        let uri = |name: &str, source: &Option<SecretSource>| {
            source.as_ref().map(|source| address(invocation, name, source)).transpose()
        };
        if let Some(address) = uri("webhook", &notify.webhook)? {
            let key = match &notify.webhook_key {
                Some(source) => Some(text(invocation, "notify.webhook_key", source)?.into_bytes()),
                None => None,
            };
            receivers.push(receiving("webhook", Way::Webhook { address, key }));
        }
        if let Some(address) = uri("slack", &notify.slack)? {
            receivers.push(receiving("slack", Way::Slack(address)));
        }
        if let Some(source) = &notify.mail {
            let server = text(invocation, "notify.mail", source)?;
            let mailer = Mailer::new(&server, notify.mail_from.as_deref(), &notify.mail_to)?;
            receivers.push(receiving("mail", Way::Mail(Box::new(mailer))));
        }
        if let Some(arn) = &notify.sns {
            let topic = Topic::new(&invocation.aws()?, arn).ok_or_else(|| {
                CommandError::usage(format!("`notify.sns` is `{arn}`, not the ARN of a topic"))
                    .hint("It is `arn:aws:sns:REGION:ACCOUNT:NAME`.")
            })?;
            receivers.push(receiving("sns", Way::Topic(Box::new(topic))));
        }
        Ok(Self { ping: uri("ping", &notify.ping)?, receivers })
    }

    /// Whether there is nobody to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ping.is_none() && self.receivers.is_empty()
    }

    /// Sends a message to everybody, once, and waits: what became of it by receiver. A dead-man check is told that somebody tries it.
    pub async fn try_all(&self, message: &Message) -> BTreeMap<&'static str, Result<(), String>> {
        let client = http::client();
        let mut results = BTreeMap::new();
        for receiver in &self.receivers {
            results.insert(receiver.name, receiver.send(&client, message).await);
        }
        if let Some(address) = &self.ping {
            let letter = Letter::ping("log", None, message.title.clone());
            results.insert("ping", http::send(&client, address, &letter).await);
        }
        results.into_iter().map(|(name, end)| (name, end.map_err(|why| why.words().to_owned()))).collect()
    }

    /// Starts to send in the background, first of all what an earlier process has left.
    ///
    /// # Errors
    /// The state folder cannot be used.
    pub fn start(self, state: &StateFolder) -> CommandResult<Outbox> {
        let names: Vec<&'static str> = self.receivers.iter().map(|one| one.name).collect();
        let mut queue = state.queue()?;
        let before = queue.clone();
        queue.only(&names);
        if queue != before {
            state.put_queue(&queue)?;
        }
        let mut tasks = Vec::new();
        let (pings, waiting) = channel(WAITING);
        let unsent: Arc<AtomicUsize> = Arc::default();
        if let Some(address) = self.ping {
            tasks.push(tokio::spawn(ping(address, waiting, Arc::clone(&unsent))));
        }
        let bells: BTreeMap<&'static str, Arc<Bell>> =
            names.into_iter().map(|name| (name, Arc::default())).collect();
        for receiver in self.receivers {
            let bell = Arc::clone(&bells[receiver.name]);
            tasks.push(tokio::spawn(deliver(receiver, state.clone(), bell)));
        }
        Ok(Outbox { state: state.clone(), pings, unsent, bells, tasks })
    }
}

/// Takes messages and never blocks. Nothing more is sent when it is dropped; what waits then is sent by the next one.
pub struct Outbox {
    state: StateFolder,
    pings: Sender<Letter>,
    unsent: Arc<AtomicUsize>,
    bells: BTreeMap<&'static str, Arc<Bell>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Outbox {
    /// Sends a message to people.
    pub fn message(&self, message: &Message) {
        let kept = change(&self.state, |queue| {
            self.bells.keys().filter_map(|name| queue.put(name, message)).collect::<Vec<_>>()
        });
        match kept {
            Ok(dropped) => {
                for one in dropped {
                    tracing::error!("too much waits for {}; this is not told: {}", one.to, one.message.title);
                }
            }
            Err(error) => tracing::error!("nobody is told `{}`: {error}", message.title),
        }
        for bell in self.bells.values() {
            bell.notify_one();
        }
    }

    /// Tells a dead-man check that a run begins.
    pub fn begins(&self, run: &str) {
        self.put(Letter::ping("start", Some(run), String::new()));
    }

    /// Tells it how a run has ended.
    pub fn has_ended(&self, record: &RunRecord) {
        self.put(Letter::end(record));
    }

    fn put(&self, letter: Letter) {
        match self.pings.try_send(letter) {
            Ok(()) => {
                self.unsent.fetch_add(1, Ordering::Relaxed);
            }
            Err(TrySendError::Full(_)) => tracing::warn!("too many pings wait; this one is dropped"),
            // Nobody is pinged.
            Err(TrySendError::Closed(_)) => {}
        }
    }

    /// Waits until everything is sent, but not for long.
    pub async fn close(self, within: Duration) {
        let _ = timeout(within, async {
            let empty = || self.state.queue().is_ok_and(|queue| queue.counts().is_empty());
            while !(empty() && self.unsent.load(Ordering::Relaxed) == 0) {
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Changes what waits; between reading and writing nothing else runs.
fn change<T>(
    state: &StateFolder,
    how: impl FnOnce(&mut ghevault_core::notify::Queue) -> T,
) -> Result<T, StateError> {
    let mut queue = state.queue()?;
    let done = how(&mut queue);
    state.put_queue(&queue)?;
    Ok(done)
}

/// Sends the messages of one receiver, one after the other.
async fn deliver(receiver: Receiving, state: StateFolder, bell: Arc<Bell>) {
    let (client, name) = (http::client(), receiver.name);
    loop {
        let pause = match state.queue().map(|queue| queue.next(name, Timestamp::now())) {
            Ok(Next::Send(one)) => {
                let end = receiver.send(&client, &one.message).await;
                let id = &one.message.id;
                let noted = match &end {
                    Ok(()) => change(&state, |queue| queue.arrived(name, id)),
                    Err(fault) => {
                        let refused = matches!(fault, Fault::Refused(_));
                        let now = Timestamp::now();
                        change(&state, |queue| queue.failed(name, id, refused, now)).map(|given_up| {
                            let (why, title) = (fault.words(), &one.message.title);
                            if given_up {
                                tracing::error!("{name} was not reached: {why}; this is not told: {title}");
                            } else if one.tries < 3 {
                                tracing::warn!("{name} was not reached: {why}; it is tried again");
                            }
                        })
                    }
                };
                match noted {
                    Ok(()) => continue,
                    Err(error) => {
                        tracing::error!("cannot remember what was told: {error}");
                        LOOK
                    }
                }
            }
            Ok(Next::Wait(pause)) => pause.unsigned_abs().min(LOOK),
            Ok(Next::Nothing) => {
                bell.notified().await;
                continue;
            }
            Err(error) => {
                tracing::error!("what waits for {name} cannot be read: {error}");
                LOOK
            }
        };
        sleep(pause).await;
    }
}

/// Sends pings one after the other.
async fn ping(address: Uri, mut letters: Receiver<Letter>, unsent: Arc<AtomicUsize>) {
    let client = http::client();
    while let Some(letter) = letters.recv().await {
        let mut pauses = PAUSES.iter();
        loop {
            let Err(fault) = http::send(&client, &address, &letter).await else { break };
            let why = fault.words();
            let Some(pause) = pauses.next().filter(|_| matches!(fault, Fault::Away(_))) else {
                tracing::error!("ping was not reached: {why}; this is not told");
                break;
            };
            tracing::warn!("ping was not reached: {why}; it is tried again");
            sleep(*pause).await;
        }
        unsent.fetch_sub(1, Ordering::Relaxed);
    }
}

fn address(invocation: &Invocation, name: &str, source: &SecretSource) -> CommandResult<Uri> {
    let key = format!("notify.{name}");
    let wrong = || {
        CommandError::usage(format!("what `{key}` gives is no address"))
            .hint("It is `https://…`, alone on one line.")
    };
    let address: Uri = text(invocation, &key, source)?.trim().parse().map_err(|_| wrong())?;
    let known = matches!(address.scheme_str(), Some("http" | "https")) && address.host().is_some();
    if known { Ok(address) } else { Err(wrong()) }
}

/// A secret that is a text.
///
/// # Errors
/// The source gives none.
pub fn text(invocation: &Invocation, key: &str, source: &SecretSource) -> CommandResult<String> {
    let secret = connect::secret(invocation, source, SecretKind::Password, &format!("`{key}`"))?;
    let text = secret.password_text().map(str::to_owned);
    text.ok_or_else(|| {
        CommandError::usage(format!("what `{key}` gives is no text"))
            .hint("It is text in UTF-8, alone on one line.")
    })
}
