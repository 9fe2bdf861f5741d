//! One repository with 100,000 loose references and one with a pack of 5 GiB: both in a snapshot, in bounded memory, and the next backup is small.

use crate::support;
use ghevault_sim::harness::Appliance;
use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use support::{Desk, appliance};

const REFS: usize = 100_000;
const PACK_BYTES: u64 = 5 << 30;
/// Most memory that the whole program may ever use, in kibibytes.
const PEAK_KIB_MAX: u64 = 600 * 1024;

/// The first repository of a network: a folder with `HEAD` whose name is a number and `.git`.
fn repository(appliance: &Appliance) -> PathBuf {
    let out = std::process::Command::new("find")
        .arg(appliance.disk("/data/user/repositories"))
        .args(["-path", "*/nw/*", "-name", "[0-9]*.git", "-not", "-name", "*.wiki.git", "-print", "-quit"])
        .output()
        .expect("find runs");
    PathBuf::from(String::from_utf8_lossy(&out.stdout).trim())
}

fn write_refs(repository: &Path) {
    let folder = repository.join("refs/pull");
    for n in 0..REFS {
        let parent = folder.join(n.to_string());
        fs::create_dir_all(&parent).expect("a folder");
        fs::write(parent.join("head"), format!("{n:040x}\n")).expect("a reference");
    }
}

/// A file of the size of a pack whose megabytes all differ, mostly holes, so that it is made at once.
fn write_pack(repository: &Path) {
    let path = repository.join("objects/pack/pack-0123456789abcdef0123456789abcdef01234567.pack");
    let mut file = fs::File::create(path).expect("a pack");
    file.set_len(PACK_BYTES).expect("room");
    for megabyte in 0..(PACK_BYTES >> 20) {
        file.seek(SeekFrom::Start(megabyte << 20)).expect("sought");
        file.write_all(&megabyte.to_be_bytes()).expect("written");
    }
}

#[test]
fn a_hundred_thousand_refs_and_a_pack_of_5_gib_are_captured_in_bounded_memory() {
    let (mut appliance, _folder) = appliance(5);
    let repository = repository(&appliance);
    write_refs(&repository);
    write_pack(&repository);
    let port = appliance.open_sshd().expect("a door").port();
    let mut desk = Desk::with_vault();
    desk.set("GHEVAULT_HOST", &format!("127.0.0.1:{port}"));
    desk.set("GHEVAULT_SSH_KEY", &format!("file:{}", appliance.client_key().display()));
    desk.run(&["trust", "--accept", &appliance.host_key().expect("a host key")]).exits(0);

    let mut child = desk.start(&["backup", "--json"]);
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    while child.try_wait().expect("a child").is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        peak = line.trim().trim_end_matches(" kB").parse().unwrap_or(0).max(peak);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let out = child.wait_with_output().expect("output");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8_lossy(&out.stdout);
    let report: serde_json::Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    assert_eq!(report["outcome"], "complete");
    assert!(report["bytes_read"].as_u64() > Some(PACK_BYTES));
    assert!(peak < PEAK_KIB_MAX, "the program used {peak} KiB");
    println!("peak {} MiB, {report}", peak / 1024);

    let next = desk.run(&["backup", "--json"]).exits(0).json();
    assert_eq!(next["outcome"], "complete");
    let repositories =
        next["datasets"].as_array().expect("rows").iter().find(|row| row["name"] == "repositories");
    assert_eq!(repositories.expect("a row")["files_changed"], 0, "{next}");
    assert!(next["bytes_added"].as_u64() < Some(1 << 20), "{next}");
}
