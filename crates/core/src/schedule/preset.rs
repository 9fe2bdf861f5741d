//! Schedules as people say them, as cron expressions: `mon-sat 07:00-20:00 hourly, sun 09,15,21`.

use std::collections::{BTreeMap, BTreeSet};

use super::ScheduleError;

/// Presets that have a name, and what they stand for.
const NAMED: &[(&str, &str)] = &[
    ("business-hours", "mon-sat 07:00-20:00 hourly, sun 09,15,21"),
    ("hourly", "daily 00:00-23:59 hourly"),
    ("nightly", "daily 02:30"),
    ("daily", "daily 12:00"),
    ("weekly", "sun 03:30"),
];

/// Days by their numbers in cron expressions.
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const MINUTES_A_DAY: u32 = 24 * 60;

/// A part of a schedule: words for people, and the cron expressions that mean the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    /// As it is explained.
    pub words: String,
    /// One expression for each minute of the hour that occurs.
    pub crons: Vec<String>,
}

/// Reads a schedule in words; `None` when the text does not look like one.
pub(super) fn read(text: &str) -> Option<Result<Vec<Clause>, ScheduleError>> {
    let text = text.trim();
    if let Some((_, meaning)) = NAMED.iter().find(|(name, _)| *name == text) {
        return read(meaning);
    }
    let first = text.split([' ', ',', '-']).next().unwrap_or_default();
    (days(first).is_some()).then(|| clauses(text))
}

/// Takes the text apart at its commas: an item that begins with a day begins a new part.
fn clauses(text: &str) -> Result<Vec<Clause>, ScheduleError> {
    let mut parts: Vec<Part> = Vec::new();
    for item in text.split(',') {
        let mut words = item.split_whitespace().peekable();
        if let Some(found) = words.peek().and_then(|word| days(word)) {
            words.next();
            match parts.last_mut().filter(|part| part.minutes.is_empty()) {
                // `mon, wed 09`: the days of a list.
                Some(part) => {
                    part.days.extend(found);
                    part.words.push(',');
                }
                None => parts.push(Part { days: found, ..Part::default() }),
            }
        }
        let part = parts.last_mut().ok_or_else(|| wrong(text, "it begins with no day"))?;
        if !part.minutes.is_empty() {
            part.words.push(',');
        }
        part.words.push_str(item.trim());
        let words: Vec<&str> = words.collect();
        part.minutes.extend(times(text, &words)?);
    }
    parts
        .into_iter()
        .map(|part| {
            if part.minutes.is_empty() {
                return Err(wrong(text, &format!("`{}` has no time", part.words)));
            }
            Ok(part.clause())
        })
        .collect()
}

/// Days and minutes of the day of one part.
#[derive(Default)]
struct Part {
    words: String,
    days: BTreeSet<usize>,
    minutes: BTreeSet<u32>,
}

impl Part {
    fn clause(self) -> Clause {
        let list = |numbers: Vec<String>| numbers.join(",");
        let mut by_minute: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for minute in self.minutes {
            by_minute.entry(minute % 60).or_default().push((minute / 60).to_string());
        }
        let week = if self.days.len() == 7 {
            "*".to_owned()
        } else {
            list(self.days.iter().map(ToString::to_string).collect())
        };
        let crons = by_minute
            .into_iter()
            .map(|(minute, hours)| {
                let hours = if hours.len() == 24 { "*".to_owned() } else { list(hours) };
                format!("{minute} {hours} * * {week}")
            })
            .collect();
        Clause { words: self.words, crons }
    }
}

/// `mon`, `mon-sat`, `daily`, `weekdays`, `weekend` as numbers of days.
fn days(word: &str) -> Option<BTreeSet<usize>> {
    let day = |name: &str| DAYS.iter().position(|known| *known == name.to_ascii_lowercase());
    match word {
        "daily" => return Some((0..7).collect()),
        "weekdays" => return Some((1..6).collect()),
        "weekend" => return Some([0, 6].into()),
        _ => {}
    }
    let Some((from, to)) = word.split_once('-') else { return day(word).map(|day| [day].into()) };
    let (from, to) = (day(from)?, day(to)?);
    let length = (to + 7 - from) % 7;
    Some((0..=length).map(|step| (from + step) % 7).collect())
}

