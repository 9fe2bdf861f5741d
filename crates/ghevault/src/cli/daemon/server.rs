//! What the daemon serves: status page, metrics, health. Read-only, bounded, and nothing secret in it.

use super::{
    door::{Door, Entry},
    shared::{Shared, lock},
};
use crate::{cli::operate, web};
use ghevault_core::status::{Health, StatusReport, metrics};
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::HeaderValue,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle, time::timeout};

/// Connections at the same time.
const CONNECTIONS: usize = 32;
/// Longest time for the head of a request.
const HEAD: Duration = Duration::from_secs(5);
/// Longest life of a connection.
const LIFE: Duration = Duration::from_secs(30);

/// Starts to serve, if the settings want it. That it cannot is logged: backups are more important.
pub async fn start(shared: Arc<Mutex<Shared>>, door: Door) -> Option<JoinHandle<()>> {
    let address = lock(&shared).settings.operation.listen?;
    let listener = match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!("cannot serve at {address}: {error}");
            return None;
        }
    };
    let shown = listener.local_addr().unwrap_or(address);
    tracing::info!(address = shown.to_string(), "serving the status page");
    if !address.ip().is_loopback() && door.is_open() {
        tracing::warn!("the status page can be read by whoever reaches {shown}; `daemon.token` closes it");
    }
    Some(tokio::spawn(accept(listener, shared, Arc::new(door))))
}

async fn accept(listener: TcpListener, shared: Arc<Mutex<Shared>>, door: Arc<Door>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        let (stream, peer) = match listener.accept().await {
            Ok((stream, peer)) => (stream, peer.ip()),
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let (shared, door) = (Arc::clone(&shared), Arc::clone(&door));
        tokio::spawn(async move {
            let answer = service_fn(|request: Request<Incoming>| {
                let path = request.uri().path();
                let answer = match door.judge(peer, path, request.headers(), Instant::now()) {
                    Entry::Open => answer(request.method(), path, &shared),
                    closed => turned_away(closed, door.asks()),
                };
                async move { Ok::<_, Infallible>(answer) }
            });
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), answer);
            let _ = timeout(LIFE, serving).await;
            drop(seat);
        });
    }
}

/// The answer to a request.
fn answer(method: &Method, path: &str, shared: &Mutex<Shared>) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
    }
    let mut shared = lock(shared);
    let zone = shared.settings.operation.zone.clone();
    let mut told = |make: &dyn Fn(&StatusReport) -> Response<Full<Bytes>>| match shared.report() {
        Ok(report) => make(&report),
        Err(error) => {
            tracing::error!("no report: {error}");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the state folder cannot be read\n")
        }
    };
    match path {
        "/" => told(&|report| {
            let page = web::page(report, &zone, operate::VERSION);
            respond(StatusCode::OK, "text/html; charset=utf-8", page)
        }),
        "/metrics" => told(&|report| {
            respond(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                metrics(report, operate::VERSION),
            )
        }),
        "/status.json" => told(&|report| {
            respond(StatusCode::OK, "application/json", serde_json::to_string(report).unwrap_or_default())
        }),
        // Whether the daemon works; whether the backups do is what /ready says.
        "/healthz" => plain(StatusCode::OK, "ok\n"),
        "/ready" => told(&|report| {
            let broken = report.objective.health == Health::Broken;
            let code = if broken { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            plain(code, &format!("{}\n", report.objective.because))
        }),
        board if board.starts_with("/board/") => {
            match super::board::answer(&shared.settings.witness_boards, board) {
                Ok(Some(text)) => plain(StatusCode::OK, &text),
                Ok(None) => plain(StatusCode::NOT_FOUND, "no such note\n"),
                Err(error) => {
                    tracing::error!("no board: {error}");
                    plain(StatusCode::INTERNAL_SERVER_ERROR, "the board cannot be read\n")
                }
            }
        }
        _ => {
            plain(StatusCode::NOT_FOUND, "there is /, /metrics, /status.json, /healthz, /ready and /board/\n")
        }
    }
}

/// The answer to a request that is not answered.
fn turned_away(entry: Entry, asks: bool) -> Response<Full<Bytes>> {
    if entry == Entry::Wait {
        let mut answer = plain(StatusCode::TOO_MANY_REQUESTS, "too many requests\n");
        answer.headers_mut().insert("retry-after", HeaderValue::from_static("10"));
        return answer;
    }
    let mut answer = plain(StatusCode::UNAUTHORIZED, "say who you are\n");
    if asks {
        let how = HeaderValue::from_static("Basic realm=\"ghevault\", charset=\"UTF-8\"");
        answer.headers_mut().insert("www-authenticate", how);
    }
    answer
}

fn plain(code: StatusCode, text: &str) -> Response<Full<Bytes>> {
    respond(code, "text/plain; charset=utf-8", text.to_owned())
}

/// An answer with the headers that keep a browser from doing anything but show it.
fn respond(code: StatusCode, kind: &str, body: String) -> Response<Full<Bytes>> {
    let built = Response::builder()
        .status(code)
        .header("content-type", kind)
        .header("cache-control", "no-store")
        .header("x-content-type-options", "nosniff")
        .header("x-frame-options", "DENY")
        .header("referrer-policy", "no-referrer")
        .header("cross-origin-resource-policy", "same-origin")
        .header("cross-origin-opener-policy", "same-origin")
        .header("permissions-policy", "camera=(), geolocation=(), microphone=()")
        .header(
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        )
        .body(Full::new(Bytes::from(body)));
    built.unwrap_or_default()
}
