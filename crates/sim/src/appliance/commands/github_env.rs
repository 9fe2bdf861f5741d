//! `github-env COMMAND…`: runs a program in the web application's environment and folder; `./bin/…` are the route
//! protocols (contract §2.11, §5.6).

use std::{os::unix::process::CommandExt, process::Command};

use super::{Call, Ended, restore_routes, routes};
use crate::error::SimError;

pub(super) fn run(call: &Call) -> Ended {
    let program = call.arg(0);
    match program.strip_prefix("./bin/") {
        Some("dgit-cluster-backup-routes") => routes::repositories(call),
        Some("storage-cluster-backup-routes") => routes::storage(call),
        Some(name) if name.ends_with("-cluster-restore-routes") => restore_routes::routes(call, name),
        Some(name) if name.ends_with("-cluster-restore-finalize") => restore_routes::finalize(call, name),
        Some(name) => Err(SimError::Refused(format!("./bin/{name}: no such file"))),
        None => {
            let error = Command::new(program).args(&call.args[1.min(call.args.len())..]).exec();
            Err(SimError::Refused(format!("cannot run {program}: {error}")))
        }
    }
}
