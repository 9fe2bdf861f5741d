//! Letters over HTTP: one client, one try; the address is a secret and stands in no error.

use super::Fault;
use ghevault_core::{
    notify::{self, Message, Templates},
    state::RunRecord,
};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Uri,
    body::{Bytes, Incoming},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{borrow::Cow, time::Duration};
use tokio::time::{Instant, timeout_at};

/// Longest time of one try.
const TRY: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read; more is as good.
const ANSWER: usize = 64 << 10;

/// One request, ready to be sent as often as it takes.
#[derive(Clone, Debug)]
pub struct Letter {
    path: String,
    query: String,
    kind: &'static str,
    headers: Vec<(Cow<'static, str>, String)>,
    body: Bytes,
}

impl Letter {
    /// A message for a webhook, signed if there is a key.
    pub fn webhook(message: &Message, words: &Templates, key: Option<&[u8]>) -> Self {
        let signed = notify::signed(message, words, key);
        let headers = signed.headers.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Self::json(headers, signed.body)
    }

    /// A message for Slack.
    pub fn slack(message: &Message, words: &Templates) -> Self {
        Self::json(Vec::new(), notify::slack(message, words))
    }

    fn json(headers: Vec<(Cow<'static, str>, String)>, body: String) -> Self {
        Self::content("application/json", headers, body)
    }

    /// Content of a type for the address as it is.
    pub fn content(
        kind: &'static str,
        headers: Vec<(Cow<'static, str>, String)>,
        body: impl Into<Bytes>,
    ) -> Self {
        Self { path: String::new(), query: String::new(), kind, headers, body: body.into() }
    }

    /// A ping of a dead-man check: what is added to its address, the run, and words.
    pub fn ping(path: &str, run: Option<&str>, body: String) -> Self {
        let query = run.map(|run| format!("rid={}", notify::ping_id(run))).unwrap_or_default();
        let kind = "text/plain; charset=utf-8";
        Self { path: path.to_owned(), query, kind, headers: Vec::new(), body: body.into() }
    }

    /// The ping for the end of a run.
    pub fn end(record: &RunRecord) -> Self {
        let path = if record.code == 0 { String::new() } else { record.code.to_string() };
        Self::ping(&path, Some(&record.run), notify::ping_body(record))
    }
}

/// The client, or why there is none.
pub type Http = Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, String>;

/// The client: rustls with the system's certificates.
pub fn client() -> Http {
    let connector = HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(|error| format!("the system has no certificates: {error}"))?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

/// Sends a letter once. The error names no address.
pub async fn send(client: &Http, address: &Uri, letter: &Letter) -> Result<(), Fault> {
    ask(client, address, letter).await.map(drop)
}

/// Sends a letter once, for an answer, of which a part is enough. The error names no address.
pub async fn ask(client: &Http, address: &Uri, letter: &Letter) -> Result<Vec<u8>, Fault> {
    let client = client.as_ref().map_err(|why| Fault::Away(why.clone()))?;
    let mut request = Request::post(joined(address, letter))
        .header("content-type", letter.kind)
        .header("user-agent", concat!("ghevault/", env!("CARGO_PKG_VERSION")));
    for (name, value) in &letter.headers {
        request = request.header(name.as_ref(), value);
    }
    let request = request
        .body(Full::new(letter.body.clone()))
        .map_err(|_| Fault::Refused("the address makes no request".to_owned()))?;
    let until = Instant::now() + TRY;
    match timeout_at(until, client.request(request)).await {
        Err(_) => Err(Fault::Away(format!("no answer within {} s", TRY.as_secs()))),
        Ok(Err(error)) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            Err(Fault::Away(format!("{error}{}", cause.unwrap_or_default())))
        }
        Ok(Ok(answer)) if answer.status().is_success() => whole(answer.into_body(), until).await,
        Ok(Ok(answer)) => {
            let code = answer.status();
            let why = format!("it answers {}", code.as_u16());
            // "Later" and "too much" are no refusals, and neither is what may be a proxy's word.
            let refused =
                code.is_client_error() && !matches!(code.as_u16(), 401 | 403 | 404 | 408 | 425 | 429);
            Err(if refused { Fault::Refused(why) } else { Fault::Away(why) })
        }
    }
}

/// Waits for the end of an answer that says yes: what breaks off may come from somebody on the way, not from the receiver.
async fn whole(mut answer: Incoming, until: Instant) -> Result<Vec<u8>, Fault> {
    let mut read = Vec::new();
    while read.len() < ANSWER {
        match timeout_at(until, answer.frame()).await {
            Err(_) => return Err(Fault::Away(format!("its answer does not end within {} s", TRY.as_secs()))),
            Ok(Some(Err(_))) => return Err(Fault::Away("its answer breaks off".to_owned())),
            Ok(Some(Ok(frame))) => read.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            Ok(None) => break,
        }
    }
    Ok(read)
}

/// The address with what the letter adds to it.
fn joined(address: &Uri, letter: &Letter) -> String {
    let (base, query) = (address.to_string(), address.query().unwrap_or_default());
    let base = base.split('?').next().unwrap_or_default().trim_end_matches('/');
    let path = if letter.path.is_empty() { String::new() } else { format!("/{}", letter.path) };
    let query: Vec<&str> = [query, &letter.query].into_iter().filter(|part| !part.is_empty()).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{base}{path}{mark}{}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::{Letter, joined};

    #[test]
    fn pings_are_added_to_the_address() {
        let at = |address: &str, path| {
            joined(&address.parse().expect("an address"), &Letter::ping(path, Some("a"), String::new()))
        };
        let rid = ghevault_core::notify::ping_id("a");
        assert_eq!(
            at("https://hc.example.com/abc", "start"),
            format!("https://hc.example.com/abc/start?rid={rid}")
        );
        assert_eq!(
            at("https://hc.example.com/abc/?x=1", ""),
            format!("https://hc.example.com/abc?x=1&rid={rid}")
        );
    }
}
