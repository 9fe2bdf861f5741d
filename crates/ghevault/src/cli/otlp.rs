//! Metrics to a receiver of OpenTelemetry: OTLP over HTTP, protobuf. A request that fails is not repeated, for the next has newer numbers.

use super::{
    Invocation, operate,
    post::{
        self,
        http::{self, Http, Letter},
    },
};
use crate::{
    config::Settings,
    error::{CommandError, CommandResult},
};
use ghevault_core::{
    state::StateFolder,
    status::{Sender, StatusReport, rejected, request},
};
use hyper::{
    Uri,
    header::{HeaderName, HeaderValue},
};
use std::{borrow::Cow, collections::BTreeMap, time::Duration};

/// Sends reports to one receiver.
pub struct Exporter {
    address: Uri,
    /// Names and values; secrets.
    headers: Vec<(Cow<'static, str>, String)>,
    client: Http,
    instance: String,
    /// Time between two requests of the daemon.
    pub every: Duration,
}

impl Exporter {
    /// Fetches the headers of the receiver that the settings name, if they name one.
    ///
    /// # Errors
    /// A source gives none, or what it gives are no headers; the state folder cannot be read.
    pub fn open(
        invocation: &Invocation,
        settings: &Settings,
        state: &StateFolder,
    ) -> CommandResult<Option<Self>> {
        let Some(otlp) = &settings.operation.otlp else { return Ok(None) };
        let headers = match &otlp.headers {
            Some(source) => headers(&post::text(invocation, "metrics.otlp_headers", source)?)?,
            None => Vec::new(),
        };
        Ok(Some(Self {
            address: otlp.address.clone(),
            headers,
            client: http::client(),
            instance: state.host_id()?,
            every: otlp.every,
        }))
    }

    /// Sends a report once.
    ///
    /// # Errors
    /// The receiver is away, or does not take all of it, in words without anything secret.
    pub async fn send(&self, report: &StatusReport) -> Result<(), String> {
        let sender = Sender { version: operate::VERSION, instance: &self.instance };
        let body = request(report, sender);
        let letter = Letter::content("application/x-protobuf", self.headers.clone(), body);
        let answer = http::ask(&self.client, &self.address, &letter).await;
        let answer = answer.map_err(|fault| fault.words().to_owned())?;
        match rejected(&answer) {
            Some(part) => Err(format!("it did not take {} of the numbers: {}", part.points, part.why)),
            None => Ok(()),
        }
    }
}

/// Sends the numbers once, at the end of a run that no daemon has started; that it cannot be done is a warning.
pub fn once(invocation: &Invocation, state: &StateFolder) {
    if let Err(why) = sent(invocation, state) {
        tracing::warn!("metrics were not sent: {why}");
    }
}

fn sent(invocation: &Invocation, state: &StateFolder) -> Result<(), String> {
    let settings = &invocation.settings;
    let exporter = Exporter::open(invocation, settings, state).map_err(|error| error.one_line())?;
    let Some(exporter) = exporter else { return Ok(()) };
    let history = state.history().map_err(|error| error.to_string())?;
    let report = operate::report(settings, state, &BTreeMap::new(), &history);
    let report = report.map_err(|error| error.to_string())?;
    let runtime = operate::runtime().map_err(|error| error.one_line())?;
    runtime.block_on(exporter.send(&report))
}

/// `name: value` on each line.
fn headers(text: &str) -> CommandResult<Vec<(Cow<'static, str>, String)>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let one = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        HeaderName::from_bytes(name.as_bytes()).ok()?;
        HeaderValue::from_str(value).ok()?;
        Some((Cow::Owned(name), value.to_owned()))
    };
    lines.map(one).collect::<Option<_>>().ok_or_else(|| {
        CommandError::usage("what `metrics.otlp_headers` gives are no headers")
            .hint("Each line is `name: value`, e.g. `authorization: Bearer …`.")
    })
}

#[cfg(test)]
mod tests {
    use super::headers;

    #[test]
    fn headers_stand_on_lines_and_are_not_repeated_in_errors() {
        let all = headers("Authorization: Bearer a:b\n\nx-scope:  one \n").expect("headers");
        assert_eq!(all[0], ("authorization".into(), "Bearer a:b".to_owned()));
        assert_eq!(all[1], ("x-scope".into(), "one".to_owned()));
        let error = headers("hunter2").map(drop).expect_err("refused").to_string();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(headers("a b: c").is_err());
    }
}
