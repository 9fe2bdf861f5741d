//! The name of an appliance as people write it: `[user@]host[:port]` (contract §1.1).
//!
//! Split at the last colon; IPv6 addresses are taken bare or in brackets. Only the admin shell's port makes sense, but
//! any port is accepted, so that tunnels and simulated appliances can be named; a wrong-looking port becomes a hint.

use std::{fmt, net::Ipv6Addr, str::FromStr};

/// The admin user of an appliance.
pub const ADMIN_USER: &str = "admin";
/// The port of an appliance's admin shell.
pub const ADMIN_PORT: u16 = 122;

/// Who to reach, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    user: String,
    host: String,
    port: u16,
}

/// Something about a target that parses but is probably not meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetHint {
    /// Port 22 of an appliance speaks Git, its admin shell listens on port 122.
    GitPort,
}

impl fmt::Display for TargetHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GitPort => {
                write!(f, "port 22 of an appliance serves Git; its admin shell listens on port {ADMIN_PORT}")
            }
        }
    }
}

/// Why a text does not name an appliance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Nothing was given.
    #[error("the appliance's name is empty; expected `[user@]host[:port]`")]
    Empty,
    /// There is an `@` without a user before it, or the user has odd characters.
    #[error("`{text}` names no usable user before the `@`")]
    User {
        /// What was given.
        text: String,
    },
    /// No host, or one with characters that no host name has.
    #[error("`{text}` names no usable host; expected `[user@]host[:port]`")]
    Host {
        /// What was given.
        text: String,
    },
    /// The part after the last colon is no port.
    #[error("`{port}` in `{text}` is not a port (1 to 65535)")]
    Port {
        /// What was given.
        text: String,
        /// The part after the colon.
        port: String,
    },
}

impl Target {
    /// Reads `[user@]host[:port]`; user `admin` and port 122 where nothing else is said.
    ///
    /// # Errors
    /// The text names no user, host or port that could exist.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TargetError::Empty);
        }
        let (user, place) = match text.rsplit_once('@') {
            Some((user, place)) => (user, place),
            None => (ADMIN_USER, text),
        };
        let word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if user.is_empty() || user.starts_with('-') || !user.chars().all(word) {
            return Err(TargetError::User { text: text.to_owned() });
        }
        let (host, port) = split_port(text, place)?;
        let named = !host.is_empty() && !host.starts_with('-') && host.chars().all(word);
        if !named && host.parse::<Ipv6Addr>().is_err() {
            return Err(TargetError::Host { text: text.to_owned() });
        }
        Ok(Self { user: user.to_owned(), host: host.to_ascii_lowercase(), port })
    }

    /// The remote user.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Host name or address, in lower case, IPv6 without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What is odd about this target, if anything.
    #[must_use]
    pub fn hint(&self) -> Option<TargetHint> {
        (self.port == 22).then_some(TargetHint::GitPort)
    }

    /// The name under which OpenSSH files its host keys: `[host]:port`, or the bare host for port 22.
    #[must_use]
    pub fn known_hosts_name(&self) -> String {
        if self.port == 22 { self.host.clone() } else { format!("[{}]:{}", self.host, self.port) }
    }
}

/// Splits `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address.
fn split_port<'a>(text: &str, place: &'a str) -> Result<(&'a str, u16), TargetError> {
    if place.parse::<Ipv6Addr>().is_ok() {
        return Ok((place, ADMIN_PORT));
    }
    if let Some(rest) = place.strip_prefix('[') {
        let unusable = || TargetError::Host { text: text.to_owned() };
        let (address, after) = rest.split_once(']').ok_or_else(unusable)?;
        address.parse::<Ipv6Addr>().map_err(|_| unusable())?;
        return match after {
            "" => Ok((address, ADMIN_PORT)),
            _ => Ok((address, port_number(text, after.strip_prefix(':').ok_or_else(unusable)?)?)),
        };
    }
    match place.rsplit_once(':') {
        None => Ok((place, ADMIN_PORT)),
        Some((host, port)) => Ok((host, port_number(text, port)?)),
    }
}

fn port_number(text: &str, port: &str) -> Result<u16, TargetError> {
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(number) if digits && number > 0 => Ok(number),
        _ => Err(TargetError::Port { text: text.to_owned(), port: port.to_owned() }),
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Target {
    /// `[user@]host[:port]` without the parts that are the defaults; parses back to the same target.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.user != ADMIN_USER {
            write!(f, "{}@", self.user)?;
        }
        match (self.host.contains(':'), self.port) {
            (_, ADMIN_PORT) => write!(f, "{}", self.host),
            (true, port) => write!(f, "[{}]:{port}", self.host),
            (false, port) => write!(f, "{}:{port}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, String, u16) {
        let target = Target::parse(text).expect("a target");
        (target.user().to_owned(), target.host().to_owned(), target.port())
    }

    #[test]
    fn what_is_not_said_is_the_admin_shell() {
        assert_eq!(parts("ghe.example.com"), ("admin".into(), "ghe.example.com".into(), 122));
        assert_eq!(parts(" root@GHE.example.com:2222\n"), ("root".into(), "ghe.example.com".into(), 2222));
    }

    #[test]
    fn ipv6_addresses_are_taken_bare_and_in_brackets() {
        assert_eq!(parts("fe80::1"), ("admin".into(), "fe80::1".into(), 122));
        assert_eq!(parts("[fe80::1]"), ("admin".into(), "fe80::1".into(), 122));
        assert_eq!(parts("me@[::1]:2222"), ("me".into(), "::1".into(), 2222));
        assert_eq!(parts("::1:122"), ("admin".into(), "::1:122".into(), 122));
    }

    #[test]
    fn what_is_shown_parses_back() {
        for text in ["ghe", "ghe:22", "me@ghe", "me@ghe:2222", "::1", "[::1]:22", "me@[::1]:1"] {
            let target = Target::parse(text).expect(text);
            assert_eq!(target.to_string(), text);
            assert_eq!(Target::parse(&target.to_string()), Ok(target));
        }
        assert_eq!(Target::parse("admin@ghe:122").expect("target").to_string(), "ghe");
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        assert_eq!(Target::parse("  "), Err(TargetError::Empty));
        assert!(matches!(Target::parse("@ghe"), Err(TargetError::User { .. })));
        assert!(matches!(Target::parse("-oProxyCommand=x@ghe"), Err(TargetError::User { .. })));
        for text in ["me@", ":122", "-oProxyCommand=x", "a b", "[ghe]:122", "[::1", "[::1]x", "a:b:22"] {
            assert!(matches!(Target::parse(text), Err(TargetError::Host { .. })), "{text}");
        }
        for text in ["ghe:", "ssh://ghe/", "ghe:0", "ghe:65536", "ghe:+22", "ghe:ssh", "[::1]:"] {
            assert!(matches!(Target::parse(text), Err(TargetError::Port { .. })), "{text}");
        }
    }

    #[test]
    fn port_22_earns_a_hint() {
        assert_eq!(Target::parse("ghe:22").expect("target").hint(), Some(TargetHint::GitPort));
        assert_eq!(Target::parse("ghe").expect("target").hint(), None);
    }

    #[test]
    fn host_keys_are_filed_under_openssh_names() {
        assert_eq!(Target::parse("Ghe").expect("target").known_hosts_name(), "[ghe]:122");
        assert_eq!(Target::parse("ghe:22").expect("target").known_hosts_name(), "ghe");
        assert_eq!(Target::parse("::1").expect("target").known_hosts_name(), "[::1]:122");
    }
}
