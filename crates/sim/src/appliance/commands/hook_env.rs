//! `ghe-hook-env-update ID TARBALL`: unpacks a pre-receive hook environment (contract §5.5).

use std::{fs, process::Command};

use super::{Call, Ended};
use crate::error::OnFile;

pub(super) fn run(call: &Call) -> Ended {
    let folder = call.place.disk("/data/user/git-hooks/environments").join(call.arg(0));
    fs::create_dir_all(&folder).on("create", &folder)?;
    let tarball = call.arg(1);
    let tarball = if tarball.starts_with("/data/") { call.place.disk(tarball) } else { tarball.into() };
    let status =
        Command::new("tar").arg("-C").arg(&folder).arg("-xzf").arg(tarball).status().on("run", "tar")?;
    Ok(u8::from(!status.success()))
}
