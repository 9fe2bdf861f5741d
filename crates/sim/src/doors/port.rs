//! Ports for doors: none of those that the system gives to clients, so that a door that was closed can open at its place again.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

/// Below what Linux gives to clients (32768 and up), and away from where servers of other programs usually are.
const CHOICE: std::ops::Range<u16> = 23_000..30_000;
const TRIES: usize = 100;

/// Listens at an address; port 0 chooses one.
///
/// # Errors
/// The address is taken or not this machine's; with port 0, none was free in a hundred tries.
pub fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    if at.port() != 0 {
        return TcpListener::bind(at);
    }
    let mut last = Err(io::ErrorKind::AddrInUse.into());
    for _ in 0..TRIES {
        last = TcpListener::bind((at.ip(), rand::random_range(CHOICE)));
        if !matches!(&last, Err(error) if error.kind() == io::ErrorKind::AddrInUse) {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_chosen_port_is_free_and_none_of_a_client() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (one, other) = (listen(any).unwrap(), listen(any).unwrap());
        assert_ne!(one.local_addr().unwrap().port(), other.local_addr().unwrap().port());
        assert!(CHOICE.contains(&one.local_addr().unwrap().port()));
    }

    #[test]
    fn a_named_port_is_taken_as_it_is_or_refused() {
        let first = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let named = first.local_addr().unwrap();
        assert_eq!(listen(named).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert_eq!(listen(named).unwrap().local_addr().unwrap(), named);
    }

    #[test]
    fn an_address_of_another_machine_is_refused_at_once() {
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 0));
        assert_eq!(listen(elsewhere).unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }
}
