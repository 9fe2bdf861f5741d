//! Plaintext of keys is nowhere: not in files, environment, arguments of children, logs or output, even with every log line on.

use crate::support;
use std::{
    fs,
    io::Read,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};
use support::{Desk, accounts::kms_key, appliance};

/// Something that must not be found.
struct Needle {
    what: &'static str,
    bytes: Vec<u8>,
}

fn needle(what: &'static str, bytes: &[u8]) -> Needle {
    assert!(bytes.len() >= 12, "{what} is too short to look for");
    Needle { what, bytes: bytes.to_vec() }
}

/// Whatever of the needles is in the bytes.
fn found(needles: &[Needle], haystack: &[u8]) -> Vec<&'static str> {
    let inside = |needle: &Needle| haystack.windows(needle.bytes.len()).any(|window| window == needle.bytes);
    needles.iter().filter(|needle| inside(needle)).map(|needle| needle.what).collect()
}

fn assert_clean(needles: &[Needle], place: &str, haystack: &[u8]) {
    assert_eq!(found(needles, haystack), Vec::<&str>::new(), "plaintext in {place}");
}

/// All files below a folder.
fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path(), into),
            Ok(kind) if kind.is_file() => into.push(entry.path()),
            _ => {}
        }
    }
}

/// The process and everything below it, by the parents that `/proc` tells.
fn family(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let parent = |pid: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let pids: Vec<u32> = fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    loop {
        let more: Vec<u32> = pids
            .iter()
            .copied()
            .filter(|pid| !all.contains(pid) && parent(*pid).is_some_and(|parent| all.contains(&parent)))
            .collect();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

/// Whatever of the needles is in the memory that a process can write to: what it was given, what it made of it, and what it
/// gave back. None when it has ended.
fn in_memory(pid: u32, needles: &[Needle]) -> Option<Vec<&'static str>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok().filter(|maps| !maps.is_empty())?;
    let memory = fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (from, to) = line.split_once(' ')?.0.split_once('-')?;
        let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
        let mut part = vec![0; usize::try_from(to - from).ok()?];
        // a part may be given back between the two looks
        if memory.read_exact_at(&mut part, from).is_ok() {
            all.append(&mut part);
        }
    }
    let inside = |needle: &&Needle| memchr::memmem::find(&all, &needle.bytes).is_some();
    (all.len() > 1_000_000).then(|| needles.iter().filter(inside).map(|needle| needle.what).collect())
}

/// Runs a backup and looks at it all the while; returns how often it could look and what it said.
fn watched(desk: &Desk, arguments: &[&str], needles: &[Needle]) -> (usize, Vec<u8>) {
    let mut command: Command = desk.command(arguments);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let (mut out, mut err) = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
    let looks = AtomicUsize::new(0);
    let said = thread::scope(|scope| {
        let out = scope.spawn(move || {
            let mut bytes = Vec::new();
            out.read_to_end(&mut bytes).map(|_| bytes)
        });
        let err = scope.spawn(move || {
            let mut bytes = Vec::new();
            err.read_to_end(&mut bytes).map(|_| bytes)
        });
        let mut dumpless = false;
        let status = loop {
            for pid in family(child.id()) {
                for part in ["cmdline", "environ"] {
                    let Ok(bytes) = fs::read(format!("/proc/{pid}/{part}")) else { continue };
                    assert_clean(needles, &format!("{part} of process {pid}"), &bytes);
                    looks.fetch_add(1, Ordering::Relaxed);
                }
            }
            if let Ok(limits) = fs::read_to_string(format!("/proc/{}/limits", child.id()))
                && let Some(core) = limits.lines().find(|line| line.starts_with("Max core file size"))
            {
                let none = core.split_whitespace().nth(4) == Some("0");
                assert!(none || !dumpless, "core dumps are on again: {core}");
                dumpless = none;
            }
            if let Some(status) = child.try_wait().expect("it can be waited for") {
                break status;
            }
            thread::park_timeout(Duration::from_millis(1));
        };
        assert!(dumpless, "core dumps were never switched off");
        let mut said = out.join().expect("no panic").expect("readable");
        said.extend(err.join().expect("no panic").expect("readable"));
        assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&said));
        said
    });
    (looks.into_inner(), said)
}

/// A value in what `restic cat masterkey` prints.
fn value<'a>(json: &'a serde_json::Value, path: &str) -> &'a str {
    json.pointer(path).and_then(serde_json::Value::as_str).expect("a part of the master key")
}

