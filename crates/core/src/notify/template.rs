//! Messages in a user's own words: Jinja templates, one for each part of a message that can be worded. What a template gets wrong is
//! found when it is read; whatever fails later loses no message, because then it is sent in our words.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use minijinja::{
    AutoEscape, Environment, Error, Output, State, UndefinedBehavior, Value, escape_formatter, value::Serde,
};
use serde::de::IgnoredAny;
use serde_json::{Value as Json, json};

use super::{Message, Severity};
use crate::state::{DatasetRun, RunDetails, RunRecord, RunResult, Task, Trigger};

/// Work that a template may do for one message, in minijinja's measure: some 3 MB of text.
const FUEL: u64 = 50_000;
const SLACK: &str = "slack";

/// What can be worded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The subject of e-mail and of topics.
    Subject,
    /// Their text.
    Text,
    /// The text of a Slack message; what values bring along is no markup.
    Slack,
    /// The body of a webhook, JSON; values are written as JSON.
    Webhook,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Subject, Self::Text, Self::Slack, Self::Webhook];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Text => "text",
            Self::Slack => SLACK,
            Self::Webhook => "webhook",
        }
    }

    /// What is written in a template's place is what a receiver can read.
    fn judge(self, text: String) -> Result<String, String> {
        if text.trim().is_empty() {
            return Err("nothing is left of it".to_owned());
        }
        if self == Self::Webhook {
            serde_json::from_str::<IgnoredAny>(&text).map_err(|error| format!("it is not JSON: {error}"))?;
        }
        Ok(text)
    }
}

/// A template that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{why}{}", line.map(|line| format!("line {line}: ")).unwrap_or_default(), of.map(|of| format!(" (in a message of {of})")).unwrap_or_default())]
pub struct TemplateError {
    /// Its line, from 1.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub why: String,
    /// The kind of message that it fails for, if it does not for all.
    pub of: Option<&'static str>,
}

impl TemplateError {
    fn of(error: &Error, of: Option<&'static str>) -> Self {
        let why = match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        Self { line: error.line(), why, of }
    }
}

/// The templates of a configuration; none of them has to be there.
#[derive(Clone)]
pub struct Templates(Arc<Environment<'static>>);

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Part::ALL.into_iter().filter(|part| self.0.get_template(part.name()).is_ok());
        f.debug_set().entries(known).finish()
    }
}

impl Default for Templates {
    fn default() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|name| match name {
            "webhook" => AutoEscape::Json,
            SLACK => AutoEscape::Custom(SLACK.into()),
            _ => AutoEscape::None,
        });
        environment.set_formatter(formatted);
        Self(Arc::new(environment))
    }
}

impl Templates {
    /// With a template for `part`. It is tried with messages of every kind.
    ///
    /// # Errors
    /// It is no template, or it fails for one of the messages.
    pub fn with(self, part: Part, text: &str) -> Result<Self, TemplateError> {
        let mut environment = Arc::unwrap_or_clone(self.0);
        environment
            .add_template_owned(part.name(), text.to_owned())
            .map_err(|error| TemplateError::of(&error, None))?;
        let all = Self(Arc::new(environment));
        for (kind, message) in samples() {
            if let Some(Err(error)) = all.tried(part, &message, kind) {
                return Err(error);
            }
        }
        Ok(all)
    }

    /// `message` in the words of the template for `part`, if there is one; that it fails is logged.
    #[must_use]
    pub fn worded(&self, part: Part, message: &Message) -> Option<String> {
        self.tried(part, message, "this kind")?
            .inspect_err(|error| {
                let part = part.name();
                tracing::warn!(part, "the template of a message fails, it is sent in our words: {error}");
            })
            .ok()
    }

    fn tried(
        &self,
        part: Part,
        message: &Message,
        kind: &'static str,
    ) -> Option<Result<String, TemplateError>> {
        let template = self.0.get_template(part.name()).ok()?;
        let written =
            template.render(values(message)).map_err(|error| TemplateError::of(&error, Some(kind))).and_then(
                |text| part.judge(text).map_err(|why| TemplateError { line: None, why, of: Some(kind) }),
            );
        Some(written)
    }
}

/// What a template sees: the message as a webhook gets it, with `lines` and `run` in any case, and the run's `seconds`.
fn values(message: &Message) -> Serde<Json> {
    let mut all = json!(message);
    if let Json::Object(all) = &mut all {
        all.entry("lines").or_insert_with(|| json!([]));
        let run = all.entry("run").or_insert(Json::Null);
        if let (Json::Object(run), Some(record)) = (run, &message.run) {
            run.insert("seconds".to_owned(), json!(record.seconds()));
        }
    }
    Serde(all)
}

/// JSON as JSON; elsewhere nothing where there is nothing, and for Slack without markup of others.
fn formatted(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let slack = match state.auto_escape() {
        AutoEscape::Json => return escape_formatter(out, state, value),
        AutoEscape::Custom(_) => true,
        _ => false,
    };
    let text = if value.is_none() { String::new() } else { value.to_string() };
    let text = if slack && !value.is_safe() { escaped(&text) } else { text };
    out.write_str(&text).map_err(Error::from)
}

