//! One exec or shell request: its process, its output, its end.

use std::{
    ffi::OsString,
    net::Shutdown,
    os::unix::{ffi::OsStringExt, process::ExitStatusExt},
    process::Stdio,
    sync::Arc,
};

use russh::{
    Channel, Sig,
    server::{self, Msg},
};
use tokio::process::Command;

use super::{
    super::{door, rewrite},
    Door,
    feed::feed,
};
use crate::{
    appliance::place::DIR_VARIABLE,
    error::{OnFile, SimError},
};

/// One exec or shell request.
pub(super) struct Request {
    pub(super) door: Arc<Door>,
    pub(super) wire: Arc<std::net::TcpStream>,
    pub(super) command: Option<Vec<u8>>,
}

impl Request {
    /// Runs the request to its end and tells the client how it ended.
    pub(super) async fn run(self, channel: Channel<Msg>, handle: &server::Handle) -> Result<(), SimError> {
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
                .env(door::REQUEST_VARIABLE, OsString::from_vec(self.door.rewrite.original(text)));
        }
        command
    }
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
