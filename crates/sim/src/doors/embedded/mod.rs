//! The embedded SSH server: public-key login as `admin`, exec and shell requests, no root and no `sshd` needed.
//!
//! Commands run as the user of this process, with the appliance's commands first on `PATH` and its absolute paths
//! rewritten to the disk's place ([`super::rewrite`]). Each channel has its own process; output honours the client's
//! windows, input waits in memory up to a limit so that one slow command does not stall the connection.

mod feed;
mod forward;
mod request;

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use request::Request;
use russh::{
    Channel, ChannelId, MethodKind, MethodSet,
    keys::PublicKey,
    server::{self, Auth, Config, Handler, Msg, Session, VerifiedPublicKey},
};
use tokio::net::{TcpListener, TcpStream};

use super::{keys, port, rewrite::Rewrite, shims};
use crate::{
    appliance::{Place, commands, faults::Faults, membership},
    error::{OnFile, SimError},
};

/// A running embedded server; dropping it stops it and ends its processes.
#[derive(Debug)]
pub struct Embedded {
    address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
    groups: Arc<Mutex<Vec<i32>>>,
    accepting: tokio::task::AbortHandle,
    /// Says so when nobody listens any more.
    closed: Mutex<mpsc::Receiver<()>>,
}

impl Embedded {
    /// Serves the appliance at `place`; port 0 chooses one. `program` is the simulator's own program.
    ///
    /// # Errors
    /// The address is taken, or the appliance is damaged.
    pub fn start(place: &Place, program: &std::path::Path, listen: SocketAddr) -> Result<Self, SimError> {
        place.prepare()?;
        shims::link_all(&place.run("shims"), program, shims::embedded_names())?;
        shims::link_all(&place.run("enterprise"), program, commands::ENTERPRISE.iter().copied())?;
        let home = place.root().join("home");
        std::fs::create_dir_all(&home).on("create", home)?;
        keys::host_key(place)?;
        membership::prepare_ssh(place, None)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .on("start", "the server's runtime")?;
        let (listener, address) =
            runtime.block_on(async { at(listen) }).on("listen on", listen.to_string())?;
        let groups = Arc::new(Mutex::new(Vec::new()));
        let door = Arc::new(Door {
            place: place.clone(),
            program: program.to_owned(),
            rewrite: Rewrite::new(place),
            groups: Arc::clone(&groups),
        });
        let (open, closed) = mpsc::channel();
        let accepting = runtime.spawn(accept(Listening { listener, _open: open }, door)).abort_handle();
        Ok(Self { address, runtime: Some(runtime), groups, accepting, closed: Mutex::new(closed) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.accepting.abort();
        if let Ok(closed) = self.closed.lock() {
            // The door may open again at once, at the same place.
            let _ = closed.recv_timeout(Duration::from_secs(5));
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        for group in self.groups.lock().map(|groups| groups.clone()).unwrap_or_default() {
            if let Some(pid) = rustix::process::Pid::from_raw(group) {
                let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

/// What all connections share.
#[derive(Debug)]
struct Door {
    place: Place,
    program: PathBuf,
    rewrite: Rewrite,
    groups: Arc<Mutex<Vec<i32>>>,
}

fn at(listen: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = port::listen(listen)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((TcpListener::from_std(listener)?, address))
}

/// Dropped from top to bottom: whoever waits for the other end of the channel knows that the listener is gone.
struct Listening {
    listener: TcpListener,
    _open: mpsc::Sender<()>,
}

async fn accept(open: Listening, door: Arc<Door>) {
    while let Ok((stream, _)) = open.listener.accept().await {
        let door = Arc::clone(&door);
        tokio::spawn(async move {
            // A connection that cannot be served is closed; the client's message tells.
            let _ = converse(stream, door).await;
        });
    }
}

async fn converse(stream: TcpStream, door: Arc<Door>) -> Result<(), SimError> {
    let failed = |error: russh::Error| SimError::Ssh(error.to_string());
    let stream = stream.into_std().on("take over", "the connection")?;
    let wire = stream.try_clone().on("take over", "the connection")?;
    let stream = TcpStream::from_std(stream).on("take over", "the connection")?;
    let config = Config {
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        keys: vec![keys::host_key(&door.place)?],
        auth_rejection_time: std::time::Duration::from_millis(50),
        nodelay: true,
        ..Config::default()
    };
    let guest = Guest {
        allowed: keys::allowed(&door.place)?,
        banner: Faults::load(&door.place)?.banner,
        door,
        wire: Arc::new(wire),
        channels: HashMap::new(),
    };
    server::run_stream(Arc::new(config), stream, guest).await.map_err(failed)?.await.map_err(failed)
}

/// One connection.
struct Guest {
    door: Arc<Door>,
    allowed: Vec<PublicKey>,
    banner: Option<String>,
    wire: Arc<std::net::TcpStream>,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Guest {
    fn begin(
        &mut self,
        id: ChannelId,
        command: Option<Vec<u8>>,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let Some(channel) = self.channels.remove(&id) else { return session.channel_failure(id) };
        session.channel_success(id)?;
        let request = Request { door: Arc::clone(&self.door), wire: Arc::clone(&self.wire), command };
        let handle = session.handle();
        tokio::spawn(async move {
            if let Err(error) = request.run(channel, &handle).await {
                let _ = handle.extended_data(id, 1, format!("{error}\n").into_bytes()).await;
                let _ = handle.exit_status_request(id, 255).await;
                let _ = handle.close(id).await;
            }
        });
        Ok(())
    }
}

impl Handler for Guest {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let known = self.allowed.iter().any(|allowed| allowed.key_data() == key.public_key.key_data());
        Ok(if known && user == "admin" { Auth::Accept } else { Auth::reject() })
    }

    async fn authentication_banner(&mut self) -> Result<Option<String>, Self::Error> {
        Ok(self.banner.clone())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: server::ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host_to_connect: &str,
        port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: server::ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        match forward::connect(&self.door.place, host_to_connect, port_to_connect).await {
            Ok(stream) => {
                reply.accept().await;
                tokio::spawn(forward::join(channel, stream));
            }
            Err(reason) => reply.reject(reason).await,
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.begin(channel, Some(data.to_vec()), session)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        self.begin(channel, None, session)
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _col_width: u32,
        _row_height: u32,
        _pix_width: u32,
        _pix_height: u32,
        _modes: &[(russh::Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }
}
