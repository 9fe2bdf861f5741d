//! Who may look at what the daemon serves, and how often.

use crate::{
    cli::{Invocation, post},
    config::operation::Access,
    error::{CommandError, CommandResult},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::{HeaderMap, header::AUTHORIZATION};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Requests that one address may make at once.
const BURST: f64 = 120.0;
/// Requests that it may make in a second for ever.
const RATE: f64 = 10.0;
/// What a wrong token costs, in requests: few can be tried in a second.
const GUESS: f64 = 20.0;
/// Addresses that are remembered.
const ADDRESSES: usize = 1024;
/// Shortest token.
const TOKEN_MIN: usize = 16;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is answered.
    Open,
    /// Whoever asks must say who they are.
    Closed,
    /// It comes too soon after others.
    Wait,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Door {
    token: Option<String>,
    proxy: Option<(String, Vec<IpAddr>)>,
    addresses: Mutex<BTreeMap<IpAddr, Allowance>>,
}

/// What is left of an address' requests.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    left: f64,
    at: Instant,
}

impl Door {
    /// Fetches the token.
    ///
    /// # Errors
    /// Its source gives none, or a short one.
    pub fn open(invocation: &Invocation, access: &Access) -> CommandResult<Self> {
        let token = match &access.token {
            Some(source) => Some(post::text(invocation, "daemon.token", source)?.trim().to_owned()),
            None => None,
        };
        if token.as_ref().is_some_and(|token| token.len() < TOKEN_MIN) {
            return Err(CommandError::usage(format!(
                "what `daemon.token` gives is shorter than {TOKEN_MIN} characters"
            ))
            .hint("Make one with `openssl rand -hex 24`."));
        }
        let proxy = access.proxy_header.clone().map(|header| (header, access.proxies.clone()));
        Ok(Self { token, proxy, addresses: Mutex::default() })
    }

    /// Whether anybody who reaches it may look.
    pub const fn is_open(&self) -> bool {
        self.token.is_none() && self.proxy.is_none()
    }

    /// Whether a browser should ask for a password.
    pub const fn asks(&self) -> bool {
        self.token.is_some()
    }

    /// Judges a request.
    pub fn judge(&self, peer: IpAddr, path: &str, headers: &HeaderMap, now: Instant) -> Entry {
        let peer = peer.to_canonical();
        if !self.take(peer, 1.0, now) {
            return Entry::Wait;
        }
        // Whether the daemon lives may be known to whoever starts it again.
        if self.is_open() || path == "/healthz" {
            return Entry::Open;
        }
        if let Some((name, proxies)) = &self.proxy
            && proxies.iter().any(|proxy| proxy.to_canonical() == peer)
            && headers.get(name.as_str()).is_some_and(|who| !who.as_bytes().trim_ascii().is_empty())
        {
            return Entry::Open;
        }
        match (&self.token, given(headers)) {
            (Some(token), Some(given)) if same(token.as_bytes(), given.as_bytes()) => Entry::Open,
            (Some(_), Some(_)) => {
                self.take(peer, GUESS, now);
                Entry::Closed
            }
            _ => Entry::Closed,
        }
    }

    /// Takes from what an address may still do.
    fn take(&self, peer: IpAddr, cost: f64, now: Instant) -> bool {
        let mut all = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ADDRESSES && !all.contains_key(&peer) {
            // Those who have everything left need not be remembered.
            all.retain(|_, one| one.left + now.duration_since(one.at).as_secs_f64() * RATE < BURST);
            if all.len() >= ADDRESSES {
                return false;
            }
        }
        let one = all.entry(peer).or_insert(Allowance { left: BURST, at: now });
        one.left = (one.left + now.duration_since(one.at).as_secs_f64() * RATE).min(BURST);
        one.at = now;
        let enough = one.left >= cost;
        // Who is turned away pays nothing, or would wait for ever; a guess is paid for in any case.
        if enough || cost > 1.0 {
            one.left = (one.left - cost).max(-BURST);
        }
        enough
    }
}

/// The token of a request: `Bearer TOKEN`, or the password of any user, as browsers send it.
fn given(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, value) = text.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

/// Compares in a time that does not depend on where the difference is.
fn same(one: &[u8], two: &[u8]) -> bool {
    let differs = one.iter().zip(two).fold(0, |sum, (a, b)| sum | (a ^ b));
    one.len() == two.len() && differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a value"));
        headers
    }

    #[test]
    fn a_token_opens_as_bearer_and_as_password_and_nothing_else_does() {
        let door = Door { token: Some("0123456789abcdef".into()), ..Door::default() };
        let entry = |value: &str| door.judge(PEER, "/", &headers("authorization", value), Instant::now());
        assert_eq!(entry("Bearer 0123456789abcdef"), Entry::Open);
        assert_eq!(entry(&format!("Basic {}", STANDARD.encode("me:0123456789abcdef"))), Entry::Open);
        assert_eq!(entry("Bearer 0123456789abcdeg"), Entry::Closed);
        assert_eq!(entry("Bearer 0123456789abcde"), Entry::Closed);
        assert_eq!(entry("0123456789abcdef"), Entry::Closed);
        assert_eq!(door.judge(PEER, "/metrics", &HeaderMap::new(), Instant::now()), Entry::Closed);
        assert_eq!(door.judge(PEER, "/healthz", &HeaderMap::new(), Instant::now()), Entry::Open);
    }

    #[test]
    fn the_header_of_a_proxy_is_believed_of_the_proxy_only() {
        let door = Door { proxy: Some(("x-forwarded-user".into(), vec![PROXY])), ..Door::default() };
        let entry =
            |peer, value: &str| door.judge(peer, "/", &headers("x-forwarded-user", value), Instant::now());
        assert_eq!(entry(PROXY, "me"), Entry::Open);
        assert_eq!(entry("::ffff:192.0.2.2".parse().expect("an address"), "me"), Entry::Open);
        assert_eq!(entry(PROXY, " "), Entry::Closed);
        assert_eq!(entry(PEER, "me"), Entry::Closed);
    }

    #[test]
    fn whoever_asks_too_often_waits_and_guesses_are_dear() {
        let now = Instant::now();
        let asked = |door: &Door, peer, headers: &HeaderMap, now| {
            (0..1000).take_while(|_| door.judge(peer, "/", headers, now) != Entry::Wait).count()
        };
        let open = Door::default();
        assert_eq!(asked(&open, PEER, &HeaderMap::new(), now), 120);
        assert_eq!(asked(&open, PROXY, &HeaderMap::new(), now), 120);
        assert_eq!(asked(&open, PEER, &HeaderMap::new(), now + Duration::from_secs(1)), 10);
        let closed = Door { token: Some("0123456789abcdef".into()), ..Door::default() };
        assert!(asked(&closed, PEER, &headers("authorization", "Bearer x"), now) < 10);
    }

    #[test]
    fn addresses_that_are_remembered_are_bounded() {
        let door = Door::default();
        let now = Instant::now();
        for number in 0..5_000_u32 {
            door.judge(IpAddr::V4(number.into()), "/", &HeaderMap::new(), now);
        }
        assert!(door.addresses.lock().expect("not poisoned").len() <= ADDRESSES);
        let later = now + Duration::from_mins(1);
        assert_eq!(door.judge(PEER, "/", &HeaderMap::new(), later), Entry::Open);
    }
}
