//! Settings of who is told, and how.

use super::{
    amount,
    layer::Layer,
    settings::{parsed, secret},
};
use crate::error::{CommandError, CommandResult};
use ghevault_core::{
    keys::SecretSource,
    notify::{Part, Templates},
    schedule::Calendar,
};

/// Who is told; the addresses are secrets, but that of a topic.
#[derive(Clone, Debug, Default)]
pub struct Notify {
    /// A dead-man check.
    pub ping: Option<SecretSource>,
    /// A webhook.
    pub webhook: Option<SecretSource>,
    /// What signs its messages.
    pub webhook_key: Option<SecretSource>,
    /// A Slack webhook.
    pub slack: Option<SecretSource>,
    /// A mail server, with user and password.
    pub mail: Option<SecretSource>,
    /// Who the mail is from.
    pub mail_from: Option<String>,
    /// Who gets mail.
    pub mail_to: Vec<String>,
    /// ARN of a topic.
    pub sns: Option<String>,
    /// In whose words.
    pub templates: Templates,
    /// Whether good runs are told.
    pub every_run: bool,
    /// When it is told how everything stands.
    pub digest: Option<Calendar>,
}

impl Notify {
    /// Turns texts into types.
    ///
    /// # Errors
    /// A value makes no sense; the text names its origin.
    pub fn typed(merged: &Layer, digest: Option<Calendar>) -> CommandResult<Self> {
        let text = |key: &str| merged.get(key).map(|value| value.text.trim()).filter(|text| !text.is_empty());
        let every_run = parsed(merged, "notify.every_run", "true or false", amount::truth)?;
        let to = text("notify.mail_to").unwrap_or_default();
        Ok(Self {
            ping: secret(merged, "notify.ping")?,
            webhook: secret(merged, "notify.webhook")?,
            webhook_key: secret(merged, "notify.webhook_key")?,
            slack: secret(merged, "notify.slack")?,
            mail: secret(merged, "notify.mail")?,
            mail_from: text("notify.mail_from").map(str::to_owned),
            mail_to: to
                .split(['\n', ','])
                .map(str::trim)
                .filter(|one| !one.is_empty())
                .map(str::to_owned)
                .collect(),
            sns: text("notify.sns").map(str::to_owned),
            templates: templates(merged)?,
            every_run: every_run.unwrap_or(false),
            digest,
        })
    }
}

/// The templates of messages.
fn templates(merged: &Layer) -> CommandResult<Templates> {
    let mut all = Templates::default();
    for part in Part::ALL {
        let key = format!("notify.{}_template", part.name());
        let Some(value) = merged.get(&key).filter(|value| !value.text.trim().is_empty()) else { continue };
        all = all.with(part, &value.text).map_err(|error| {
            CommandError::usage(format!("{}: `{key}`: {error}", value.origin))
                .hint("docs/operation.md, *Telling people*, says what a template may hold; a name that is not always there stands in `{% if … %}`.")
        })?;
    }
    Ok(all)
}
