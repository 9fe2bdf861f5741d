//! The appliance's commands, one small file for each or for a family (contract §10.2), behind one dispatch by name.
//!
//! Imports keep what they receive where the matching export finds it again, so that two appliances can be compared.

mod actions;
pub mod aqueduct;
mod authorized_keys;
pub mod backup_service;
pub mod ca_certificates;
mod call;
mod chown;
mod cluster;
pub mod config;
pub mod config_apply;
mod curl;
pub mod elasticsearch;
mod forward;
mod github_env;
mod hook_env;
mod host_keys;
mod license;
mod logger;
pub mod maintenance;
mod mssql;
pub mod mysql;
mod negotiate;
mod pigz;
mod ps;
mod recorded;
pub mod redis;
mod replication;
mod restore_routes;
mod routes;
mod services;
mod settings;
mod spokes;
mod sponge;
mod ssh;
mod sudo;
mod version;

pub use call::Call;

use std::{os::unix::process::CommandExt, process::ExitCode};

use super::{
    Place,
    faults::{Faults, Scope},
    log,
    place::DIR_VARIABLE,
};
use crate::{doors::door, error::SimError};

/// What a command ends with: its exit code, or an error that is printed and ends with 1.
pub type Ended = Result<u8, SimError>;

/// Commands on the admin's `PATH`.
pub const APPLIANCE: &[&str] = &[
    "curl",
    "ghe-actions-console",
    "ghe-actions-start",
    "ghe-actions-stop",
    "ghe-aqueduct",
    "ghe-backup",
    "ghe-cluster-config-apply",
    "ghe-cluster-config-update",
    "ghe-cluster-each",
    "ghe-cluster-host-check",
    "ghe-cluster-maintenance",
    "ghe-cluster-nodes",
    "ghe-cluster-nomad-cleanup",
    "ghe-config",
    "ghe-config-apply",
    "ghe-dpages",
    "ghe-export-authorized-keys",
    "ghe-export-mssql",
    "ghe-export-mysql",
    "ghe-export-settings",
    "ghe-export-ssh-host-keys",
    "ghe-export-ssl-ca-certificates",
    "ghe-import-authorized-keys",
    "ghe-import-license",
    "ghe-import-mssql",
    "ghe-import-mysql",
    "ghe-import-mysql-mysqldump",
    "ghe-import-mysql-xtrabackup",
    "ghe-import-redis",
    "ghe-import-settings",
    "ghe-import-ssh-host-keys",
    "ghe-import-ssl-ca-certificates",
    "ghe-maintenance",
    "ghe-mssql-console",
    "ghe-negotiate-version",
    "ghe-nomad-cleanup",
    "ghe-redis-cli",
    "ghe-repl-promote",
    "ghe-repl-setup",
    "ghe-repl-start",
    "ghe-repl-status",
    "ghe-repl-stop",
    "ghe-repl-teardown",
    "ghe-service-ensure-elasticsearch",
    "ghe-service-ensure-mysql",
    "ghe-spokes",
    "ghe-storage",
    "ghe-version",
    "github-env",
    "logger",
    "nomad",
    "service",
    "systemctl",
];

/// Commands in `/usr/local/share/enterprise`.
pub const ENTERPRISE: &[&str] = &[
    "ghe-es-dump-json",
    "ghe-es-load-json",
    "ghe-hook-env-update",
    "ghe-reset-gh-connect",
    "ghe-service-wait-mysql",
    "run-audit-log-transitions.sh",
];

/// Ways from one machine of a fleet to the others.
pub const BETWEEN: &[&str] = &["nc", "nc.openbsd", "ssh"];

/// Stand-ins that only the embedded door needs: it has no other users, and sees all of the machine's processes.
pub const EMBEDDED: &[&str] = &["chgrp", "chown", "ps", "sudo"];

/// Stand-ins for programs that the machine of the embedded door may lack.
pub const FALLBACKS: &[&str] = &["ionice", "nice", "pigz", "sponge", "unpigz"];

