//! Whether the daemon of this host works, asked as anybody else would: what an image without a shell can check by itself.

use crate::error::{CommandError, CommandResult, Kind};
use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// Longest wait for each step of an answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// More of an answer than its first line is not read.
const FIRST_LINE: usize = 64;

/// Asks for `/healthz`, and returns the address that answered.
///
/// # Errors
/// The daemon serves nothing; nobody answers; the answer is another one than `200`.
pub fn ask(listen: Option<SocketAddr>) -> CommandResult<SocketAddr> {
    let Some(listen) = listen else {
        return Err(CommandError::usage(
            "daemon.listen is `none`, so the daemon cannot be asked whether it works",
        )
        .hint("Give it an address: `listen = \"127.0.0.1:9122\"` in `[daemon]`."));
    };
    let address = reachable(listen);
    match first_line(address) {
        Ok(line) if line.starts_with("HTTP/1.1 200") => Ok(address),
        Ok(line) => Err(CommandError::failure(format!(
            "what answers at {address} is no daemon that works: {}",
            line.trim().escape_debug()
        )).hint("Something else may listen at that address: `daemon.listen` names it. The daemon's log says what it is about.")),
        Err(error) => Err(CommandError::new(Kind::Failure, format!("no daemon answers at {address}"))
            .because_of(Some(&error))
            .hint("Is `ghevault daemon` running, with the same configuration?")),
    }
}

/// Where to ask a server that listens there: one that listens everywhere is here, too.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The beginning of the answer.
fn first_line(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut bounded = stream.take(FIRST_LINE as u64);
    let mut piece = [0; FIRST_LINE];
    while !answer.contains(&b'\n') {
        match bounded.read(&mut piece)? {
            0 => break,
            count => answer.extend_from_slice(&piece[..count]),
        }
    }
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{ask, reachable};
    use std::{
        io::{Read, Write},
        net::{SocketAddr, TcpListener},
    };

    /// Somebody who gives one answer.
    fn answering(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer.as_bytes());
        });
        address
    }

    #[test]
    fn a_daemon_that_says_ok_works() {
        let address = answering("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n");
        assert_eq!(ask(Some(address)).expect("it works"), address);
    }

    #[test]
    fn another_answer_silence_and_nobody_are_no_daemon_that_works() {
        for answer in ["HTTP/1.1 500 Internal Server Error\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", ""] {
            let error = ask(Some(answering(answer))).expect_err("no daemon");
            assert!(error.to_string().contains("no daemon that works"), "{error}");
        }
        let gone = "127.0.0.1:1".parse().expect("an address");
        assert!(ask(Some(gone)).expect_err("nobody").to_string().contains("no daemon answers"));
    }

    #[test]
    fn a_daemon_that_serves_nothing_cannot_be_asked() {
        assert!(ask(None).expect_err("nothing to ask").to_string().contains("none"));
    }

    #[test]
    fn a_daemon_that_listens_everywhere_is_asked_on_loopback() {
        let asked = |listen: &str| reachable(listen.parse().expect("an address")).to_string();
        assert_eq!(asked("0.0.0.0:9122"), "127.0.0.1:9122");
        assert_eq!(asked("[::]:9122"), "[::1]:9122");
        assert_eq!(asked("10.1.2.3:80"), "10.1.2.3:80");
    }
}
