//! `ghe-backup [NAME]`: the appliance's own Backup Service (contract §11.2), as far as its result goes.
//!
//! Makes `/data/backup/data/<time>` in backup-utils' layout, with hard links to the snapshot before, marked `incomplete` until it is whole, and
//! moves `current`. `knobs.backup_service_dies` ends it half-way, with both marks left.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, symlink},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
};

use super::{Call, Ended};
use crate::{
    appliance::State,
    error::{OnFile, SimError},
};

/// Where its snapshots stand.
pub const DATA: &str = "/data/backup/data";
/// The mark of a run.
pub const MARK: &str = "/data/user/common/backup_utils_in_progress";

/// Secrets of every 3.11 (contract §2.3): file and key.
const SECRETS: &[(&str, &str)] = &[
    ("manage-password", "secrets.manage"),
    ("password-pepper", "secrets.github.user-password-secrets"),
    ("kredz-credz-hmac", "secrets.kredz.credz-hmac-secret"),
    ("kredz-varz-hmac", "secrets.kredz.varz-hmac-secret"),
    ("encrypted-column-encryption-keying-material", "secrets.github.encrypted-column-keying-material"),
    ("encrypted-column-current-encryption-key", "secrets.github.encrypted-column-current-encryption-key"),
    (
        "secret-scanning-encrypted-secrets-current-storage-key",
        "secrets.secret-scanning.encrypted-secrets-current-storage-key",
    ),
    (
        "secret-scanning-encrypted-secrets-delimited-storage-keys",
        "secrets.secret-scanning.encrypted-secrets-delimited-storage-keys",
    ),
    (
        "secret-scanning-encrypted-secrets-current-shared-transit-key",
        "secrets.secret-scanning.encrypted-secrets-current-shared-transit-key",
    ),
    (
        "secret-scanning-encrypted-secrets-delimited-shared-transit-keys",
        "secrets.secret-scanning.encrypted-secrets-delimited-shared-transit-keys",
    ),
    (
        "secret-scanning-user-content-delimited-encryption-root-keys",
        "secrets.secret-scanning.secret-scanning-user-content-delimited-encryption-root-keys",
    ),
];

pub(super) fn run(call: &Call) -> Ended {
    let state = State::load(&call.place)?;
    let data = call.place.disk(DATA);
    let name = if call.arg(0).is_empty() { now()? } else { call.arg(0).to_owned() };
    let (mark, snapshot) = (call.place.disk(MARK), data.join(&name));
    fs::write(&mark, "").on("write", &mark)?;
    fs::create_dir_all(&snapshot).on("create", &snapshot)?;
    let put = |file: &str, content: &[u8]| {
        let path = snapshot.join(file);
        fs::write(&path, content).on("write", path)
    };
    put("incomplete", b"")?;
    put("strategy", b"rsync\n")?;
    put("version", format!("v{}\n", state.version).as_bytes())?;
    for (file, key) in SECRETS {
        let value = output(call, "ghe-config", &[key])?;
        if !value.is_empty() {
            put(file, &value)?;
        }
    }
    // The key that is derived when it is not set itself: the text after the last semicolon.
    let derived = snapshot.join("encrypted-column-current-encryption-key");
    let material = fs::read_to_string(snapshot.join("encrypted-column-encryption-keying-material"));
    if let (false, Ok(material)) = (derived.exists(), material) {
        let key = material.rsplit(';').next().unwrap_or_default();
        fs::write(&derived, key).on("write", derived)?;
    }
    for (file, command) in [
        ("settings.json", "ghe-export-settings"),
        ("authorized-keys.json", "ghe-export-authorized-keys"),
        ("ssh-host-keys.tar", "ghe-export-ssh-host-keys"),
        ("ssl-ca-certificates.tar", "ghe-export-ssl-ca-certificates"),
    ] {
        put(file, &output(call, command, &[])?)?;
    }
    put("mysql.sql.gz", &gzip(&output(call, "ghe-export-mysql", &[])?)?)?;
    for (file, from) in [
        ("enterprise.ghl", "/data/enterprise/enterprise.ghl"),
        ("uuid", "/data/user/common/uuid"),
        ("redis.rdb", super::redis::DUMP),
    ] {
        let from = call.place.disk(from);
        put(file, &fs::read(&from).on("read", &from)?)?;
    }
    if state.knobs.backup_service_dies {
        return Err(SimError::Refused("the Backup Service died".to_owned()));
    }
    let audit = snapshot.join("audit-log");
    for folder in [&audit, &snapshot.join("benchmarks")] {
        fs::create_dir_all(folder).on("create", folder)?;
    }
    for (index, size) in super::elasticsearch::indices(&call.place)? {
        let lines = output(call, "ghe-es-dump-json", &[&format!("http://localhost:9201/{index}")])?;
        put(&format!("audit-log/{index}.gz"), &gzip(&lines)?)?;
        put(&format!("audit-log/{index}.gz.size"), format!("{size}\n").as_bytes())?;
    }
    let before = fs::canonicalize(data.join("current")).ok();
    for folder in ["repositories", "pages", "storage", "git-hooks", "elasticsearch"] {
        let from = call.place.disk("/data/user").join(folder);
        if from.is_dir() {
            copy(
                &from,
                before.as_ref().map(|before| before.join(folder)).as_deref(),
                &snapshot.join(folder),
            )?;
        }
    }
    fs::remove_file(snapshot.join("incomplete")).on("remove", snapshot.join("incomplete"))?;
    let current = data.join("current");
    let _ = fs::remove_file(&current);
    symlink(&name, &current).on("link", &current)?;
    fs::remove_file(&mark).on("remove", &mark)?;
    call.say(format!("Completed backup in snapshot {name}"))?;
    Ok(0)
}

