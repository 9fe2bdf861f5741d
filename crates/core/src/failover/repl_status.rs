//! What `ghe-repl-status` says (contract §6.2): only the leading word of a line and the word after it are understood,
//! since the sentences differ between releases; and the exit code, since it knows more than the lines.

use serde::{Deserialize, Serialize};

use crate::appliance::channel::ExitStatus;

/// How well replication is, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Everything is in sync.
    Ok,
    /// Behind, but following.
    Warning,
    /// Far behind, or not following.
    Critical,
    /// The replica has not been told to replicate: its data is as old as that.
    NotStarted,
    /// The replica did not tell.
    Unknown,
}

impl Level {
    /// The level as a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::NotStarted => "not started",
            Self::Unknown => "unknown",
        }
    }
}

/// One replicated store, e.g. `mysql`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// The first word after the level.
    pub name: String,
    /// How well it is.
    pub level: Level,
    /// The whole line, for people.
    pub line: String,
    /// Seconds that it is behind, where `-v` tells (`Delay: 29`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_s: Option<u64>,
}

/// The state of a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplStatus {
    /// The worst of lines and exit code.
    pub level: Level,
    /// The stores, as listed.
    pub streams: Vec<Stream>,
    /// What was said instead, when nothing was understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
}

impl ReplStatus {
    /// A replica that could not be asked.
    #[must_use]
    pub fn unknown(said: impl Into<String>) -> Self {
        Self { level: Level::Unknown, streams: Vec::new(), said: Some(said.into()) }
    }

    /// The stores that are not in sync, or the level when no single one is to blame.
    #[must_use]
    pub fn behind(&self) -> Vec<String> {
        let names: Vec<String> = self
            .streams
            .iter()
            .filter(|stream| stream.level != Level::Ok)
            .map(|stream| stream.name.clone())
            .collect();
        match self.level {
            Level::Ok => Vec::new(),
            Level::NotStarted | Level::Unknown => vec!["everything".to_owned()],
            _ if names.is_empty() => vec!["everything".to_owned()],
            _ => names,
        }
    }

    /// The longest delay that a store admits, seconds.
    #[must_use]
    pub fn delay_s(&self) -> Option<u64> {
        self.streams.iter().filter_map(|stream| stream.delay_s).max()
    }
}

/// Reads the output of `ghe-repl-status [-v]`.
#[must_use]
pub fn parse(stdout: &str, status: &ExitStatus) -> ReplStatus {
    let mut streams: Vec<Stream> = Vec::new();
    let mut other = None;
    for line in stdout.lines() {
        if let Some(detail) = line.trim_start().strip_prefix('|') {
            if let (Some(stream), Some(delay)) = (streams.last_mut(), delay_in(detail)) {
                stream.delay_s = Some(stream.delay_s.unwrap_or(0).max(delay));
            }
        } else if let Some(stream) = stream_in(line) {
            streams.push(stream);
        } else if other.is_none() && !line.trim().is_empty() {
            other = Some(line.trim().to_owned());
        }
    }
    let lines = streams.iter().map(|stream| stream.level).max();
    // A line about replication as a whole is about no store: it has not been started.
    let stopped =
        |stream: &Stream| stream.level > Level::Ok && stream.name.eq_ignore_ascii_case("replication");
    let level = match (status.code(), lines) {
        (Some(1 | 2), _) if streams.iter().any(stopped) => Level::NotStarted,
        (Some(0), Some(lines)) => lines,
        (Some(1), Some(lines)) if lines > Level::Ok => lines,
        // A failure that no line explains: replication was never started (contract §6.2).
        (Some(1), _) => Level::NotStarted,
        (Some(2), lines) => lines.unwrap_or(Level::Critical).max(Level::Critical),
        _ => Level::Unknown,
    };
    let silent = streams.is_empty() || level == Level::Unknown;
    let said = silent.then(|| other.unwrap_or_else(|| format!("nothing, with {status}")));
    ReplStatus { level, streams, said }
}

/// With every exit code, for [`crate::fuzzing`].
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(text: &str) {
    for code in 0..4 {
        let _ = parse(text, &ExitStatus::Code(code)).delay_s();
    }
}

