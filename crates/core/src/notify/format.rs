//! Messages in the formats of those who get them.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Message, Part, Severity, Templates, template::escaped};
use crate::state::RunRecord;

/// A webhook's content and the headers that prove whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// JSON.
    pub body: String,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
}

/// A message as JSON. With a key it is signed: HMAC-SHA256 over time stamp, a dot and the body, so that an old one cannot be sent again.
#[must_use]
pub fn signed(message: &Message, words: &Templates, key: Option<&[u8]>) -> Signed {
    let body = words
        .worded(Part::Webhook, message)
        .unwrap_or_else(|| serde_json::to_string(message).unwrap_or_default());
    let at = message.at.as_second().to_string();
    let mut headers = vec![("x-ghevault-timestamp", at.clone()), ("x-ghevault-id", message.id.clone())];
    if let Some(key) = key
        && let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key)
    {
        mac.update(format!("{at}.{body}").as_bytes());
        headers
            .push(("x-ghevault-signature", format!("sha256={}", hex::encode(mac.finalize().into_bytes()))));
    }
    Signed { body, headers }
}

/// A message for a Slack webhook.
#[must_use]
pub fn slack(message: &Message, words: &Templates) -> String {
    let text = words.worded(Part::Slack, message).unwrap_or_else(|| slack_text(message));
    json!({ "text": text }).to_string()
}

fn slack_text(message: &Message) -> String {
    let mark = match message.severity {
        Severity::Info => ":white_check_mark:",
        Severity::Warning => ":warning:",
        Severity::Critical => ":rotating_light:",
    };
    let place = [message.host.as_str(), message.vault.as_str()].map(escaped).join(" → ");
    let more = message.lines.iter().fold(String::new(), |more, line| more + "\n• " + &escaped(line));
    format!("{mark} *{}*\n{place}{more}", escaped(&message.title))
}

/// A message as subject and text, for e-mail and topics. The subject is one line of at most 100 characters of ASCII, as the
/// strictest of them wants it.
#[must_use]
pub fn plain(message: &Message, words: &Templates) -> (String, String) {
    let whole = words.worded(Part::Subject, message).unwrap_or_else(|| subject(message));
    let ascii = |letter: char| if letter.is_ascii_graphic() || letter == ' ' { letter } else { '?' };
    let subject: String = whole.trim().chars().map(ascii).take(100).collect();
    let text = words.worded(Part::Text, message).unwrap_or_else(|| text(message));
    (subject.trim_end().to_owned(), text)
}

fn subject(message: &Message) -> String {
    let word = match message.severity {
        Severity::Info => "ok",
        Severity::Warning => "warning",
        Severity::Critical => "CRITICAL",
    };
    format!("[ghevault] {word}: {}", message.title)
}

fn text(message: &Message) -> String {
    let mut text = format!("{}\n\nappliance: {}\nvault: {}\n", message.title, message.host, message.vault);
    if let Some(run) = &message.run {
        let _ = writeln!(text, "run: {}, from {} to {}", run.run, run.began, run.ended);
        if let Some(snapshot) = &run.details.snapshot {
            let _ = writeln!(text, "snapshot: {snapshot}");
        }
    }
    if !message.lines.is_empty() {
        text.push('\n');
    }
    for line in &message.lines {
        let _ = writeln!(text, "{line}");
    }
    let _ = write!(text, "\nid: {}, {}\n", message.id, message.at);
    text
}

/// What a dead-man check gets with its ping.
#[must_use]
pub fn ping_body(record: &RunRecord) -> String {
    json!({
        "task": record.task,
        "run": record.run,
        "result": record.result,
        "code": record.code,
        "seconds": record.seconds(),
        "snapshot": record.details.snapshot,
        "reason": record.details.reason,
    })
    .to_string()
}

/// The id of a run in the form of a UUID, as dead-man checks want it.
#[must_use]
pub fn ping_id(run: &str) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Sha256::digest(run)[..16]);
    // Version 8: bits of our own making.
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let at = "2026-11-27T10:00:00Z".parse().unwrap();
        Message::new(at, Severity::Warning, "backup", "backup is failed: <x> & y", ("ghe", "/v"))
    }

    #[test]
    fn a_signature_is_over_time_and_body() {
        let plain = signed(&message(), &Templates::default(), None);
        assert_eq!(plain.headers.len(), 2);
        let one = signed(&message(), &Templates::default(), Some(b"key"));
        let mut mac = Hmac::<Sha256>::new_from_slice(b"key").unwrap();
        mac.update(format!("1795773600.{}", one.body).as_bytes());
        let expected = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        assert_eq!(one.headers[2], ("x-ghevault-signature", expected));
        assert_ne!(signed(&message(), &Templates::default(), Some(b"other")).headers, one.headers);
    }

    #[test]
    fn slack_gets_no_markup_of_others() {
        assert!(slack(&message(), &Templates::default()).contains("&lt;x&gt; &amp; y"));
    }

    #[test]
    fn a_subject_is_one_short_line_of_ascii() {
        let mut long = message();
        long.title = format!("größer\r\nBcc: everybody@example.com {}", "x".repeat(200));
        let (subject, text) = plain(&long, &Templates::default());
        assert!(subject.len() <= 100 && subject.starts_with("[ghevault] warning: gr??er??Bcc"), "{subject}");
        assert!(text.contains("appliance: ghe"), "{text}");
    }

    #[test]
    fn a_run_has_one_uuid() {
        let id = ping_id("00112233aabbccdd");
        assert_eq!(id, ping_id("00112233aabbccdd"));
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "8");
    }
}
