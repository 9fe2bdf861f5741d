//! What stands between a door and the admin's shell: logs the request, plays faults, then runs the shell.
//!
//! The real `sshd` starts it as its forced command, the embedded server starts it itself; so both doors log and
//! misbehave in the same way. Without a fault the shell replaces this process.

use std::{
    io::{self, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, Stdio},
    thread,
};

use crate::appliance::{
    Place,
    faults::{Action, Fault, Faults, Scope, Stream},
    log,
};

/// Variable with the file that tells the embedded server to cut the connection.
pub const CUT_VARIABLE: &str = "GHEVAULT_SIM_CUT";
/// Variable with the exec request as the client sent it, before paths were rewritten (embedded door).
pub const REQUEST_VARIABLE: &str = "GHEVAULT_SIM_REQUEST";
/// Exit code when the door itself fails.
pub const DOOR_FAILED: u8 = 254;

/// Runs the request of this session; returns only when a fault was played or nothing could be run.
#[must_use]
pub fn run(place: &Place) -> u8 {
    let script = std::env::var_os("SSH_ORIGINAL_COMMAND");
    let shown = std::env::var_os(REQUEST_VARIABLE).or_else(|| script.clone());
    let kind = if shown.is_some() { "exec" } else { "shell" };
    let text = shown.map_or_else(|| "<shell>".to_owned(), |shown| shown.to_string_lossy().into_owned());
    let _ = log::append(place, kind, &text);
    let mut shell = Command::new("bash");
    shell.env_remove("SSH_ORIGINAL_COMMAND").env_remove(REQUEST_VARIABLE);
    match script {
        Some(script) => shell.arg("-c").arg(script),
        None => shell.arg("-l"),
    };
    let faults = Faults::load(place).unwrap_or_default();
    if let Some(fault) = faults.claim(place, Scope::Door, &text) {
        play(place, fault, shell)
    } else {
        let error = shell.exec();
        complain(&format!("cannot start bash: {error}"))
    }
}

fn complain(text: &str) -> u8 {
    let _ = writeln!(io::stderr(), "{text}");
    DOOR_FAILED
}

/// Runs `command` under `fault`, and returns the exit code to end with.
#[must_use]
pub fn play(place: &Place, fault: &Fault, mut command: Command) -> u8 {
    let Some(limit) = fault.after_bytes else {
        if !matches!(fault.action, Action::Vanish { .. }) {
            return strike(place, &fault.action, None);
        }
        let _ = strike(place, &fault.action, None);
        return complain(&format!("cannot start the command: {}", command.exec()));
    };
    match fault.on {
        Stream::Stdout => command.stdout(Stdio::piped()),
        Stream::Stdin => command.stdin(Stdio::piped()),
    };
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return complain(&format!("cannot start the command: {error}")),
    };
    let (place, action) = (place.clone(), fault.action.clone());
    if let Some(stdout) = child.stdout.take() {
        return pass(&place, &action, &mut child, stdout, io::stdout(), limit);
    }
    if let Some(stdin) = child.stdin.take() {
        // The command may end without reading all of its input, so feeding it must not keep us.
        thread::spawn(move || {
            let mut feed = stdin;
            if copy_at_most(&mut io::stdin(), &mut feed, limit) {
                let code = strike(&place, &action, None);
                if !matches!(action, Action::Vanish { .. }) {
                    std::process::exit(i32::from(code));
                }
                let _ = io::copy(&mut io::stdin(), &mut feed);
            }
        });
    }
    end(&mut child)
}

fn pass(
    place: &Place,
    action: &Action,
    child: &mut Child,
    mut from: impl Read,
    mut to: impl Write,
    limit: u64,
) -> u8 {
    if !copy_at_most(&mut from, &mut to, limit) {
        return end(child);
    }
    let code = strike(place, action, Some(child));
    if matches!(action, Action::Vanish { .. }) {
        let _ = io::copy(&mut from, &mut to);
        return end(child);
    }
    code
}

/// Copies up to `limit` bytes; whether the limit was reached.
fn copy_at_most(from: &mut impl Read, to: &mut impl Write, limit: u64) -> bool {
    let copied = io::copy(&mut from.take(limit), to).unwrap_or(0);
    let _ = to.flush();
    copied == limit
}

fn end(child: &mut Child) -> u8 {
    match child.wait() {
        Ok(status) => {
            let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
            code.and_then(|code| u8::try_from(code).ok()).unwrap_or(DOOR_FAILED)
        }
        Err(_) => DOOR_FAILED,
    }
}

fn strike(place: &Place, action: &Action, child: Option<&mut Child>) -> u8 {
    if let (Some(child), false) = (child, matches!(action, Action::Vanish { .. } | Action::Hang)) {
        let _ = child.kill();
        let _ = child.wait();
    }
    match action {
        Action::Fail { code, stderr } => {
            if !stderr.is_empty() {
                let _ = writeln!(io::stderr(), "{stderr}");
            }
            *code
        }
        Action::Truncate => 0,
        Action::Cut => {
            cut();
            DOOR_FAILED
        }
        Action::Hang => loop {
            thread::park();
        },
        Action::Vanish { paths } => {
            for path in paths {
                vanish(&place.disk(path));
            }
            0
        }
    }
}

fn vanish(path: &std::path::Path) {
    if std::fs::remove_file(path).is_err() && std::fs::remove_dir_all(path).is_err() {
        // The admin of the sshd door owns nothing on the disk.
        let _ = Command::new("sudo").args(["-n", "rm", "-rf", "--"]).arg(path).status();
    }
}

/// Ends the connection that this process belongs to, as a pulled cable would.
fn cut() {
    if let Some(mark) = std::env::var_os(CUT_VARIABLE) {
        let _ = std::fs::write(mark, "cut\n");
        return;
    }
    let mut pid = rustix::process::getpid().as_raw_nonzero().get();
    while let Some((name, parent)) = name_and_parent(pid) {
        if name.starts_with("sshd") {
            if let Some(process) = rustix::process::Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
            }
            return;
        }
        pid = parent;
    }
}

fn name_and_parent(pid: i32) -> Option<(String, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, rest) = (stat.split_once('(')?.1).rsplit_once(')')?;
    Some((name.to_owned(), rest.split_whitespace().nth(1)?.parse().ok()?))
}
