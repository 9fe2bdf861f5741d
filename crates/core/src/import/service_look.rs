//! What an appliance says about its Backup Service, asked in one round trip (contract §11.2). Parsing is pure.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    chain::Checkpoints,
    name,
    service::{ServiceError, ServiceSettings},
};
use crate::appliance::quote::quote;

/// What the appliance says about its service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) mark_age: Option<Duration>,
    pub(super) target: Option<String>,
    pub(super) there: bool,
    pub(super) incomplete: bool,
    pub(super) measured: bool,
    pub(super) uuid: String,
    pub(super) checkpoints: Option<Checkpoints>,
    pub(super) files: Vec<(Vec<u8>, u64, Timestamp)>,
}

/// The question.
pub(super) fn script(settings: &ServiceSettings, data_root: &str) -> String {
    let (mark, data) =
        (quote(&format!("{data_root}/common/backup_utils_in_progress")), quote(&settings.data));
    format!(
        r#"m={mark}
if sudo test -e "$m"; then echo "age=$(( $(date +%s) - $(sudo stat -c %Y "$m") ))"; fi
if t=$(sudo readlink {data}/current); then
  t=$(basename "$t"); d={data}/$t
  echo "current=$t"
  sudo test -d "$d" && echo there=1
  sudo test -e "$d/incomplete" && echo incomplete=1
  sudo test -d "$d/benchmarks" && echo measured=1
  echo "uuid=$(sudo cat "$d/uuid" 2>/dev/null)"
  sudo find "$d" -maxdepth 1 -type f -printf 'file=%T@ %s %f\n' 2>/dev/null
  sudo cat "$d/xtrabackup_checkpoints" 2>/dev/null | sed 's/^/points=/'
fi
echo end=1
"#
    )
}

/// The answer; nothing when it does not come to its end.
pub(super) fn read(text: &str) -> Option<Look> {
    let mut look = Look::default();
    let (mut ended, mut points) = (false, String::new());
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        match key {
            "age" => look.mark_age = Some(Duration::from_secs(value.parse().unwrap_or(0))),
            "current" => look.target = Some(value.to_owned()).filter(|name| !name.is_empty()),
            "there" => look.there = true,
            "incomplete" => look.incomplete = true,
            "measured" => look.measured = true,
            "uuid" => value.trim().clone_into(&mut look.uuid),
            "file" => look.files.extend(file(value)),
            "points" => points.extend([value, "\n"]),
            "end" => ended = true,
            _ => {}
        }
    }
    look.checkpoints = Checkpoints::parse(&points);
    ended.then_some(look)
}

/// `SECONDS.FRACTION SIZE NAME`.
fn file(value: &str) -> Option<(Vec<u8>, u64, Timestamp)> {
    let mut words = value.splitn(3, ' ');
    let (seconds, fraction) = words.next()?.split_once('.')?;
    let nanoseconds = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let time = Timestamp::new(seconds.parse().ok()?, nanoseconds).ok()?;
    let size = words.next()?.parse().ok()?;
    Some((words.next()?.as_bytes().to_vec(), size, time))
}

impl Look {
    /// The directory to take, or why there is none.
    pub(super) fn snapshot(&self, settings: &ServiceSettings) -> Result<&str, ServiceError> {
        let none = |reason: String| {
            Err(ServiceError::NoSnapshot { current: format!("{}/current", settings.data), reason })
        };
        match &self.target {
            None => none("does not exist".into()),
            Some(target) if !self.there => none(format!("points to `{target}`, which is not there")),
            Some(target) if self.incomplete => {
                none(format!("points to `{target}`, which is marked `incomplete`"))
            }
            Some(target) => Ok(target),
        }
    }

    /// The moment that the snapshot shows.
    pub(super) fn time(&self, target: &str) -> Timestamp {
        let begun = self.files.iter().find(|(name, ..)| name == b"strategy").map(|(.., time)| *time);
        name::time(target, begun.filter(|_| self.measured)).or(begun).unwrap_or_else(Timestamp::now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "current=20261122T100509\nthere=1\nmeasured=1\nuuid=u\nfile=1700000000.2500000000 7 strategy\nend=1\n";

    #[test]
    fn an_answer_is_read_to_its_end_or_not_at_all() {
        let look = read(ANSWER).expect("an answer");
        assert_eq!(look.snapshot(&ServiceSettings::default()).expect("a snapshot"), "20261122T100509");
        assert_eq!(
            look.files,
            [(b"strategy".to_vec(), 7, Timestamp::new(1_700_000_000, 250_000_000).expect("a time"))]
        );
        assert_eq!(read("current=1\n"), None);
    }

    #[test]
    fn a_link_to_nothing_and_an_unfinished_snapshot_are_named() {
        let why = |answer: &str| {
            let look = read(answer).expect("an answer");
            look.snapshot(&ServiceSettings::default()).expect_err("none").to_string()
        };
        assert!(why("end=1\n").contains("does not exist"));
        assert!(why("current=1\nend=1\n").contains("points to `1`, which is not there"));
        assert!(why("current=1\nthere=1\nincomplete=1\nend=1\n").contains("marked `incomplete`"));
    }
}
