//! Whether an address leads to this host: what goes there, nobody on the way can read.

use std::net::IpAddr;

/// Whether a host, as it stands in an address, is this one.
#[must_use]
pub fn is_this_host(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_this_host;

    #[test]
    fn this_host_is_known_by_its_addresses() {
        assert!(["localhost", "127.1.2.3", "[::1]", "::1"].into_iter().all(is_this_host));
        assert!(!["localhost.example.com", "192.0.2.1", "[2001:db8::1]", ""].into_iter().any(is_this_host));
    }
}
