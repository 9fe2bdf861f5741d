//! The embedded SSH server: public-key login as `admin`, exec and shell requests, no root and no `sshd` needed.
//!
//! Commands run as the user of this process, with the appliance's commands first on `PATH` and its absolute paths
//! rewritten to the disk's place ([`super::rewrite`]). Each channel has its own process; output honours the client's
//! windows, input waits in memory up to a limit so that one slow command does not stall the connection.

use std::{
    collections::HashMap,
    ffi::OsString,
    net::{Shutdown, SocketAddr},
    os::unix::{ffi::OsStringExt, process::ExitStatusExt},
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
};

use russh::{
    Channel, ChannelId, ChannelMsg, ChannelReadHalf, MethodKind, MethodSet, Sig,
    keys::PublicKey,
    server::{self, Auth, Config, Handler, Msg, Session, VerifiedPublicKey},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    process::{ChildStdin, Command},
    sync::{Semaphore, mpsc},
};

use super::{door, keys, rewrite, rewrite::Rewrite, shims};
use crate::{
    appliance::{Place, commands, faults::Faults, place::DIR_VARIABLE},
    error::{OnFile, SimError},
};

/// Bytes of input of one channel that may wait for its process.
const INPUT_BYTES_MAX: usize = 64 << 20;

/// A running embedded server; dropping it stops it and ends its processes.
#[derive(Debug)]
pub struct Embedded {
    address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
    groups: Arc<Mutex<Vec<i32>>>,
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
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .on("start", "the server's runtime")?;
        let listener = runtime.block_on(TcpListener::bind(listen)).on("listen on", listen.to_string())?;
        let address = listener.local_addr().on("listen on", listen.to_string())?;
        let groups = Arc::new(Mutex::new(Vec::new()));
        let door = Arc::new(Door {
            place: place.clone(),
            program: program.to_owned(),
            rewrite: Rewrite::new(place),
            groups: Arc::clone(&groups),
        });
        runtime.spawn(accept(listener, door));
        Ok(Self { address, runtime: Some(runtime), groups })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
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

async fn accept(listener: TcpListener, door: Arc<Door>) {
    while let Ok((stream, _)) = listener.accept().await {
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

/// One exec or shell request.
struct Request {
    door: Arc<Door>,
    wire: Arc<std::net::TcpStream>,
    command: Option<Vec<u8>>,
}

impl Request {
    async fn run(self, channel: Channel<Msg>, handle: &server::Handle) -> Result<(), SimError> {
        let id = channel.id();
        let cut = tempfile::NamedTempFile::new_in(self.door.place.run("")).on("create a file in", "run")?;
        let cut = cut.into_temp_path();
        let mut child = self.command(&cut).spawn().on("start", "the door")?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        if let Ok(mut groups) = self.door.groups.lock() {
            groups.push(pid);
        }
        let (input, output) = channel.split();
        let rewrite = self.script_on_stdin().then(|| self.door.rewrite.clone());
        let feeding = child.stdin.take().map(|stdin| tokio::spawn(feed(input, stdin, rewrite, pid)));
        let (mut to_stdout, mut to_stderr) = (output.make_writer(), output.make_writer_ext(Some(1)));
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let forward_stdout = async move {
            if let Some(mut stdout) = stdout {
                let _ = tokio::io::copy(&mut stdout, &mut to_stdout).await;
            }
        };
        let forward_stderr = async move {
            if let Some(mut stderr) = stderr {
                let _ = tokio::io::copy(&mut stderr, &mut to_stderr).await;
            }
        };
        tokio::join!(forward_stdout, forward_stderr);
        let status = child.wait().await.on("wait for", "the door")?;
        if let Ok(mut groups) = self.door.groups.lock() {
            groups.retain(|group| *group != pid);
        }
        if std::fs::metadata(&cut).is_ok_and(|mark| mark.len() > 0) {
            let _ = self.wire.shutdown(Shutdown::Both);
            return Ok(());
        }
        let _ = handle.eof(id).await;
        if let Some(signal) = status.signal() {
            let _ = handle
                .exit_signal_request(
                    id,
                    signal_name(signal),
                    status.core_dumped(),
                    String::new(),
                    String::new(),
                )
                .await;
        } else {
            let code = status.code().and_then(|code| u32::try_from(code).ok()).unwrap_or(255);
            let _ = handle.exit_status_request(id, code).await;
        }
        let _ = handle.close(id).await;
        if let Some(feeding) = feeding {
            feeding.abort();
        }
        Ok(())
    }

    fn script_on_stdin(&self) -> bool {
        self.command.as_ref().is_none_or(|command| rewrite::reads_script(&String::from_utf8_lossy(command)))
    }

    fn command(&self, cut: &std::path::Path) -> Command {
        let place = &self.door.place;
        let mut path = place.run("shims").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()));
        let home = place.root().join("home");
        let mut command = Command::new(&self.door.program);
        command
            .arg0("door")
            .env_clear()
            .envs([("USER", "admin"), ("LOGNAME", "admin"), ("SHELL", "/bin/bash"), ("LANG", "C.UTF-8")])
            .env("PATH", path)
            .env("HOME", &home)
            .env(DIR_VARIABLE, place.root())
            .env(door::CUT_VARIABLE, cut)
            .current_dir(home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(text) = &self.command {
            command
                .env("SSH_ORIGINAL_COMMAND", OsString::from_vec(self.door.rewrite.apply(text)))
                .env(door::REQUEST_VARIABLE, OsString::from_vec(text.clone()));
        }
        command
    }
}

/// Passes the client's input and signals on to the process, until the client ends its input or goes away.
async fn feed(mut input: ChannelReadHalf, stdin: ChildStdin, rewrite: Option<Rewrite>, pid: i32) {
    let room = Arc::new(Semaphore::new(INPUT_BYTES_MAX));
    let (queue, waiting) = mpsc::unbounded_channel::<Vec<u8>>();
    tokio::spawn(write_input(waiting, stdin, rewrite, Arc::clone(&room)));
    let mut queue = Some(queue);
    while let Some(message) = input.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                let bytes = u32::try_from(data.len()).unwrap_or(u32::MAX);
                if let Ok(taken) = room.acquire_many(bytes).await {
                    taken.forget();
                }
                if let Some(queue) = &queue {
                    let _ = queue.send(data.to_vec());
                }
            }
            ChannelMsg::Eof => queue = None,
            ChannelMsg::Close => break,
            ChannelMsg::Signal { signal } => {
                if let (Some(pid), Some(signal)) = (rustix::process::Pid::from_raw(pid), signal_of(&signal)) {
                    let _ = rustix::process::kill_process_group(pid, signal);
                }
            }
            _ => {}
        }
    }
}