fn now() -> Result<String, SimError> {
    let out = Command::new("date").arg("-u").arg("+%Y%m%dT%H%M%S").output().on("run", "date")?;
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// What another command of the appliance prints; nothing when it fails, as for a key that is not set.
fn output(call: &Call, name: &str, args: &[&str]) -> Result<Vec<u8>, SimError> {
    let program = std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
    let mut command = Command::new(program);
    command.arg0(name).args(args).stdin(Stdio::null()).env(super::DIR_VARIABLE, call.place.root());
    Ok(command.output().on("run", name)?.stdout)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>, SimError> {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).and_then(|()| packed.finish()).on("compress", "a stream")
}

/// Copies a folder with times and modes; files that are as in the snapshot before become links to them.
fn copy(from: &Path, before: Option<&Path>, to: &Path) -> Result<(), SimError> {
    fs::create_dir_all(to).on("create", to)?;
    for entry in fs::read_dir(from).on("list", from)? {
        let entry = entry.on("list", from)?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let old = before.map(|before| before.join(entry.file_name()));
        let meta = fs::symlink_metadata(&source).on("inspect", &source)?;
        if meta.is_dir() {
            copy(&source, old.as_deref(), &target)?;
        } else if meta.is_symlink() {
            let to = fs::read_link(&source).on("read", &source)?;
            symlink(to, &target).on("link", &target)?;
        } else if meta.is_file() {
            let same = |old: &fs::Metadata| {
                (old.len(), old.mtime(), old.mtime_nsec()) == (meta.len(), meta.mtime(), meta.mtime_nsec())
            };
            if let Some(old) = old.filter(|old| fs::symlink_metadata(old).is_ok_and(|old| same(&old))) {
                fs::hard_link(&old, &target).on("link", &target)?;
            } else {
                fs::copy(&source, &target).on("copy", &source)?;
                touch(&target, &meta)?;
            }
        }
    }
    touch(to, &fs::metadata(from).on("inspect", from)?)
}

fn touch(path: &Path, like: &fs::Metadata) -> Result<(), SimError> {
    fs::set_permissions(path, like.permissions()).on("set the mode of", path)?;
    let time = like.modified().on("inspect", path)?;
    // Packs are read-only, and a file opened for reading may have its time set by its owner.
    fs::File::open(path).and_then(|file| file.set_modified(time)).on("set the time of", path)
}
