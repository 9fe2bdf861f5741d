//! `/etc` of the sshd door: this machine's, with the appliance's users, groups and sudo rules.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use super::{bind, folder};
use crate::{
    appliance::{Place, membership::Membership},
    build::owners::USERS,
    error::{OnFile, SimError},
};

/// Writes `/etc` of the new root.
pub(super) fn write(place: &Place, root: &Path) -> Result<(), SimError> {
    let etc = root.join("etc");
    // Files that vanish or cannot be read while copying do not matter here.
    let _ = Command::new("cp")
        .args(["-a", "--no-target-directory", "/etc"])
        .arg(&etc)
        .stderr(Stdio::null())
        .status();
    folder(&etc.join("github"))?;
    bind(&place.disk("/etc/github"), &etc.join("github"))?;
    let keep = |file: &str| -> String {
        let text = fs::read_to_string(Path::new("/etc").join(file)).unwrap_or_default();
        let ours = |line: &str| USERS.iter().any(|user| line.split(':').next() == Some(user.name));
        text.lines().filter(|line| !ours(line)).fold(String::new(), |all, line| all + line + "\n")
    };
    let (mut passwd, mut group, mut shadow) = (keep("passwd"), keep("group"), keep("shadow"));
    for user in USERS {
        let (name, id) = (user.name, user.id);
        let shell = if name == "admin" { "/bin/bash" } else { "/usr/sbin/nologin" };
        let _ = writeln!(passwd, "{name}:x:{id}:{id}::{}:{shell}", user.home);
        let _ = writeln!(group, "{name}:x:{id}:");
        let _ = writeln!(shadow, "{name}:*:19000:0:99999:7:::");
    }
    if !passwd.lines().any(|line| line.starts_with("sshd:")) {
        passwd += "sshd:x:5099:65534::/run/sshd:/usr/sbin/nologin\n";
    }
    let host = fs::read_to_string("/etc/hostname").unwrap_or_default();
    let mut hosts = format!("127.0.0.1 localhost {}\n", host.trim());
    for peer in Membership::load(place)?.map(|membership| membership.peers).unwrap_or_default() {
        let _ = writeln!(hosts, "{} {}", peer.address, peer.name);
    }
    let sudoers = "Defaults env_keep += \"INC_BACKUP GHEBUVER\"\nDefaults !syslog, !use_pty\n\
                   Defaults secure_path=\"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"\n\
                   root ALL=(ALL:ALL) ALL\nadmin ALL=(ALL:ALL) NOPASSWD: ALL\n";
    for (name, text, mode) in [
        ("passwd", passwd.as_str(), 0o644),
        ("group", group.as_str(), 0o644),
        ("shadow", shadow.as_str(), 0o600),
        ("hosts", &hosts, 0o644),
        ("sudoers", sudoers, 0o440),
        ("nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n", 0o644),
    ] {
        let path = etc.join(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, text).on("write", &path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).on("protect", &path)?;
    }
    let admin = USERS[0].id;
    let home = root.join("run/admin");
    folder(&home)?;
    std::os::unix::fs::chown(&home, Some(admin), Some(admin)).on("give away", home)
}
