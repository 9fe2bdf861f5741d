//! A real OpenSSH server for one test: loopback only, scratch keys, gone with the test.
//!
//! The test listens itself and starts one `sshd -i` for each connection. So there is no port to race for and no
//! readiness to wait for, and a test knows (and can kill) the server process behind every connection. Works as root and as
//! an ordinary user, who then logs in as himself.

use std::{
    net::{TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use ghevault_core::{
    appliance::{
        hostkeys::{HostKey, PinStore},
        target::Target,
        transport::TransportSettings,
    },
    keys::{Secret, SshKey},
};
use rustix::process::{Pid, Signal, kill_process_group};

/// Kinds of keys, as `ssh-keygen -t` and `-b` want them.
pub const KEY_KINDS: [&str; 3] = ["ed25519", "rsa:2048", "ecdsa:256"];

/// A server and the scratch folder it lives in.
pub struct Sshd {
    dir: tempfile::TempDir,
    address: std::net::SocketAddr,
    sessions: Arc<Mutex<Vec<Child>>>,
    stopping: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
    user: String,
}

impl Sshd {
    /// A server with an Ed25519 host key that lets the Ed25519 client key in.
    pub fn start() -> Self {
        Self::with(&["ed25519"], "")
    }

    /// A server with these host keys and further lines of `sshd_config`.
    pub fn with(host_keys: &[&str], config: &str) -> Self {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let user = output_of(Command::new("id").arg("-un"));
        let mut authorized = String::new();
        for kind in KEY_KINDS {
            let path = dir.path().join(format!("client_{}", name_of(kind)));
            generate(kind, &path);
            authorized += &std::fs::read_to_string(path.with_extension("pub")).expect("a public key");
        }
        std::fs::write(dir.path().join("authorized_keys"), authorized).expect("written");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let sshd = Self {
            address: listener.local_addr().expect("an address"),
            sessions: Arc::default(),
            stopping: Arc::default(),
            listener: None,
            user,
            dir,
        };
        for kind in host_keys {
            generate(kind, &sshd.host_key_path(kind));
        }
        sshd.configure(host_keys, config);
        if rustix::process::geteuid().is_root() {
            // Where the server's unprivileged half is shut in; the package makes it at boot only.
            std::fs::create_dir_all("/run/sshd").expect("the server's empty folder");
        }
        sshd.listen(listener)
    }

    /// Changes the configuration for the connections to come.
    pub fn configure(&self, host_keys: &[&str], config: &str) {
        let mut text = format!(
            "AuthorizedKeysFile {}/authorized_keys\nStrictModes no\nUsePAM no\nPidFile none\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nUseDNS no\n\
             PrintMotd no\nLogLevel VERBOSE\n{config}\n",
            self.dir.path().display()
        );
        for kind in host_keys {
            text.extend(["HostKey ", &self.host_key_path(kind).display().to_string(), "\n"]);
        }
        std::fs::write(self.dir.path().join("sshd_config"), text).expect("written");
    }

    /// Replaces a host key, as a re-installed appliance would.
    pub fn renew_host_key(&self, kind: &str) {
        let path = self.host_key_path(kind);
        std::fs::remove_file(&path).expect("the old key");
        generate(kind, &path);
    }

    /// Where the server listens, as our user.
    pub fn target(&self) -> Target {
        Target::parse(&format!("{}@{}", self.user, self.address)).expect("a target")
    }

    /// The public half of a host key.
    pub fn host_key(&self, kind: &str) -> HostKey {
        let path = self.host_key_path(kind).with_extension("pub");
        HostKey::parse(&std::fs::read_to_string(path).expect("a public key")).expect("a host key")
    }

    /// A client key that the server lets in.
    pub fn client_key(&self, kind: &str) -> SshKey {
        read_key(&self.client_key_path(kind))
    }

    /// The file of a client key, for programs that read one.
    pub fn client_key_path(&self, kind: &str) -> PathBuf {
        self.dir.path().join(format!("client_{}", name_of(kind)))
    }

    /// A client key that the server does not know.
    pub fn stranger_key(&self) -> SshKey {
        let path = self.dir.path().join("stranger");
        if !path.exists() {
            generate("ed25519", &path);
        }
        read_key(&path)
    }

    /// The store in which the host keys of this server get pinned.
    pub fn pins(&self) -> PinStore {
        // A name that every option and every shell on the way must leave alone.
        PinStore::below(&self.dir.path().join("the state's \"100%h\""))
    }

    /// Settings that connect: Ed25519 pinned and shown.
    pub fn settings(&self) -> TransportSettings {
        let pins = self.pins();
        pins.pin(&self.target(), &[self.host_key("ed25519")]).expect("pinned");
        TransportSettings::new(self.target(), self.client_key("ed25519"), pins)
    }

    /// A folder for the test's own files.
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.sessions.lock().expect("sessions").len()
    }

    /// Kills the server process behind the connection with this number (from 0), as a crash would.
    pub fn kill_connection(&self, number: usize) {
        let mut sessions = self.sessions.lock().expect("sessions");
        end_group(&mut sessions[number]);
    }

    /// Stops the server process behind a connection, which then stays open and silent.
    pub fn freeze_connection(&self, number: usize) {
        let sessions = self.sessions.lock().expect("sessions");
        kill_process_group(group_of(&sessions[number]), Signal::STOP).expect("stopped");
    }

    fn host_key_path(&self, kind: &str) -> PathBuf {
        self.dir.path().join(format!("host_{}", name_of(kind)))
    }

    fn listen(mut self, listener: TcpListener) -> Self {
        let (sessions, stopping) = (Arc::clone(&self.sessions), Arc::clone(&self.stopping));
        let folder = self.dir.path().to_owned();
        self.listener = Some(std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.expect("a connection");
                sessions.lock().expect("sessions").push(serve(&folder, stream));
            }
        }));
        self
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        for session in self.sessions.lock().expect("sessions").iter_mut() {
            end_group(session);
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("sshd.log")).unwrap_or_default();
            eprintln!("--- sshd said ---\n{log}");
        }
    }
}

