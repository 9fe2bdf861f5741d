//! Settings of what runs by itself: schedules, objectives, the daemon's endpoint, and who is told.

use super::{
    amount,
    layer::Layer,
    notify::Notify,
    otlp::Otlp,
    settings::{parsed, secret},
};
use crate::error::{CommandError, CommandResult};
use ghevault_core::{
    backup::DATASETS,
    keys::SecretSource,
    schedule::{Calendar, ScheduleError, decide::Plan, jitter},
    state::Task,
};
use jiff::{SignedDuration, tz::TimeZone};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// Where the daemon serves, if nobody says otherwise.
const LISTEN: &str = "127.0.0.1:9122";

/// See the module.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What is written about each task.
    schedules: BTreeMap<Task, Calendar>,
    /// The clock of schedules.
    pub zone: TimeZone,
    /// Most shift of this host.
    jitter: SignedDuration,
    /// Longest time of one run.
    pub deadline: Duration,
    /// Depth of verifications.
    pub verify_depth: u8,
    /// How old the last complete snapshot may become.
    pub rpo: Option<Duration>,
    /// How old the data of single datasets may become.
    pub dataset_rpo: BTreeMap<String, Duration>,
    /// How long a restore may take.
    pub rto: Option<Duration>,
    /// For how long scheduled lock extensions lock.
    pub locks_for: Option<String>,
    /// Longest wait of a scheduled backup for that of another account.
    pub turn: Duration,
    /// Where the daemon serves.
    pub listen: Option<SocketAddr>,
    /// Who may look.
    pub access: Access,
    /// Where metrics are written.
    pub textfile: Option<PathBuf>,
    /// Where metrics are sent.
    #[cfg_attr(
        not(feature = "otlp"),
        allow(dead_code, reason = "the settings are known without the feature, to refuse them")
    )]
    pub otlp: Option<Otlp>,
    /// Who is told.
    pub notify: Notify,
}

/// Who may look at what the daemon serves; everybody who reaches it, if nothing is set.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// A word that must be given.
    pub token: Option<SecretSource>,
    /// A header in which a reverse proxy says who asks.
    pub proxy_header: Option<String>,
    /// The addresses of reverse proxies that are believed.
    pub proxies: Vec<IpAddr>,
}

impl Operation {
    /// Turns texts into types.
    ///
    /// # Errors
    /// A value makes no sense; the text names its origin.
    pub fn typed(merged: &Layer) -> CommandResult<Self> {
        let text = |key: &str| merged.get(key).filter(|value| !value.text.is_empty());
        let refuse = |key: &str, error: &ScheduleError| {
            let origin = text(key).map(|value| value.origin.to_string()).unwrap_or_default();
            CommandError::usage(format!("{origin}: {error}")).hint(
                "Write a preset (`hourly`, `nightly`, `weekly`, `business-hours`), words (`mon-sat 07:00-20:00 hourly, sun 09,15,21`) or \
                 a cron expression (`17 7-20 * * 1-6`); `ghevault schedule` shows what follows.",
            )
        };
        let zone = match text("schedule.time_zone") {
            Some(value) => {
                Calendar::zone(&value.text).map_err(|error| refuse("schedule.time_zone", &error))?
            }
            None => TimeZone::UTC,
        };
        let mut schedules = BTreeMap::new();
        for task in Task::ALL {
            let key = format!("schedule.{}", task.name());
            if let Some(value) = text(&key) {
                let calendar = Calendar::parse(&value.text, zone.clone());
                schedules.insert(task, calendar.map_err(|error| refuse(&key, &error))?);
            }
        }
        let seconds = |key: &str, otherwise: u32| -> CommandResult<u32> {
            let number = parsed(merged, key, "a number of seconds", |text| text.parse().ok())?;
            Ok(number.unwrap_or(otherwise))
        };
        let listen =
            parsed(merged, "daemon.listen", "an address such as `127.0.0.1:9122`, or `none`", |text| {
                if text == "none" { Some(None) } else { text.parse().ok().map(Some) }
            })?;
        let digest = match text("notify.digest") {
            Some(value) => {
                let calendar = Calendar::parse(&value.text, zone.clone());
                Some(calendar.map_err(|error| refuse("notify.digest", &error))?)
            }
            None => None,
        };
        Ok(Self {
            schedules,
            zone,
            jitter: SignedDuration::from_secs(seconds("schedule.jitter_s", 0)?.into()),
            deadline: Duration::from_secs(seconds("schedule.deadline_s", 43_200)?.max(1).into()),
            verify_depth: parsed(merged, "schedule.verify_depth", "1 or 2", |text| {
                text.parse().ok().filter(|depth| (1..=2).contains(depth))
            })?
            .unwrap_or(1),
            rpo: parsed(merged, "objective.rpo", "a time such as `2h` or `90min`", |text| {
                amount::duration(text).filter(|time| !time.is_zero())
            })?,
            dataset_rpo: dataset_rpo(merged)?,
            rto: parsed(merged, "objective.rto", "a time such as `4h`", |text| {
                amount::duration(text).filter(|time| !time.is_zero())
            })?,
            locks_for: locks_for(merged)?,
            turn: Duration::from_secs(seconds("schedule.turn_s", 1_800)?.into()),
            access: access(merged)?,
            listen: listen.unwrap_or_else(|| LISTEN.parse().ok()),
            textfile: text("metrics.textfile").map(|value| PathBuf::from(&value.text)),
            otlp: Otlp::typed(merged)?,
            notify: Notify::typed(merged, digest)?,
        })
    }