/// `09`, `09:30`, `07:00-20:00 hourly`, `07:00-20:00 every 30min` as minutes of the day.
fn times(text: &str, words: &[&str]) -> Result<Vec<u32>, ScheduleError> {
    let (range, step) = match words {
        [] => return Ok(Vec::new()),
        [one] if !one.contains('-') => {
            return minute_of_day(one).map(|minute| vec![minute]).ok_or_else(|| no_time(text, one));
        }
        [range, "hourly"] => (range, 60),
        [range, "every", step] => (
            range,
            step_minutes(step)
                .ok_or_else(|| wrong(text, &format!("`{step}` is no step such as `30min` or `2h`")))?,
        ),
        _ => {
            let all = words.join(" ");
            return Err(wrong(text, &format!("`{all}` is neither a time nor `HH:MM-HH:MM hourly`")));
        }
    };
    let (from, to) = range.split_once('-').ok_or_else(|| no_time(text, range))?;
    let from = minute_of_day(from).ok_or_else(|| no_time(text, from))?;
    let to = minute_of_day(to).ok_or_else(|| no_time(text, to))?;
    if to < from {
        return Err(wrong(text, &format!("`{range}` goes over midnight; write two parts")));
    }
    Ok((from..=to).step_by(step).collect())
}

/// `9`, `09`, `09:30`.
fn minute_of_day(word: &str) -> Option<u32> {
    let (hour, minute) = word.split_once(':').unwrap_or((word, "0"));
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    Some(hour * 60 + minute).filter(|_| minute < 60).filter(|all| *all < MINUTES_A_DAY)
}

/// `30min`, `2h`.
fn step_minutes(word: &str) -> Option<usize> {
    let minutes = match (word.strip_suffix("min"), word.strip_suffix('h')) {
        (Some(minutes), _) => minutes.parse::<usize>().ok()?,
        (_, Some(hours)) => hours.parse::<usize>().ok()?.checked_mul(60)?,
        _ => return None,
    };
    (minutes > 0).then_some(minutes)
}

fn no_time(text: &str, word: &str) -> ScheduleError {
    wrong(text, &format!("`{word}` is no time of day such as `09` or `09:30`"))
}

fn wrong(text: &str, why: &str) -> ScheduleError {
    ScheduleError::Words { text: text.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{Clause, read};

    fn crons(text: &str) -> Vec<String> {
        let clauses: Vec<Clause> = read(text).expect("words").expect("understood");
        clauses.into_iter().flat_map(|clause| clause.crons).collect()
    }

    #[test]
    fn extended_business_hours_are_two_expressions() {
        let both = ["0 7,8,9,10,11,12,13,14,15,16,17,18,19,20 * * 1,2,3,4,5,6", "0 9,15,21 * * 0"];
        assert_eq!(crons("business-hours"), both);
        assert_eq!(crons("mon-sat 07:00-20:00 hourly, sun 09,15,21"), both);
    }

    #[test]
    fn steps_minutes_and_lists_of_days_are_understood() {
        assert_eq!(
            crons("weekdays 08:30-10:00 every 30min"),
            ["0 9,10 * * 1,2,3,4,5", "30 8,9 * * 1,2,3,4,5"]
        );
        assert_eq!(crons("mon, wed 09:15, sat-sun 12"), ["15 9 * * 1,3", "0 12 * * 0,6"]);
        assert_eq!(crons("daily 00:17-23:59 hourly"), ["17 * * * *"]);
        assert_eq!(crons("fri-mon 00"), ["0 0 * * 0,1,5,6"]);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let why = |text: &str| read(text).expect("words").expect_err("wrong").to_string();
        assert!(why("mon-sat 20:00-07:00 hourly").contains("over midnight"));
        assert!(why("mon 25").contains("`25` is no time of day"));
        assert!(why("mon").contains("has no time"));
        assert!(why("mon 07:00-09:00 sometimes").contains("sometimes"));
        assert!(why("mon 07:00-09:00 every 0min").contains("`0min`"));
        assert!(read("17 3 * * *").is_none());
    }
}
