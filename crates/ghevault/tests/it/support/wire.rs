//! A small HTTP server that answers as a test wants: KMS when it fails, and an instance's metadata (IMDSv2).

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// A request as it came in.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `PUT`, `POST`.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Content.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What it answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Status, content type and content.
    Say(u16, &'static str, String),
    /// The same with a header more.
    SayWith(u16, (&'static str, String), String),
    /// Nothing, for as long as the client waits.
    Silence,
}

impl Answer {
    /// An error as JSON services of AWS tell it.
    pub fn json_error(status: u16, code: &str, message: &str) -> Self {
        let body = format!("{{\"__type\":\"{code}\",\"message\":\"{message}\"}}");
        Self::Say(status, "application/x-amz-json-1.1", body)
    }
}

/// The server; it ends with the test's process.
pub struct Wire {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Wire {
    /// Starts it.
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (answer, log) = (Arc::new(answer), Arc::clone(&seen));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                thread::spawn(move || serve(stream, &*answer, &log));
            }
        });
        Self { url, seen }
    }

    /// What was asked so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("not poisoned").clone()
    }
}

/// A server that lies: reads what it gets, says `says` and then does with the connection what `then` does. Its `http://127.0.0.1:PORT`.
pub fn liar(says: &'static str, then: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let then = Arc::new(then);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 8192]);
            let _ = stream.write_all(says.as_bytes());
            let then = Arc::clone(&then);
            thread::spawn(move || then(stream));
        }
    });
    url
}

/// Says nothing more until the other side hangs up.
pub fn silence(mut stream: TcpStream) {
    while stream.read(&mut [0; 8192]).is_ok_and(|length| length > 0) {}
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Request) -> Answer, log: &Mutex<Vec<Request>>) {
    let Some(request) = read(&stream) else { return };
    log.lock().expect("not poisoned").push(request.clone());
    let (status, header, body) = match answer(&request) {
        Answer::Say(status, kind, body) => (status, ("content-type", kind.to_owned()), body),
        Answer::SayWith(status, header, body) => (status, header, body),
        Answer::Silence => return silence(stream),
    };
    let _ = write!(
        stream,
        "HTTP/1.1 {status} Answer\r\n{}: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        header.0,
        header.1,
        body.len()
    );
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let mut request =
        Request { method: words.next()?.to_owned(), path: words.next()?.to_owned(), ..Request::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// How the metadata service behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// As on an instance with a role.
    Sound,
    /// No answer, as with a hop limit of 1 inside a container.
    Silent,
    /// It refuses to give tokens.
    Forbidden,
    /// A role, but no region.
    NoRegion,
}

/// The token that the metadata service gives.
const TOKEN: &str = "AQAEAtokenOfTheFixture==";
/// Access key of the role.
pub const ROLE_KEY: &str = "ASIAROLEOFTHEFIXTURE";
/// Session token of the role.
pub const ROLE_TOKEN: &str = "session-token-of-the-role";

/// An instance's metadata service, version 2 only.
pub fn metadata(mode: Metadata) -> Wire {
    Wire::start(move |request| match mode {
        Metadata::Silent => Answer::Silence,
        Metadata::Forbidden => Answer::Say(403, "text/plain", String::new()),
        _ => sound(mode, request),
    })
}

fn sound(mode: Metadata, request: &Request) -> Answer {
    let text = |text: &str| Answer::Say(200, "text/plain", text.to_owned());
    let nothing = |status| Answer::Say(status, "text/plain", String::new());
    if request.path == "/latest/api/token" {
        let seconds =
            request.header("x-aws-ec2-metadata-token-ttl-seconds").and_then(|s| s.parse::<u32>().ok());
        return match seconds {
            _ if request.method != "PUT" => nothing(405),
            _ if request.header("x-forwarded-for").is_some() => nothing(403),
            Some(ttl @ 1..=21600) => Answer::SayWith(
                200,
                ("x-aws-ec2-metadata-token-ttl-seconds", ttl.to_string()),
                TOKEN.to_owned(),
            ),
            _ => nothing(400),
        };
    }
    if request.header("x-aws-ec2-metadata-token") != Some(TOKEN) {
        return nothing(401);
    }
    match request.path.trim_end_matches('/') {
        "/latest/meta-data/placement/region" if mode != Metadata::NoRegion => text("eu-central-1"),
        "/latest/meta-data/iam/security-credentials" => text("backup-role"),
        "/latest/meta-data/iam/security-credentials/backup-role" => text(&format!(
            "{{\"Code\":\"Success\",\"LastUpdated\":\"2026-01-01T00:00:00Z\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"{ROLE_KEY}\",\
             \"SecretAccessKey\":\"secret\",\"Token\":\"{ROLE_TOKEN}\",\"Expiration\":\"2099-01-01T00:00:00Z\"}}"
        )),
        _ => nothing(404),
    }
}
