//! `ghe-export-ssh-host-keys` and its import, which changes the keys that the doors show (contract §5.4, step 21).

use std::{fs, process::Command};

use super::{Call, Ended};
use crate::{
    appliance::Place,
    doors::keys,
    error::{OnFile, SimError},
};

const FOLDER: &str = "/data/user/common";

fn names(place: &Place) -> Result<Vec<String>, SimError> {
    let folder = place.disk(FOLDER);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).on("list", &folder)? {
        let name = entry.on("list", &folder)?.file_name().to_string_lossy().into_owned();
        if name.starts_with("ssh_host_") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

pub(super) fn export(call: &Call) -> Ended {
    let status = Command::new("tar")
        .arg("-C")
        .arg(call.place.disk(FOLDER))
        .args(["--sort=name", "-cf", "-"])
        .args(names(&call.place)?)
        .status()
        .on("run", "tar")?;
    Ok(u8::from(!status.success()))
}

pub(super) fn import(call: &Call) -> Ended {
    call.say(" --> Importing SSH host keys...")?;
    let folder = call.place.disk(FOLDER);
    let fresh = tempfile::tempdir_in(call.place.root()).on("create a folder in", call.place.root())?;
    let status =
        Command::new("tar").arg("-C").arg(fresh.path()).args(["-xf", "-"]).status().on("run", "tar")?;
    if !status.success() {
        return Err(SimError::Refused("this is not a tar of SSH host keys".to_owned()));
    }
    for old in names(&call.place)? {
        let old = folder.join(old);
        fs::remove_file(&old).on("remove", &old)?;
    }
    for entry in fs::read_dir(fresh.path()).on("list", fresh.path())? {
        let entry = entry.on("list", fresh.path())?;
        let target = folder.join(entry.file_name());
        fs::copy(entry.path(), &target).on("write", &target)?;
    }
    taken_over(call)?;
    call.say(" --> The SSH host keys on this appliance have been replaced to match the backup.")?;
    Ok(0)
}

/// Lets the doors show the host keys that are on disk now.
pub(super) fn taken_over(call: &Call) -> Result<(), SimError> {
    keys::changed(&call.place)
}
