//! A small HTTP proxy between the product and the S3 server: it breaks things on demand, and denies what a policy of Amazon's
//! would deny and the server does not know.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What the proxy does with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treat {
    /// Hands it on.
    Pass,
    /// Answers with a status and a code of S3 instead.
    Answer(u16, &'static str),
    /// Takes this many bytes of the content and resets the connection; the server gets nothing.
    ResetAfter(usize),
    /// Hands it on, and resets the connection instead of answering.
    LoseAnswer,
    /// Hands it on, and ends the connection after this many bytes of the answer's content.
    CutAnswer(usize),
    /// Hands it on, and takes the newest entry out of the listing.
    StaleListing,
}

/// One request as the rules see it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The request's head, in lower case.
    pub head: String,
    /// How many requests came before.
    pub number: usize,
}

type Rule = dyn Fn(&Asked) -> Treat + Send + Sync;

/// A proxy in threads of its own; ends with the process.
pub struct Proxy {
    pub endpoint: String,
    rule: Arc<Mutex<Arc<Rule>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Proxy {
    /// Starts one that hands everything on.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let upstream = super::endpoint().trim_start_matches("http://").to_owned();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let rule: Arc<Mutex<Arc<Rule>>> = Arc::new(Mutex::new(Arc::new(|_: &Asked| Treat::Pass)));
        let (rules, counter) = (Arc::clone(&rule), Arc::new(AtomicUsize::new(0)));
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (rules, counter, upstream) = (Arc::clone(&rules), Arc::clone(&counter), upstream.clone());
                tokio::spawn(async move {
                    // a connection that ends is what many rules want
                    let _ = serve(client, &upstream, &rules, &counter).await;
                });
            }
        });
        Self { endpoint, rule, _runtime: runtime }
    }

    /// From now on requests are treated as `rule` says.
    pub fn rule(&self, rule: impl Fn(&Asked) -> Treat + Send + Sync + 'static) {
        *self.rule.lock().expect("a rule") = Arc::new(rule);
    }
}

/// Head (with its empty line) and what of the content came with it.
async fn head_of(stream: &mut TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok(Some((String::from_utf8_lossy(&bytes).into_owned(), rest)));
        }
        let mut part = vec![0; 64 * 1024];
        let read = stream.read(&mut part).await?;
        if read == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&part[..read]);
    }
}

fn length_of(head: &str) -> usize {
    header(head, "content-length").and_then(|value| value.parse().ok()).unwrap_or_default()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// Resets the connection instead of ending it in order.
fn reset(stream: &TcpStream) {
    #[expect(deprecated, reason = "the time is zero, so nothing blocks")]
    let _ = stream.set_linger(Some(std::time::Duration::ZERO));
}

async fn serve(
    mut client: TcpStream,
    upstream: &str,
    rules: &Mutex<Arc<Rule>>,
    counter: &AtomicUsize,
) -> std::io::Result<()> {
    while let Some((head, mut content)) = head_of(&mut client).await? {
        let mut words = head.split(' ');
        let asked = Asked {
            method: words.next().unwrap_or_default().to_owned(),
            target: words.next().unwrap_or_default().to_owned(),
            head: head.to_lowercase(),
            number: counter.fetch_add(1, Ordering::SeqCst),
        };
        let rule = Arc::clone(&rules.lock().expect("a rule"));
        let treat = rule(&asked);
        if header(&head, "expect").is_some() {
            client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let length = length_of(&head);
        let wanted = if let Treat::ResetAfter(most) = treat { length.min(most) } else { length };
        while content.len() < wanted {
            let mut part = vec![0; 64 * 1024];
            let read = client.read(&mut part).await?;
            if read == 0 {
                return Ok(());
            }
            content.extend_from_slice(&part[..read]);
        }
        match treat {
            Treat::ResetAfter(_) => {
                reset(&client);
                return Ok(());
            }
            Treat::Answer(status, code) => {
                let body = format!(
                    "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as ordered</Message></Error>"
                );
                let body = if asked.method == "HEAD" { String::new() } else { body };
                let answer = format!(
                    "HTTP/1.1 {status} Ordered\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                client.write_all(answer.as_bytes()).await?;
                continue;
            }
            _ => {}
        }
        let (head, answer) = forward(upstream, &asked, &head, &content).await?;
        match treat {
            Treat::LoseAnswer => {
                reset(&client);
                return Ok(());
            }
            Treat::CutAnswer(most) if answer.len() > most => {
                client.write_all(head.as_bytes()).await?;
                client.write_all(&answer[..most]).await?;
                client.flush().await?;
                reset(&client);
                return Ok(());
            }
            Treat::StaleListing => {
                let text = String::from_utf8_lossy(&answer);
                let stale = without_newest(&text);
                let head = head.replace(
                    &format!("Content-Length: {}", answer.len()),
                    &format!("Content-Length: {}", stale.len()),
                );
                client.write_all(head.as_bytes()).await?;
                client.write_all(stale.as_bytes()).await?;
            }
            _ => {
                client.write_all(head.as_bytes()).await?;
                client.write_all(&answer).await?;
            }
        }
    }
    Ok(())
}

/// Asks the server over a connection of its own; the answer's head, and its content in one piece with its length.
async fn forward(
    upstream: &str,
    asked: &Asked,
    head: &str,
    content: &[u8],
) -> std::io::Result<(String, Vec<u8>)> {
    let mut server = TcpStream::connect(upstream).await?;
    // the signature covers the host, which therefore stays as the client wrote it
    let once: String = head
        .split_inclusive("\r\n")
        .filter(|line| {
            let lower = line.to_lowercase();
            !lower.starts_with("connection:") && !lower.starts_with("expect:") && *line != "\r\n"
        })
        .collect();
    server.write_all(once.as_bytes()).await?;
    server.write_all(b"Connection: close\r\n\r\n").await?;
    server.write_all(content).await?;
    let Some((head, mut answer)) = head_of(&mut server).await? else {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    };
    server.read_to_end(&mut answer).await?;
    let mut kept: String = head
        .split_inclusive("\r\n")
        .filter(|line| {
            let lower = line.to_lowercase();
            !lower.starts_with("connection:")
                && !lower.starts_with("transfer-encoding:")
                && (asked.method == "HEAD" || !lower.starts_with("content-length:"))
                && *line != "\r\n"
        })
        .collect();
    if header(&head, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        answer = unchunked(&answer);
    }
    if asked.method != "HEAD" {
        kept.extend(["Content-Length: ", &answer.len().to_string(), "\r\n"]);
    }
    kept.push_str("\r\n");
    Ok((kept, answer))
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size =
            usize::from_str_radix(String::from_utf8_lossy(&bytes[..end]).trim(), 16).unwrap_or_default();
        if size == 0 {
            break;
        }
        out.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
    out
}

/// The listing without the entry that was modified last.
fn without_newest(text: &str) -> String {
    let entries: Vec<&str> = text.split("<Contents>").skip(1).collect();
    let time = |entry: &str| {
        entry.split_once("<LastModified>").map(|(_, rest)| rest[..20.min(rest.len())].to_owned())
    };
    let Some(newest) = entries.iter().max_by_key(|entry| time(entry)) else { return text.to_owned() };
    let end = newest.find("</Contents>").map_or(newest.len(), |at| at + "</Contents>".len());
    text.replacen(&format!("<Contents>{}", &newest[..end]), "", 1)
}
