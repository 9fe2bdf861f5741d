//! A notice board behind HTTP, to be read only: what the daemon of another host serves under `/board`.

use ghevault_core::{
    causes,
    witness::{Board, BoardError},
};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{StatusCode, Uri, body::Bytes};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{sync::Arc, time::Duration};
use tokio::{runtime::Runtime, time::timeout};

/// Longest time of one request.
const WAIT: Duration = Duration::from_mins(1);
/// Longest answer, in bytes.
const BYTES_MAX: usize = 64 << 20;

/// See the module.
pub struct HttpBoard {
    base: String,
    runtime: Arc<Runtime>,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl HttpBoard {
    /// The board at an address, if it is one of HTTP; asks nothing of it.
    ///
    /// # Errors
    /// There are no threads or no certificates.
    pub fn open(place: &str) -> Result<Option<Self>, BoardError> {
        if !place.starts_with("http://") && !place.starts_with("https://") {
            return Ok(None);
        }
        let failed = |why: String| BoardError::Answer { place: place.to_owned(), why };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|error| failed(format!("the system has no certificates: {error}")))?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let base = place.trim_end_matches('/').to_owned();
        Ok(Some(Self { base, runtime: Arc::new(runtime), client }))
    }

    /// What stands at a path; `None` when there is nothing.
    fn get(&self, path: &str) -> Result<Option<String>, BoardError> {
        let place = format!("{}{path}", self.base);
        let failed = |why: String| BoardError::Answer { place: place.clone(), why };
        let address: Uri = place.parse().map_err(|_| failed("it is no address".into()))?;
        self.runtime.block_on(async {
            let ask = async {
                let answer =
                    self.client.get(address).await.map_err(|error| failed(causes::on_one_line(&error)))?;
                match answer.status() {
                    StatusCode::OK => {}
                    StatusCode::NOT_FOUND => return Ok(None),
                    other => return Err(failed(format!("it answers {}", other.as_u16()))),
                }
                let body = Limited::new(answer.into_body(), BYTES_MAX).collect().await;
                let bytes = body.map_err(|error| failed(error.to_string()))?.to_bytes();
                Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
            };
            timeout(WAIT, ask)
                .await
                .unwrap_or_else(|_| Err(failed(format!("no answer within {} s", WAIT.as_secs()))))
        })
    }

    /// The names in a list; `None` when there is none.
    fn lines(&self, path: &str) -> Result<Option<Vec<String>>, BoardError> {
        let is_plain = |line: &&str| is_plain(line);
        let names = |text: String| text.lines().filter(is_plain).map(str::to_owned).collect();
        Ok(self.get(path)?.map(names))
    }
}

/// Whether a name may stand in a path of a board.
pub fn is_plain(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && name.bytes().all(allowed)
}

impl Board for HttpBoard {
    fn place(&self) -> String {
        self.base.clone()
    }

    fn origins(&self) -> Result<Vec<String>, BoardError> {
        // an origin may be unknown there, but a board has a list of them
        self.lines("/")?.ok_or_else(|| BoardError::Answer {
            place: format!("{}/", self.base),
            why: "it answers 404: there is no board".into(),
        })
    }

    fn names(&self, origin: &str) -> Result<Vec<String>, BoardError> {
        Ok(self.lines(&format!("/{origin}/"))?.unwrap_or_default())
    }

    fn read(&self, origin: &str, name: &str) -> Result<Option<String>, BoardError> {
        if is_plain(name) { self.get(&format!("/{origin}/{name}")) } else { Ok(None) }
    }

    fn create(&self, _: &str, _: &str, _: &str) -> Result<bool, BoardError> {
        Err(BoardError::Answer {
            place: self.base.clone(),
            why: "a board behind HTTP can be read only; its host writes to its folder or bucket".into(),
        })
    }

    fn is_read_only(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn only_plain_names_become_paths() {
        assert!(is_plain("ghevault.0123.refs") && is_plain("00000001-ab.note"));
        for bad in ["", ".", "..", "a/b", "a b", "a%2e", "ä"] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