/// A text in which Slack sees no markup.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A message of every kind, by what it is.
fn samples() -> Vec<(&'static str, Message)> {
    let at = Timestamp::UNIX_EPOCH;
    let place = ("ghe.example.com", "/srv/ghevault/vault");
    let make = |severity, subject: &str, title: &str| Message::new(at, severity, subject, title, place);
    let run = |result, code, details| RunRecord {
        run: "00112233aabbccdd".to_owned(),
        task: Task::Backup,
        began: at,
        ended: at,
        result,
        code,
        trigger: Trigger::Schedule,
        details,
    };
    let mut failed = make(Severity::Warning, "backup", "backup is failed: no route to host");
    let reason = Some("no route to host".to_owned());
    failed.run = Some(run(RunResult::Failed, 1, RunDetails { reason, ..RunDetails::default() }));
    let dataset =
        DatasetRun { name: "mysql".to_owned(), outcome: "complete".to_owned(), bytes: 1, seconds: 1.0 };
    let mut complete = make(Severity::Info, "backup", "backup is complete");
    complete.run = Some(run(
        RunResult::Complete,
        0,
        RunDetails {
            vault: Some(place.1.to_owned()),
            snapshot: Some("0123abcd".to_owned()),
            bytes_read: Some(1),
            bytes_added: Some(1),
            bytes_source: Some(1),
            machine: Some("ghe.example.com, primary".to_owned()),
            datasets: vec![dataset],
            ..RunDetails::default()
        },
    ));
    let mut digest = make(Severity::Warning, "digest", "digest: at risk");
    digest.lines = vec!["backup: 3 complete, 1 failed".to_owned()];
    let broken = make(Severity::Critical, "objective", "objective: broken; no complete snapshot for 3 h");
    let test = make(Severity::Info, "test", "this is a test");
    vec![
        ("a run that failed", failed),
        ("a complete run", complete),
        ("a digest", digest),
        ("an objective", broken),
        ("a test", test),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(part: Part, text: &str) -> Templates {
        Templates::default().with(part, text).unwrap()
    }

    fn refused(part: Part, text: &str) -> String {
        Templates::default().with(part, text).unwrap_err().to_string()
    }

    fn message() -> Message {
        let place = ("ghe", "/v");
        Message::new(Timestamp::UNIX_EPOCH, Severity::Warning, "backup", "<!channel> & \"x\"", place)
    }

    #[test]
    fn a_message_is_said_in_the_words_of_its_template() {
        let all =
            with(Part::Subject, "{{ severity|upper }} {{ host }}{% if run %} {{ run.result }}{% endif %}");
        assert_eq!(all.worded(Part::Subject, &message()).as_deref(), Some("WARNING ghe"));
        assert_eq!(all.worded(Part::Text, &message()), None);
        let (_, failed) = samples().swap_remove(0);
        assert_eq!(all.worded(Part::Subject, &failed).as_deref(), Some("WARNING ghe.example.com failed"));
    }

    #[test]
    fn values_bring_no_markup_along() {
        let slack = with(Part::Slack, "*<https://ghe|{{ host }}>*: {{ title }}{{ run }}");
        assert_eq!(
            slack.worded(Part::Slack, &message()).as_deref(),
            Some("*<https://ghe|ghe>*: &lt;!channel&gt; &amp; \"x\"")
        );
        let webhook =
            with(Part::Webhook, r#"{"summary": {{ title }}, "run": {{ run }}, "n": {{ lines|length }}}"#);
        let json: Json = serde_json::from_str(&webhook.worded(Part::Webhook, &message()).unwrap()).unwrap();
        assert_eq!(json, json!({ "summary": "<!channel> & \"x\"", "run": null, "n": 0 }));
    }

    #[test]
    fn a_wrong_template_is_found_before_a_message_needs_it() {
        assert_eq!(refused(Part::Text, "a\n{% if %}"), "line 2: syntax error: unexpected end of block");
        let wrong_name = refused(Part::Text, "{{ titel }}");
        assert!(wrong_name.starts_with("line 1: undefined value"), "{wrong_name}");
        let sometimes = refused(Part::Text, "{{ title }}\n{% if run %}{{ run.snapshot }}{% endif %}");
        assert!(sometimes.ends_with("(in a message of a run that failed)"), "{sometimes}");
        assert!(refused(Part::Webhook, r#"{"summary": "{{ title }}"}"#).starts_with("it is not JSON"));
        assert!(
            refused(Part::Subject, "{% if run %}{{ title }}{% endif %}").contains("nothing is left of it")
        );
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(refused(Part::Text, endless).contains("fuel"));
    }

    #[test]
    fn a_template_that_fails_loses_no_message() {
        let all = with(Part::Text, "{% if host == 'ghe' %}{{ 1 / 0 }}{% else %}fine{% endif %}");
        assert_eq!(all.worded(Part::Text, &message()), None);
    }
}
