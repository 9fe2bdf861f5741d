//! A wire between a client and a server on loopback that can be cut after a number of bytes, for all connections at once:
//! to the server this is the sudden death of its client.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// The wire.
pub struct Wire {
    /// Where the client connects to.
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    /// Bytes from the client that still pass.
    left: AtomicU64,
    ends: Mutex<Vec<TcpStream>>,
}

impl Wire {
    /// A wire to `server` that lets `bytes` bytes of the client pass.
    pub fn to(server: SocketAddr, bytes: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { left: AtomicU64::new(bytes), ends: Mutex::default() });
        let wire = Self { port, shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.left.load(Ordering::SeqCst) == 0 {
                    return;
                }
                let Ok(server) = TcpStream::connect(server) else { return };
                let ends = [&client, &server].map(|end| end.try_clone().unwrap());
                shared.ends.lock().unwrap().extend(ends);
                let (back_in, back_out) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let forth = Arc::clone(&shared);
                std::thread::spawn(move || pass(client, server, Some(&forth)));
                std::thread::spawn(move || pass(back_in, back_out, None));
            }
        });
        wire
    }

    /// Whether it has been cut.
    pub fn is_cut(&self) -> bool {
        self.shared.left.load(Ordering::SeqCst) == 0
    }
}

impl Shared {
    fn cut(&self) {
        self.left.store(0, Ordering::SeqCst);
        for end in self.ends.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, limit: Option<&Shared>) {
    let mut buffer = [0; 8192];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if let Some(shared) = limit {
            let before = shared
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(n as u64)));
            if before.is_ok_and(|left| left <= n as u64) {
                return shared.cut();
            }
        }
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