/// A line such as `OK: mysql replication is in sync`, also behind the name of a node (`ghe-replica: OK: …`).
fn stream_in(line: &str) -> Option<Stream> {
    const WORDS: [(&str, Level); 3] =
        [("OK:", Level::Ok), ("WARNING:", Level::Warning), ("CRITICAL:", Level::Critical)];
    let line = line.trim();
    let (text, level) = WORDS.into_iter().find_map(|(word, level)| {
        let at = line.find(word)?;
        let node = line[..at].trim_end().strip_suffix(':').unwrap_or(&line[..at]);
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        node.chars().all(plain).then_some((&line[at + word.len()..], level))
    })?;
    let name = text.split_whitespace().next()?.trim_end_matches([',', ':', '.']).to_owned();
    Some(Stream { name, level, line: line.to_owned(), delay_s: None })
}

/// The seconds in a detail such as `IO running: Yes, SQL running: Yes, Delay: 0`.
fn delay_in(detail: &str) -> Option<u64> {
    let lower = detail.to_ascii_lowercase();
    let digits = lower.split_once("delay:")?.1.trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN_SYNC: &str = "OK: mysql replication is in sync\n  | IO running: Yes, SQL running: Yes, Delay: 0\n\
                           OK: redis replication is in sync\nOK: git replication is in sync\n";

    fn read(text: &str, code: u32) -> ReplStatus {
        parse(text, &ExitStatus::Code(code))
    }

    #[test]
    fn all_ok_is_ok_and_details_give_the_delay() {
        let status = read(IN_SYNC, 0);
        assert_eq!((status.level, status.streams.len()), (Level::Ok, 3));
        assert_eq!((status.delay_s(), status.said.clone()), (Some(0), None));
        assert!(status.behind().is_empty());
    }

    #[test]
    fn the_worst_line_counts_and_is_named() {
        let text =
            "OK: redis replication is in sync\nWARNING: mysql replication delay is 29s\n  | Delay: 29\n";
        let status = read(text, 1);
        assert_eq!((status.level, status.delay_s()), (Level::Warning, Some(29)));
        assert_eq!(status.behind(), ["mysql"]);
        let text = format!(
            "{text}CRITICAL: git replication is behind the primary by 150 repositories and/or gists\n"
        );
        assert_eq!(
            (read(&text, 2).level, read(&text, 2).behind()),
            (Level::Critical, vec!["mysql".into(), "git".into()])
        );
    }

    #[test]
    fn the_exit_code_is_believed_when_the_lines_say_less() {
        assert_eq!(read("Replication is not running.\n", 1).level, Level::NotStarted);
        assert_eq!(read("", 1).level, Level::NotStarted);
        assert_eq!(read("WARNING: replication is not running\n", 1).level, Level::NotStarted);
        assert_eq!(read(IN_SYNC, 1).level, Level::NotStarted);
        assert_eq!(read(IN_SYNC, 2).level, Level::Critical);
        assert_eq!(read("", 2).behind(), ["everything"]);
        assert_eq!(read("WARNING: mysql replication delay is 29s\n", 0).level, Level::Warning);
    }

    #[test]
    fn what_is_not_understood_is_unknown_and_repeated() {
        for (text, code) in [("", 0), ("bash: ghe-repl-status: command not found\n", 127), (IN_SYNC, 124)] {
            let status = read(text, code);
            assert_eq!(status.level, Level::Unknown, "{text} {code}");
            assert!(status.said.is_some());
        }
        assert_eq!(parse("", &ExitStatus::Signal("TERM".into())).level, Level::Unknown);
    }

    #[test]
    fn old_wording_sentences_and_names_of_nodes_do_not_matter() {
        let old =
            read("OK: mysql replication in sync\nOK: git data is in sync (10 repos, 2 wikis, 5 gists)\n", 0);
        assert_eq!((old.level, old.streams[1].name.as_str()), (Level::Ok, "git"));
        let failed = read("CRITICAL: Synchronization delay could not be determined: OK: no\n", 2);
        assert_eq!((failed.level, failed.streams[0].name.as_str()), (Level::Critical, "Synchronization"));
        let each = read("ghe-replica: WARNING: mysql replication delay is 29s\n", 1);
        assert_eq!((each.level, each.streams[0].name.as_str()), (Level::Warning, "mysql"));
    }
}
