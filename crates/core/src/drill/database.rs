//! The MySQL dump: a database server of this host takes it, and its tables are counted.

use std::{
    ffi::OsStr,
    fs,
    io::{BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    programs,
    report::{Proof, ProofState},
};
use crate::restore::{
    appliance::content::{DumpKind, SnapshotContent},
    view::SnapshotView,
};

/// Longest start of a server.
const START_MAX: Duration = Duration::from_mins(2);
/// Tables that every appliance has; their rows are counted.
const KEY_TABLES: [&str; 2] = ["users", "repositories"];
/// The database into which a dump goes that names none.
const DATABASE: &str = "drill";

/// What a proof of the dump needs of this host.
struct Programs {
    server: PathBuf,
    install: PathBuf,
    client: PathBuf,
}

impl Programs {
    fn find(path: Option<&OsStr>) -> Option<Self> {
        Some(Self {
            server: programs::find(&["mariadbd", "mysqld"], path)?,
            install: programs::find(&["mariadb-install-db", "mysql_install_db"], path)?,
            client: programs::find(&["mariadb", "mysql"], path)?,
        })
    }
}

/// Proves the dump; also returns the bytes that were read.
pub(super) fn prove(
    view: SnapshotView<'_>,
    content: &SnapshotContent,
    scratch: &Path,
    path: Option<&OsStr>,
) -> (Proof, u64) {
    let part = "mysql";
    let Some(dump) = &content.dump else {
        let why = vec!["the snapshot has no dump of MySQL".to_owned()];
        return (Proof::judged(part, 0, 1, "", why), 0);
    };
    if matches!(dump.kind, DumpKind::Binary { .. }) {
        return binary(view, dump.file);
    }
    let Some(programs) = Programs::find(path) else {
        return (Proof::new(part, ProofState::NotProven, "this host has no MariaDB or MySQL server"), 0);
    };
    match load(view, dump.file, scratch, &programs) {
        Ok((detail, bytes)) => (Proof::judged(part, 1, 1, detail, Vec::new()), bytes),
        Err(Trouble::Host(why)) => (Proof::new(part, ProofState::NotProven, why), 0),
        Err(Trouble::Dump(why)) => (Proof::judged(part, 0, 1, "", vec![why]), 0),
    }
}

/// A binary stream cannot be loaded without the appliance's own server: that it is one is all that is told.
fn binary(view: SnapshotView<'_>, file: &str) -> (Proof, u64) {
    let part = "mysql";
    let mut head = Head(Vec::new());
    let entry = view.find(file.as_bytes());
    let read = entry.map(|entry| entry.map(|entry| view.dump(file.as_bytes(), &entry, &mut head)));
    let sound = matches!(read, Ok(Some(Ok(_))))
        && (head.0.starts_with(&[0x1f, 0x8b]) || head.0.starts_with(b"XBSTCK"));
    if sound {
        let detail = "a binary stream of the right form; only the appliance's own server can load it";
        (Proof::new(part, ProofState::NotProven, detail), 0)
    } else {
        (Proof::judged(part, 0, 1, "", vec![format!("`{file}` is no binary stream that can be read")]), 0)
    }
}

/// The first bytes of a stream.
struct Head(Vec<u8>);

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = 16_usize.saturating_sub(self.0.len()).min(bytes.len());
        self.0.extend_from_slice(&bytes[..room]);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Who is to blame.
enum Trouble {
    Host(String),
    Dump(String),
}

/// A running server, ended when dropped.
struct Server {
    child: Child,
    socket: PathBuf,
    client: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(programs: &Programs, scratch: &Path) -> Result<Self, String> {
        let data = scratch.join("mysql");
        fs::create_dir(&data)
            .and_then(|()| fs::set_permissions(&data, fs::Permissions::from_mode(0o700)))
            .map_err(|e| format!("cannot make a folder for a database: {e}"))?;
        let data_argument = argument("--datadir=", &data);
        let mut install = Command::new(&programs.install);
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        // A server that starts clears away what it takes for a dead one's temporary tables, so it gets a place of its own for them.
        install.arg(&data_argument).env("TMPDIR", scratch);
        let root = rustix::process::geteuid().is_root();
        if root {
            install.arg("--user=root");
        }
        let made = programs::fed(&mut install, &[])?;
        if !made.status.success() {
            return Err(format!("a database cannot be made here: {}", programs::said(&made)));
        }
        let socket = scratch.join("s");
        let mut server = Command::new(&programs.server);
        server.args([
            "--no-defaults",
            "--skip-networking",
            "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=0",
        ]);
        server
            .arg(&data_argument)
            .arg(argument("--socket=", &socket))
            .arg(argument("--pid-file=", &scratch.join("pid")))
            .env("TMPDIR", scratch);
        if root {
            server.arg("--user=root");
        }
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = server.spawn().map_err(|e| format!("cannot start a database server: {e}"))?;
        let mut server = Self { child, socket, client: programs.client.clone() };
        let until = Instant::now() + START_MAX;
        while server.ask("SELECT 1").is_err() {
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("the database server ended at its start: {status}"));
            }
            if Instant::now() > until {
                return Err("the database server did not start in time".into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(server)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.client);
        command.args(["--no-defaults", "--user=root", "--batch", "--skip-column-names"]);
        command.arg(argument("--socket=", &self.socket));
        command
    }

    fn ask(&self, query: &str) -> Result<String, String> {
        let output = programs::fed(self.command().args(["-e", query]), &[])?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(programs::said(&output))
        }
    }
}

