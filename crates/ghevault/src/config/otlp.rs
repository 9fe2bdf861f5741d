//! Settings of where metrics are sent.

use super::{
    layer::Layer,
    settings::{parsed, secret},
    this_host::is_this_host,
};
use crate::error::{CommandError, CommandResult};
use ghevault_core::keys::SecretSource;
use hyper::Uri;
use std::time::Duration;

const KEY: &str = "metrics.otlp";
/// Where receivers of OTLP over HTTP take metrics.
const PATH: &str = "/v1/metrics";

/// A receiver of OpenTelemetry.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "otlp"),
    allow(dead_code, reason = "the settings are known without the feature, to refuse them")
)]
pub struct Otlp {
    /// Its address, whole.
    pub address: Uri,
    /// Headers for it.
    pub headers: Option<SecretSource>,
    /// Time between two requests of the daemon.
    pub every: Duration,
}

impl Otlp {
    /// Turns texts into types; nothing, if there is no receiver.
    ///
    /// # Errors
    /// A value makes no sense, or this program was built without it; the text names its origin.
    pub fn typed(merged: &Layer) -> CommandResult<Option<Self>> {
        let Some(value) = merged.get(KEY).filter(|value| !value.text.trim().is_empty()) else {
            return Ok(None);
        };
        if cfg!(not(feature = "otlp")) {
            return Err(CommandError::usage(format!(
                "{}: `{KEY}` is set, but this program was built without the feature `otlp`",
                value.origin
            ))
            .hint("Build it with `--features otlp`, or take the setting out."));
        }
        let address = parsed(merged, KEY, "an address such as `http://127.0.0.1:4318`", address)?;
        let headers = secret(merged, "metrics.otlp_headers")?;
        let every = parsed(merged, "metrics.otlp_every_s", "a number of seconds from 1 on", |text| {
            text.parse().ok().filter(|seconds| *seconds > 0)
        })?;
        let Some(address) = address else { return Ok(None) };
        if headers.is_some()
            && address.scheme_str() == Some("http")
            && !is_this_host(address.host().unwrap_or_default())
        {
            return Err(CommandError::usage(format!(
                "{}: `metrics.otlp_headers` would be sent in the clear to {address}",
                value.origin
            ))
            .hint("Write `https://…`, or send to a collector on this host."));
        }
        Ok(Some(Self { address, headers, every: Duration::from_secs(every.unwrap_or(60)) }))
    }
}

/// The whole address: as everywhere with OpenTelemetry, one without a path is the base of it.
fn address(text: &str) -> Option<Uri> {
    let text = text.trim();
    let uri: Uri = text.parse().ok()?;
    let known = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    // A user and password in it would be seen by everybody who sees the settings.
    if !known || uri.authority()?.as_str().contains('@') {
        return None;
    }
    if uri.path() == "/" && uri.query().is_none() {
        return format!("{}{PATH}", text.trim_end_matches('/')).parse().ok();
    }
    Some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_path_is_the_base() {
        let whole = |text| address(text).map(|uri| uri.to_string());
        assert_eq!(whole("http://127.0.0.1:4318").as_deref(), Some("http://127.0.0.1:4318/v1/metrics"));
        assert_eq!(
            whole("https://otel.example.com/").as_deref(),
            Some("https://otel.example.com/v1/metrics")
        );
        let other = "https://otel.example.com/otlp/v1/metrics";
        assert_eq!(whole(other).as_deref(), Some(other));
        for bad in ["127.0.0.1:4318", "grpc://h:4317", "https://", "https://u:p@otel.example.com"] {
            assert_eq!(whole(bad), None, "{bad}");
        }
    }
}