    /// The plans of the host named `host`, each shifted by its own jitter.
    #[must_use]
    pub fn plans(&self, host: &str) -> Vec<Plan> {
        let plan = |(task, calendar): (&Task, &Calendar)| Plan {
            task: *task,
            calendar: calendar.clone().shifted(jitter(host, task.name(), self.jitter)),
        };
        self.schedules.iter().map(plan).collect()
    }
}

/// `mysql=1h, repositories=2h`.
fn dataset_rpo(merged: &Layer) -> CommandResult<BTreeMap<String, Duration>> {
    let one = |text: &str| {
        let (name, time) = text.split_once('=')?;
        let time = amount::duration(time).filter(|time| !time.is_zero())?;
        DATASETS.contains(&name.trim()).then(|| (name.trim().to_owned(), time))
    };
    let all = parsed(merged, "objective.datasets", "a list such as `mysql=1h, repositories=2h`", |text| {
        text.split(['\n', ',']).map(str::trim).filter(|text| !text.is_empty()).map(one).collect()
    })?;
    Ok(all.unwrap_or_default())
}

/// How long scheduled extensions lock: what is set, else what new files get.
fn locks_for(merged: &Layer) -> CommandResult<Option<String>> {
    let span = parsed(merged, "schedule.locks_for", "a span such as `90d` or `26w`", |text| {
        text.parse::<jiff::Span>().ok().filter(|span| span.is_positive()).map(|_| text.to_owned())
    })?;
    let days = merged.get("s3.retention_days").map(|value| format!("{}d", value.text.trim()));
    let span = span.or(days.filter(|text| text != "d"));
    if span.is_none() && merged.get("schedule.locks").is_some_and(|value| !value.text.is_empty()) {
        return Err(CommandError::usage("`schedule.locks` is set, but not for how long to lock")
            .hint("Set `schedule.locks_for`, e.g. to `90d`."));
    }
    Ok(span)
}

/// Who may look.
fn access(merged: &Layer) -> CommandResult<Access> {
    let header = merged.get("daemon.proxy_header").map(|value| value.text.trim().to_ascii_lowercase());
    let proxies = parsed(merged, "daemon.proxies", "a list of IP addresses", |text| {
        let items = text.split(['\n', ',', ' ']).filter(|item| !item.is_empty());
        items.map(|item| item.parse().ok()).collect::<Option<Vec<IpAddr>>>()
    })?;
    let access = Access {
        token: secret(merged, "daemon.token")?,
        proxy_header: header.filter(|name| !name.is_empty()),
        proxies: proxies.unwrap_or_default(),
    };
    if access.proxy_header.is_some() == access.proxies.is_empty() {
        return Err(CommandError::usage("`daemon.proxy_header` and `daemon.proxies` belong together").hint(
            "The header is believed of those addresses only; of nobody it would be worth nothing, and of everybody anyone could set it.",
        ));
    }
    Ok(access)
}