fn argument(name: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(name);
    argument.push(path);
    argument
}

fn load(
    view: SnapshotView<'_>,
    file: &str,
    scratch: &Path,
    programs: &Programs,
) -> Result<(String, u64), Trouble> {
    let entry = view.find(file.as_bytes()).map_err(|e| Trouble::Dump(e.to_string()))?;
    let entry = entry.ok_or_else(|| Trouble::Dump(format!("`{file}` is not in the snapshot")))?;
    let server = Server::start(programs, scratch).map_err(Trouble::Host)?;
    server.ask(&format!("CREATE DATABASE {DATABASE}")).map_err(Trouble::Host)?;
    let mut client = server.command();
    client.arg(DATABASE).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut client = client.spawn().map_err(|e| Trouble::Host(format!("cannot start the client: {e}")))?;
    let stdin = client.stdin.take().ok_or_else(|| Trouble::Host("the client takes no input".into()))?;
    let path = file.as_bytes();
    let dumped = if Path::new(file).extension().is_some_and(|ending| ending == "gz") {
        unzipped(view, path, &entry, stdin)
    } else {
        let mut stdin = stdin;
        view.dump(path, &entry, &mut stdin).map_err(|e| e.to_string())
    };
    let output = client.wait_with_output().map_err(|e| Trouble::Host(e.to_string()))?;
    if !output.status.success() {
        return Err(Trouble::Dump(format!("the server refused it: {}", programs::said(&output))));
    }
    let bytes = dumped.map_err(Trouble::Dump)?;
    let count = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema NOT IN \
                 ('mysql', 'information_schema', 'performance_schema', 'sys')";
    let tables = server.ask(count).map_err(Trouble::Dump)?;
    if tables == "0" {
        return Err(Trouble::Dump("the dump makes no table".into()));
    }
    let mut detail = format!("a database server took it: {tables} tables");
    for table in KEY_TABLES {
        let place = format!(
            "SELECT table_schema FROM information_schema.tables WHERE table_name = '{table}' LIMIT 1"
        );
        let schema = server.ask(&place).map_err(Trouble::Dump)?;
        if schema.is_empty() {
            return Err(Trouble::Dump(format!("there is no table `{table}` in it")));
        }
        let rows =
            server.ask(&format!("SELECT COUNT(*) FROM `{schema}`.`{table}`")).map_err(Trouble::Dump)?;
        detail = format!("{detail}, {rows} {table}");
    }
    Ok((detail, bytes))
}

/// A dump that is stored compressed, as an import may have it.
fn unzipped(
    view: SnapshotView<'_>,
    path: &[u8],
    entry: &crate::restore::entry::Entry,
    mut into: impl Write,
) -> Result<u64, String> {
    let mut packed = Vec::new();
    view.dump(path, entry, &mut packed).map_err(|e| e.to_string())?;
    let mut reader = BufReader::new(flate2::read::MultiGzDecoder::new(&packed[..]));
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut buffer).map_err(|e| format!("it does not unzip: {e}"))?;
        if read == 0 {
            return Ok(packed.len() as u64);
        }
        into.write_all(&buffer[..read]).map_err(|e| e.to_string())?;
    }
}