fn plaintext_is_nowhere(seed: u64, transport: &str) {
    let mut desk = Desk::in_account("a-keys");
    let mut site = appliance(seed);
    desk.trust(&mut site.0);
    let key_file = site.0.client_key();
    let private = fs::read_to_string(&key_file).expect("a key");
    let body: Vec<&str> = private.lines().filter(|line| !line.starts_with("-----")).collect();
    let password = desk.write("password", "correct horse battery staple\n");
    let ssh_key = desk.encrypted(&key_file, &kms_key("A1"));
    let escrow = desk.encrypted(&password, &kms_key("A1"));
    desk.set("GHEVAULT_SSH_KEY", &ssh_key);
    desk.set("GHEVAULT_PASSWORD", &escrow);
    let made = desk.run(&["init", "--kms-key", &kms_key("A1"), "--json"]).exits(0).json();
    let kit = made["recovery"]["key"].as_str().expect("a kit").to_owned();
    let restic = Command::new("restic")
        .args(["--no-cache", "--quiet", "-r"])
        .arg(desk.path("vault"))
        .args(["cat", "masterkey"])
        .env("RESTIC_PASSWORD", &kit)
        .output()
        .expect("restic runs");
    let master: serde_json::Value = serde_json::from_slice(&restic.stdout).expect("a master key");
    let mut needles = vec![
        needle("the password", b"correct horse battery staple"),
        needle("the recovery kit", kit.as_bytes()),
        needle("the recovery kit without hyphens", kit.replace('-', "").as_bytes()),
        needle("the master key", value(&master, "/encrypt").as_bytes()),
        needle("the master key's MAC", value(&master, "/mac/k").as_bytes()),
    ];
    // the first line holds what is public: format, type and public half
    needles.extend(
        body.iter().skip(2).map(|line| needle("the SSH key", &line.as_bytes()[..line.len().min(40)])),
    );
    assert!(needles.len() >= 7, "a key has several lines");
    // what only the test has on the desk
    fs::remove_file(password).expect("gone");
    fs::create_dir(desk.path("tmp")).expect("a folder");
    desk.set("TMPDIR", &desk.path("tmp").display().to_string());
    desk.set("RUST_LOG", "trace");
    desk.set("GHEVAULT_TRANSPORT", transport);
    desk.become_role("a-runner");

    let log = desk.write("ghevault.toml", "");
    let toml = format!("log_file = \"{}\"\n", desk.path("log").display());
    for (name, text) in [("the log on stderr", ""), ("the log in a file", toml.as_str())] {
        fs::write(&log, text).expect("written");
        let config = log.display().to_string();
        // once with the password, once with the wrapped key
        let arguments = ["backup", "--config", &config, "--full"];
        let (looks, said) = watched(&desk, &arguments, &needles);
        assert!(looks > 10, "{looks} looks are too few");
        assert_clean(&needles, name, &said);
        desk.unset("GHEVAULT_PASSWORD");
    }
    assert!(fs::metadata(desk.path("log")).expect("a log").len() > 10_000, "the log has every line");
    let mut all = Vec::new();
    files(&desk.path("."), &mut all);
    assert!(all.len() > 8, "{all:?}");
    for file in all {
        assert_clean(&needles, &file.display().to_string(), &fs::read(&file).expect("readable"));
    }
    // the needles are real: the key itself is found where the appliance keeps it
    assert!(!found(&needles, private.as_bytes()).is_empty());
}

#[test]
fn texts_of_keys_are_wiped_from_memory_once_the_work_has_begun() {
    let mut desk = Desk::in_account("a-keys");
    let mut site = appliance(83);
    desk.trust(&mut site.0);
    let key_file = site.0.client_key();
    let private = fs::read_to_string(&key_file).expect("a key");
    let password = desk.write("password", "correct horse battery staple\n");
    let ssh_key = desk.encrypted(&key_file, &kms_key("A1"));
    let escrow = desk.encrypted(&password, &kms_key("A1"));
    desk.set("GHEVAULT_SSH_KEY", &ssh_key);
    desk.set("GHEVAULT_PASSWORD", &escrow);
    desk.run(&["init", "--quiet"]).exits(0);
    let mut needles = vec![needle("the password", b"correct horse battery staple")];
    let body = private.lines().filter(|line| !line.starts_with("-----")).skip(2);
    needles.extend(body.map(|line| needle("the SSH key", &line.as_bytes()[..line.len().min(40)])));
    assert!(needles.len() >= 3, "a key has several lines");
    desk.become_role("a-runner");
    let mut child = desk
        .command(&["backup", "--full", "--quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    // Once maintenance is paused, the vault is open and the appliance has let us in: both secrets were used.
    let (mut early, mut late, mut gated) = (Vec::new(), Vec::new(), false);
    while child.try_wait().expect("it can be waited for").is_none() {
        gated |= site.0.gate_exists();
        let looks = if gated { &mut late } else { &mut early };
        looks.extend(in_memory(child.id(), &needles));
    }
    assert!(child.wait().expect("waited for").success());
    assert!(late.len() > 2, "{} looks are too few", late.len());
    assert!(early.iter().any(|seen| !seen.is_empty()), "it looks at the wrong places: {early:?}");
    assert_eq!(late.concat(), Vec::<&str>::new(), "in {late:?}");
}

#[test]
fn plaintext_of_keys_is_nowhere_with_the_transport_in_process() {
    plaintext_is_nowhere(81, "russh");
}

#[test]
fn plaintext_of_keys_is_nowhere_with_the_ssh_program() {
    plaintext_is_nowhere(82, "openssh");
}
