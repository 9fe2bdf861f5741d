//! Pre-receive hooks: environment tarballs (backed up), unpacked environments (not), and their repositories.

use std::{fs, process::Command};

use super::{
    git::{self, Format},
    history::History,
};
use crate::{
    appliance::Place,
    error::{OnFile, SimError},
    seed::Seed,
};

pub(super) fn write(place: &Place, seed: &Seed) -> Result<(), SimError> {
    let mut seed = seed.part("hooks");
    let folder = place.disk("/data/user/git-hooks");
    for number in 1..=2_u64 {
        let unpacked = folder.join("environments").join(number.to_string());
        fs::create_dir_all(unpacked.join("bin")).on("create", &unpacked)?;
        fs::write(unpacked.join("bin/check"), seed.text(3000)).on("write", &unpacked)?;
        let tarballs = folder.join("environments/tarballs").join(number.to_string()).join(seed.hex(12));
        fs::create_dir_all(&tarballs).on("create", &tarballs)?;
        let status = Command::new("tar")
            .args(["--sort=name", "--mtime=@1690000000", "--owner=0", "--group=0", "-czf"])
            .arg(tarballs.join("environment.tar.gz"))
            .arg("-C")
            .arg(&unpacked)
            .arg(".")
            .status()
            .on("run", "tar")?;
        if !status.success() {
            return Err(SimError::Program { program: "tar".to_owned(), reason: status.to_string() });
        }
    }
    let repository = folder.join("repos/1.git");
    git::skeleton(&repository, "hooks/1", Format::Sha1)?;
    let mut history = History::new(seed.part("repository"));
    history.commits("refs/heads/main", None, 3);
    git::import(&repository, &history.finish(), false)
}
