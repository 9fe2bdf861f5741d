//! Commands of a cluster whose service lives on another machine: they run there, as the appliance's own programs do.
//!
//! What the databases know is on the `MySQL` master, so route and registry programs go there too (contract §7.4).

use std::{os::unix::process::CommandExt, process::Stdio};

use super::{Call, ENTERPRISE, Ended};
use crate::{
    appliance::{membership, roster::Roster},
    error::SimError,
};

/// The other machine that a command belongs to, if it does.
pub(super) fn home(call: &Call) -> Result<Option<String>, SimError> {
    let Some(service) = service(call) else { return Ok(None) };
    let Some(roster) = Roster::load(&call.place)?.filter(|roster| !roster.ha) else { return Ok(None) };
    let named = call.args.iter().skip_while(|arg| *arg != "-h").nth(1);
    let node = match service {
        "redis" => {
            let named = named.and_then(|host| roster.member(host)).map(|member| member.name.as_str());
            named.or_else(|| roster.masters.get("redis").map(String::as_str))
        }
        "elasticsearch" => roster.serving("elasticsearch").next().map(|member| member.name.as_str()),
        other => roster.masters.get(other).map(String::as_str),
    };
    Ok(node.filter(|node| *node != roster.own).map(str::to_owned))
}

fn service(call: &Call) -> Option<&'static str> {
    Some(match call.name.as_str() {
        "ghe-export-mysql"
        | "ghe-import-mysql"
        | "ghe-import-mysql-mysqldump"
        | "ghe-spokes"
        | "ghe-storage"
        | "ghe-dpages" => "mysql",
        "github-env" if call.arg(0).starts_with("./bin/") => "mysql",
        "ghe-redis-cli" | "ghe-import-redis" => "redis",
        "curl" | "ghe-es-dump-json" | "ghe-es-load-json" => "elasticsearch",
        _ => return None,
    })
}

/// Runs the command on its machine, with this one's streams.
pub(super) fn to(call: &Call, node: &str) -> Ended {
    let program = if ENTERPRISE.contains(&call.name.as_str()) { "/usr/local/share/enterprise/" } else { "" };
    let mut script =
        std::env::var("INC_BACKUP").map_or(String::new(), |lsn| format!("env INC_BACKUP={} ", quote(&lsn)));
    script += program;
    script += &call.name;
    for arg in &call.args {
        script.push(' ');
        script += &quote(arg);
    }
    let mut ssh = membership::ssh(&call.place)?;
    ssh.args([node, "--", &script]);
    // A script on stdin of the calling shell is not this command's input.
    if !reads_input(call) {
        ssh.stdin(Stdio::null());
    }
    let error = ssh.exec();
    Err(SimError::Refused(format!("cannot run ssh: {error}")))
}

fn reads_input(call: &Call) -> bool {
    match call.name.as_str() {
        "curl" => call.args.iter().any(|arg| arg.ends_with("@-")),
        "github-env" => call.arg(0).contains("-restore-"),
        name => name.contains("import") || name == "ghe-es-load-json",
    }
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
