//! `ghe-config [--get|--true|-l] KEY [VALUE]`: three files in git-config syntax behind one command (contract §1.8).

use std::{path::PathBuf, process::Command};

use super::{Call, Ended};
use crate::{
    appliance::Place,
    error::{OnFile, SimError},
};

/// The file that keeps a key.
#[must_use]
pub fn file_of(place: &Place, key: &str) -> PathBuf {
    let name = match key.split('.').next() {
        Some("secrets") => "secrets.conf",
        Some("cluster") => "cluster.conf",
        _ => "github.conf",
    };
    place.disk("/data/user/common").join(name)
}

/// The value of a key, or nothing if it is not set.
pub(super) fn get(place: &Place, key: &str) -> Result<Option<Vec<u8>>, SimError> {
    let output = git(&file_of(place, key), &["--get", key])?;
    Ok(output.status.success().then_some(output.stdout))
}

/// Whether the value of a key is true.
pub(super) fn is_true(place: &Place, key: &str) -> Result<bool, SimError> {
    Ok(get(place, key)?.is_some_and(|value| value == b"true\n"))
}

fn git(file: &std::path::Path, args: &[&str]) -> Result<std::process::Output, SimError> {
    Command::new("git").args(["config", "-f"]).arg(file).args(args).output().on("run", "git config")
}

pub(super) fn run(call: &Call) -> Ended {
    let (flags, words): (Vec<_>, Vec<_>) =
        call.args.iter().map(String::as_str).partition(|a| a.starts_with('-'));
    if flags.contains(&"-l") || flags.contains(&"--list") {
        for file in ["app.", "secrets.", "cluster."] {
            call.print(git(&file_of(&call.place, file), &["-l"])?.stdout)?;
        }
        return Ok(0);
    }
    match words[..] {
        [key] if flags.contains(&"--true") => Ok(u8::from(!is_true(&call.place, key)?)),
        [section] if flags.contains(&"--remove-section") => {
            let output = git(&file_of(&call.place, section), &["--remove-section", section])?;
            Ok(u8::from(!output.status.success()))
        }
        [key] if flags.contains(&"--unset") => {
            let output = git(&file_of(&call.place, key), &["--unset", key])?;
            Ok(u8::from(!output.status.success()))
        }
        [key] => match get(&call.place, key)? {
            Some(value) => call.print(value).map(|()| 0),
            None => Ok(1),
        },
        [key, value] => {
            let output = git(&file_of(&call.place, key), &[key, value])?;
            if !output.status.success() {
                return Err(SimError::Refused(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
            }
            Ok(0)
        }
        _ => Err(SimError::Refused("usage: ghe-config [--get|--true|-l] key [value]".to_owned())),
    }
}
