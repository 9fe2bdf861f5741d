//! The dumps of `MySQL` and Redis, made by the real servers where they are installed.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::Recipe;
use crate::{
    appliance::{
        Place,
        commands::{mysql, redis},
    },
    doors::shims::on_path,
    error::{OnFile, SimError},
    seed::Seed,
};

/// Where the dumps come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Databases {
    /// From the real servers where they are installed, otherwise written by this program.
    Auto,
    /// Written by this program.
    Stored,
}

/// Writes both dumps, and says for each whether it is `real` or `stored`.
pub(super) fn write(
    place: &Place,
    seed: &Seed,
    recipe: &Recipe,
) -> Result<BTreeMap<String, String>, SimError> {
    let rows = if recipe.empty { 0 } else { 50 + recipe.scale.networks * 20 };
    let scratch = tempfile::tempdir().on("create", "a scratch folder")?;
    let auto = recipe.databases == Databases::Auto;
    let sql = statements(&mut seed.part("mysql"), rows);
    let real_sql = if auto { mariadb(scratch.path(), &sql)? } else { None };
    let keys: Vec<_> = pairs(&mut seed.part("redis"), rows);
    let real_rdb = if auto { redis_server(scratch.path(), &keys)? } else { None };
    let word = |real: bool| if real { "real" } else { "stored" }.to_owned();
    let kinds = BTreeMap::from([
        ("mysql".to_owned(), word(real_sql.is_some())),
        ("redis".to_owned(), word(real_rdb.is_some())),
    ]);
    mysql::replace(place, &real_sql.unwrap_or_else(|| sql.into_bytes()))?;
    let dump = place.disk(redis::DUMP);
    fs::write(&dump, real_rdb.unwrap_or_else(|| rdb(&keys))).on("write", dump)?;
    Ok(kinds)
}

fn statements(seed: &mut Seed, rows: u64) -> String {
    let mut sql = String::from(
        "CREATE DATABASE IF NOT EXISTS `github_enterprise`;\nUSE `github_enterprise`;\n\
         CREATE TABLE `users` (`id` int NOT NULL, `login` varchar(40), `bio` text, PRIMARY KEY (`id`));\n\
         CREATE TABLE `repositories` (`id` int NOT NULL, `name` varchar(100), `blob` blob, PRIMARY KEY (`id`));\n",
    );
    for id in 1..=rows {
        let _ = writeln!(sql, "INSERT INTO `users` VALUES ({id},'user{id}','{}');", seed.hex(60));
        let _ = writeln!(sql, "INSERT INTO `repositories` VALUES ({id},'repo{id}',0x{});", seed.hex(80));
    }
    sql
}

fn pairs(seed: &mut Seed, rows: u64) -> Vec<(String, String)> {
    let key = |row, seed: &mut Seed| (format!("resque:job:{row}"), seed.hex(40));
    (0..rows).map(|row| key(row, seed)).collect()
}

/// A valid dump of string keys in database 0, with its checksum switched off.
fn rdb(keys: &[(String, String)]) -> Vec<u8> {
    let mut bytes = b"REDIS0009\xfe\x00".to_vec();
    for (key, value) in keys {
        bytes.push(0);
        for text in [key, value] {
            // Lengths below 64 take one byte.
            bytes.push(u8::try_from(text.len()).unwrap_or(0) & 0x3f);
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes.push(0xff);
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

/// Ends a server that is still running when it is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn feed(mut client: Command, text: &[u8], name: &str) -> Result<Vec<u8>, SimError> {
    let mut child =
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().on("run", name)?;
    if let Some(mut stdin) = child.stdin.take() {
        let text = text.to_vec();
        std::thread::spawn(move || stdin.write_all(&text));
    }
    let output = child.wait_with_output().on("wait for", name)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(SimError::Program {
        program: name.to_owned(),
        reason: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn wait_for_socket(socket: &Path, server: &mut Server, name: &str) -> Result<(), SimError> {
    let begin = Instant::now();
    while std::os::unix::net::UnixStream::connect(socket).is_err() {
        let ended = server.0.try_wait().on("wait for", name)?;
        if ended.is_some() || begin.elapsed() > Duration::from_secs(30) {
            return Err(SimError::Program {
                program: name.to_owned(),
                reason: "it does not start".to_owned(),
            });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn redis_server(scratch: &Path, keys: &[(String, String)]) -> Result<Option<Vec<u8>>, SimError> {
    let (Some(program), Some(client)) = (on_path("redis-server"), on_path("redis-cli")) else {
        return Ok(None);
    };
    let socket = scratch.join("redis.sock");
    let mut server = Server(
        Command::new(program)
            .args(["--port", "0", "--save", "", "--dbfilename", "dump.rdb", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(scratch)
            .stdout(Stdio::null())
            .spawn()
            .on("start", "redis-server")?,
    );
    wait_for_socket(&socket, &mut server, "redis-server")?;
    let mut text: String =
        keys.iter().fold(String::new(), |all, (key, value)| all + &format!("SET {key} {value}\n"));
    text.push_str("SAVE\n");
    let mut command = Command::new(client);
    command.arg("-s").arg(&socket);
    feed(command, text.as_bytes(), "redis-cli")?;
    let dump = scratch.join("dump.rdb");
    fs::read(&dump).on("read", dump).map(Some)
}

fn mariadb(scratch: &Path, sql: &str) -> Result<Option<Vec<u8>>, SimError> {
    let (Some(program), Some(client), Some(dump)) =
        (on_path("mariadbd"), on_path("mariadb"), on_path("mariadb-dump"))
    else {
        return Ok(None);
    };
    let (data, socket) = (scratch.join("mysql"), scratch.join("mysql.sock"));
    fs::create_dir(&data).on("create", &data)?;
    let user = if rustix::process::geteuid().is_root() { "--user=root" } else { "--skip-symbolic-links" };
    let mut server = Server(
        Command::new(program)
            .args(["--no-defaults", "--skip-networking", "--skip-grant-tables", "--innodb-log-file-size=4M"])
            .args([
                "--innodb-buffer-pool-size=8M",
                "--innodb-flush-log-at-trx-commit=0",
                "--skip-log-bin",
                user,
            ])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", socket.display()))
            .arg(format!("--pid-file={}", scratch.join("mysql.pid").display()))
            // Otherwise it clears away the temporary tables of other servers when it starts.
            .env("TMPDIR", scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .on("start", "mariadbd")?,
    );
    wait_for_socket(&socket, &mut server, "mariadbd")?;
    let socket = format!("--socket={}", socket.display());
    let mut command = Command::new(client);
    command.args(["--no-defaults", &socket]);
    feed(command, sql.as_bytes(), "mariadb")?;
    let mut command = Command::new(dump);
    command.args([
        "--no-defaults",
        &socket,
        "--skip-dump-date",
        "--hex-blob",
        "--databases",
        "github_enterprise",
    ]);
    feed(command, b"", "mariadb-dump").map(Some)
}
