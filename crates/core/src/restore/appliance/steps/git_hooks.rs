//! Custom git hooks: environments as tarballs, and the repositories of hook scripts (contract §2.14, §5.5).

use super::super::{
    cluster::Cluster,
    error::StepError,
    remote::Remote,
    report::Done,
    run::Scene,
    sync::{Sameness, Sync, Transfer, Ways},
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
    if let Some(cluster) = scene.cluster {
        return everywhere(scene, cluster);
    }
    let mut done = Done::default();
    if whole(scene, TARBALLS, Sameness::Time, "git", &mut done)? {
        unpack(scene, scene.remote, &mut done)?;
    }
    whole(scene, REPOS, Sameness::Git, "git", &mut done)?;
    Ok(done)
}

/// Repositories go to every machine that serves Git, tarballs to the first (contract §7.4).
fn everywhere(scene: &Scene<'_>, cluster: &Cluster<'_>) -> Result<Done, StepError> {
    let mut done = Done::default();
    for (index, machine) in cluster.serving("git").into_iter().enumerate() {
        let remote = machine.remote();
        if index == 0 && whole_at(scene, &remote, TARBALLS, &mut done)? {
            unpack(scene, &remote, &mut done)?;
        }
        match whole_at(scene, &remote, REPOS, &mut done) {
            Err(error @ StepError::Channel(_)) if index > 0 => {
                done.warnings.push(format!("{} gets no git hooks: {error}", machine.node.name));
            }
            other => _ = other?,
        }
    }
    Ok(done)
}

fn whole_at(scene: &Scene<'_>, remote: &Remote<'_>, name: &str, done: &mut Done) -> Result<bool, StepError> {
    let Some(entry) = scene.view.find(name.as_bytes())? else { return Ok(false) };
    let to = scene.data(name);
    super::make_folder_at(remote, scene, name, "git")?;
    let sameness = if name == REPOS { Sameness::Git } else { Sameness::Time };
    let transfer =
        Transfer { from: name.as_bytes(), to: &to, user: "git", sameness, delete: true, part: "git-hooks" };
    let sync = Sync { remote, view: scene.view, progress: scene.sync.progress };
    done.add(sync.units(&transfer, vec![(Vec::new(), entry)], &Ways::new())?);
    Ok(true)
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

fn unpack(scene: &Scene<'_>, remote: &Remote<'_>, done: &mut Done) -> Result<(), StepError> {
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
        match remote.work("unpack a hook environment", &script, &[]) {
            Ok(_) => {}
            Err(error @ StepError::Failed { .. }) => done.problems.push(problem(&error.to_string())),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