async fn write_input(
    mut waiting: mpsc::UnboundedReceiver<Vec<u8>>,
    mut stdin: ChildStdin,
    rewrite: Option<Rewrite>,
    room: Arc<Semaphore>,
) {
    let mut line = Vec::new();
    let mut open = true;
    while let Some(data) = waiting.recv().await {
        let bytes = data.len();
        if open {
            let result = match &rewrite {
                None => stdin.write_all(&data).await,
                Some(rewrite) => {
                    line.extend_from_slice(&data);
                    let end = line.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                    let whole: Vec<u8> = line.drain(..end).collect();
                    stdin.write_all(&rewrite.apply(&whole)).await
                }
            };
            // A process that stopped reading is not an error; the rest of its input is dropped.
            open = result.is_ok() && stdin.flush().await.is_ok();
        }
        room.add_permits(bytes);
    }
    if let (true, Some(rewrite)) = (open, &rewrite) {
        let _ = stdin.write_all(&rewrite.apply(&line)).await;
        let _ = stdin.flush().await;
    }
}

fn signal_of(signal: &Sig) -> Option<rustix::process::Signal> {
    use rustix::process::Signal;
    Some(match signal {
        Sig::HUP => Signal::HUP,
        Sig::INT => Signal::INT,
        Sig::KILL => Signal::KILL,
        Sig::TERM => Signal::TERM,
        Sig::QUIT => Signal::QUIT,
        Sig::USR1 => Signal::USR1,
        _ => return None,
    })
}

fn signal_name(signal: i32) -> Sig {
    match signal {
        1 => Sig::HUP,
        2 => Sig::INT,
        3 => Sig::QUIT,
        6 => Sig::ABRT,
        9 => Sig::KILL,
        13 => Sig::PIPE,
        15 => Sig::TERM,
        other => Sig::Custom(other.to_string()),
    }
}
