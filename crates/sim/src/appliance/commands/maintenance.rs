//! `ghe-maintenance -s|-u|-q`: switches maintenance mode, which is the existence of one file (contract §1.8).

use std::{fs, io};

use super::{Call, Ended};
use crate::{
    appliance::Place,
    error::{OnFile, SimError},
};

const FILE: &str = "/data/github/current/public/system/maintenance.html";

/// Switches maintenance mode.
///
/// # Errors
/// The file cannot be made or removed.
pub fn switch(place: &Place, on: bool) -> Result<(), SimError> {
    let path = place.disk(FILE);
    if on {
        let folder = path.parent().unwrap_or(&path).to_owned();
        fs::create_dir_all(&folder).on("create", folder)?;
        return fs::write(&path, "<html>Down for maintenance</html>\n").on("write", path);
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).on("remove", path),
        _ => Ok(()),
    }
}

pub(super) fn run(call: &Call) -> Ended {
    match call.arg(0) {
        "-s" => switch(&call.place, true)?,
        "-u" => switch(&call.place, false)?,
        _ if call.place.disk(FILE).exists() => call.say("maintenance mode set - scheduled for now")?,
        _ => call.say("maintenance mode not set")?,
    }
    Ok(0)
}