/// Runs the command `name` of the appliance named by the environment.
#[must_use]
pub fn run(name: &str, args: Vec<String>) -> ExitCode {
    let place = Place::of_command();
    if name == "door" {
        return ExitCode::from(door::run(&place));
    }
    if must_be_root(name) && !rustix::process::geteuid().is_root() && std::env::var_os(DIR_VARIABLE).is_none()
    {
        return as_root(name, &args);
    }
    let call = Call { place, name: name.to_owned(), args };
    if !EMBEDDED.contains(&name) && !FALLBACKS.contains(&name) {
        let text = call.text();
        let _ = log::append(&call.place, "command", &text);
        if std::env::var_os(FAULT_PLAYED).is_none() {
            let faults = Faults::load(&call.place).unwrap_or_default();
            if let Some(fault) = faults.claim(&call.place, Scope::Command, &text) {
                return ExitCode::from(door::play(&call.place, fault, again(&call)));
            }
        }
    }
    match dispatch(&call) {
        Ok(code) => ExitCode::from(code),
        // A reader that went away ends a command silently, as SIGPIPE would.
        Err(SimError::File { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::from(141)
        }
        Err(error) => {
            let source =
                std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            eprintln!("{name}: {error}{source}");
            ExitCode::FAILURE
        }
    }
}

/// Variable that keeps a command under a fault from meeting the fault again.
const FAULT_PLAYED: &str = "GHEVAULT_SIM_FAULT_PLAYED";

fn again(call: &Call) -> std::process::Command {
    let program = std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
    let mut command = std::process::Command::new(program);
    command.arg0(&call.name).args(&call.args).env(FAULT_PLAYED, "1");
    command
}

fn must_be_root(name: &str) -> bool {
    name != "logger" && (APPLIANCE.contains(&name) || ENTERPRISE.contains(&name))
}

/// On the sshd door commands are called by an unprivileged admin; they do what needs root through `sudo`, as the
/// appliance's own do.
fn as_root(name: &str, args: &[String]) -> ExitCode {
    let folder = if ENTERPRISE.contains(&name) { "/usr/local/share/enterprise" } else { "/usr/local/bin" };
    let error =
        std::process::Command::new("sudo").arg("-n").arg(format!("{folder}/{name}")).args(args).exec();
    eprintln!("{name}: cannot become root: {error}");
    ExitCode::FAILURE
}

fn dispatch(call: &Call) -> Ended {
    if let Some(node) = forward::home(call)? {
        return forward::to(call, &node);
    }
    match call.name.as_str() {
        "curl" => curl::run(call),
        "ghe-aqueduct" => aqueduct::run(call),
        "ghe-backup" => backup_service::run(call),
        name if name.starts_with("ghe-cluster-") => cluster::run(call),
        name if name.starts_with("ghe-repl-") => replication::run(call),
        name if name.starts_with("ghe-actions-") => actions::run(call),
        "ghe-mssql-console" => mssql::console(call),
        "ghe-export-mssql" => mssql::export(call),
        "ghe-import-mssql" => mssql::import(call),
        "ghe-config" => config::run(call),
        "ghe-config-apply" => config_apply::run(call),
        "ghe-export-authorized-keys" => authorized_keys::export(call),
        "ghe-import-authorized-keys" => authorized_keys::import(call),
        "ghe-export-mysql" => mysql::export(call),
        "ghe-import-mysql" | "ghe-import-mysql-mysqldump" => mysql::import(call),
        "ghe-import-mysql-xtrabackup" => mysql::import_binary(call),
        "ghe-export-settings" => settings::export(call),
        "ghe-import-settings" => settings::import(call),
        "ghe-export-ssh-host-keys" => host_keys::export(call),
        "ghe-import-ssh-host-keys" => host_keys::import(call),
        "ghe-export-ssl-ca-certificates" => ca_certificates::export(call),
        "ghe-import-ssl-ca-certificates" => ca_certificates::import(call),
        "ghe-import-license" => license::import(call),
        "ghe-import-redis" => redis::import(call),
        "ghe-redis-cli" => redis::cli(call),
        "ghe-maintenance" => maintenance::run(call),
        "ghe-negotiate-version" => negotiate::run(call),
        "ghe-version" => version::run(call),
        "ghe-service-ensure-elasticsearch"
        | "ghe-service-ensure-mysql"
        | "ghe-service-wait-mysql"
        | "ghe-nomad-cleanup"
        | "ghe-reset-gh-connect"
        | "run-audit-log-transitions.sh" => recorded::run(call),
        "ghe-spokes" | "ghe-storage" | "ghe-dpages" => spokes::run(call),
        "ghe-es-dump-json" => elasticsearch::dump(call),
        "ghe-es-load-json" => elasticsearch::load(call),
        "ghe-hook-env-update" => hook_env::run(call),
        "github-env" => github_env::run(call),
        "logger" => logger::run(call),
        "nomad" | "service" | "systemctl" => services::run(call),
        "chgrp" | "chown" => Ok(chown::run(call)),
        "ps" => ps::run(call),
        "sudo" | "nice" | "ionice" => sudo::run(call),
        "ssh" => ssh::ssh(call),
        "nc" | "nc.openbsd" => ssh::netcat(call),
        "sponge" => sponge::run(call),
        "pigz" | "unpigz" => pigz::run(call),
        other => Err(SimError::Refused(format!("the simulated appliance has no command `{other}`"))),
    }
}