/// One server process for one connection, in a process group of its own.
fn serve(folder: &Path, stream: TcpStream) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("sshd.log"))
        .expect("the server's log");
    let output = OwnedFd::from(stream.try_clone().expect("the connection"));
    Command::new(sshd_path())
        .arg("-i")
        .arg("-e")
        .arg("-f")
        .arg(folder.join("sshd_config"))
        .stdin(OwnedFd::from(stream))
        .stdout(output)
        .stderr(log)
        .process_group(0)
        .spawn()
        .expect("sshd starts")
}

fn sshd_path() -> &'static str {
    ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("OpenSSH's server (Debian: openssh-server)")
}

fn end_group(session: &mut Child) {
    if matches!(session.try_wait(), Ok(None)) {
        let _ = kill_process_group(group_of(session), Signal::KILL);
    }
    let _ = session.wait();
}

fn group_of(session: &Child) -> Pid {
    i32::try_from(session.id()).ok().and_then(Pid::from_raw).expect("a process id")
}

fn name_of(kind: &str) -> &str {
    kind.split(':').next().unwrap_or(kind)
}

fn generate(kind: &str, path: &Path) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-N", "", "-C", "scratch", "-t", name_of(kind)]).arg("-f").arg(path);
    if let Some((_, bits)) = kind.split_once(':') {
        command.args(["-b", bits]);
    }
    assert!(command.stdin(Stdio::null()).status().expect("ssh-keygen").success());
}

fn read_key(path: &Path) -> SshKey {
    SshKey::parse(&Secret::new(std::fs::read(path).expect("a key file")), None).expect("a private key")
}

fn output_of(command: &mut Command) -> String {
    let output = command.output().expect("a command");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
