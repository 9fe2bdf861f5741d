//! Custom git hooks: environments as tarballs, and the repositories of hook scripts (contract §2.14, §5.5).

use super::super::{
    error::StepError,
    report::Done,
    run::Scene,
    sync::{Sameness, Transfer, Ways},
};
use crate::{
    appliance::quote::quote,
    restore::{
        entry::{join, show},
        report::Problem,
        view::ViewError,
    },
};

const TARBALLS: &str = "git-hooks/environments/tarballs";
const REPOS: &str = "git-hooks/repos";

/// Sends tarballs and repositories, and has each environment unpacked.
pub fn restore(scene: &Scene<'_>) -> Result<Done, StepError> {
    let mut done = Done::default();
    if whole(scene, TARBALLS, Sameness::Time, "git", &mut done)? {
        unpack(scene, &mut done)?;
    }
    whole(scene, REPOS, Sameness::Git, "git", &mut done)?;
    Ok(done)
}

/// Makes a directory on the appliance what it is in the snapshot, if the snapshot has it.
pub(super) fn whole(
    scene: &Scene<'_>,
    name: &str,
    sameness: Sameness,
    user: &str,
    done: &mut Done,
) -> Result<bool, StepError> {
    let Some(entry) = scene.view.find(name.as_bytes())? else { return Ok(false) };
    let to = scene.data(name);
    super::make_folder(scene, name, user)?;
    let transfer =
        Transfer { from: name.as_bytes(), to: &to, user, sameness, delete: true, part: "git-hooks" };
    done.add(scene.sync.units(&transfer, vec![(Vec::new(), entry)], &Ways::new())?);
    Ok(true)
}

fn unpack(scene: &Scene<'_>, done: &mut Done) -> Result<(), StepError> {
    let mut tarballs = Vec::new();
    if let Some(entry) = scene.view.find(TARBALLS.as_bytes())? {
        scene.view.walk::<ViewError>(b"", &entry.kind, &mut |path, entry| {
            if entry.is_file() {
                tarballs.push(path.to_vec());
            }
            Ok(true)
        })?;
    }
    for path in tarballs {
        let problem =
            |what: &str| Problem { path: show(&join(TARBALLS.as_bytes(), &path)), what: what.into() };
        let (Ok(name), Some(at)) = (std::str::from_utf8(&path), path.iter().position(|b| *b == b'/')) else {
            done.problems.push(problem("is no environment's tarball"));
            continue;
        };
        let script = format!(
            "PATH=$PATH:/usr/local/share/enterprise; ghe-hook-env-update {} {}",
            quote(&name[..at]),
            quote(&format!("{}/{name}", scene.data(TARBALLS)))
        );
        match scene.remote.work("unpack a hook environment", &script, &[]) {
            Ok(_) => {}
            Err(error @ StepError::Failed { .. }) => done.problems.push(problem(&error.to_string())),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
