//! Repository networks, wikis and the special folders beside them, with Git maintenance paused (contract §3.2, §5.6).

use super::{
    super::{
        cluster::{Cluster, Machine},
        error::StepError,
        remote::Remote,
        report::Done,
        run::Scene,
        sync::{Sameness, Sync, Transfer, Ways},
        units,
    },
    routed::{Batches, walk_units},
    spread::{self, Spread},
};
use crate::{
    appliance::{
        gate::{Gate, GateError, GateSettings},
        quote::quote,
    },
    restore::entry::Kind,
};

/// Networks sent at a time.
const BATCH: usize = 200;

/// Sends all networks, unconditionally as to routes, then `info/` and the special folders.
pub fn restore(scene: &Scene<'_>) -> Result<Done, StepError> {
    if let Some(cluster) = scene.cluster {
        return everywhere(scene, cluster);
    }
    let to = scene.data("repositories");
    let settings = GateSettings {
        repositories: to.clone(),
        drain_s: scene.options.drain_s,
        wait: std::time::Duration::ZERO,
        owner: None,
        group: None,
    };
    let gate = Gate::take(scene.remote.channel, &settings)?;
    let done = send(scene, &to);
    let held = gate.release();
    let mut done = done?;
    if let Err(why) = held {
        done.warnings.push(format!("Git maintenance was not paused to the end: {why}"));
    }
    Ok(done)
}

fn send(scene: &Scene<'_>, to: &str) -> Result<Done, StepError> {
    let transfer = Transfer {
        from: b"repositories",
        to,
        user: "git",
        sameness: Sameness::Git,
        delete: true,
        part: "repositories",
    };
    super::make_folder(scene, "repositories", transfer.user)?;
    let mut batches = Batches::new(scene, &transfer, BATCH);
    let left_out =
        walk_units(scene, b"repositories", units::networks, &mut |unit, ways| batches.push(unit, ways))?;
    let mut done = batches.finish()?;
    done.problems.extend(left_out);
    done.add(special(scene, scene.remote, &transfer)?);
    Ok(done)
}

/// Networks to the machines that take them, the special folders to all that serve Git, all of them paused.
fn everywhere(scene: &Scene<'_>, cluster: &Cluster<'_>) -> Result<Done, StepError> {
    let to = scene.data("repositories");
    let machines = cluster.serving("git");
    let (mut gates, mut unpaused) = (Vec::new(), Vec::new());
    for machine in &machines {
        let (repositories, drain_s) = (to.clone(), scene.options.drain_s);
        let wait = std::time::Duration::ZERO;
        let settings = GateSettings { repositories, drain_s, wait, owner: None, group: None };
        match Gate::take(machine.channel(), &settings) {
            Ok(gate) => gates.push((machine.node.name.as_str(), gate)),
            // A machine that cannot be reached gets nothing either; maintenance that goes on is another matter.
            Err(GateError::Lease(error)) => {
                let name = &machine.node.name;
                unpaused.push(format!("Git maintenance could not be paused on {name}: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let done = spread_all(scene, cluster, &machines, &to);
    let mut lost = Vec::new();
    for (name, gate) in gates {
        if let Err(why) = gate.release() {
            lost.push(format!("Git maintenance was not paused to the end on {name}: {why}"));
        }
    }
    let mut done = done?;
    done.warnings.extend(unpaused.into_iter().chain(lost));
    Ok(done)
}

fn spread_all(
    scene: &Scene<'_>,
    cluster: &Cluster<'_>,
    machines: &[&Machine<'_>],
    to: &str,
) -> Result<Done, StepError> {
    let networks = Spread {
        from: "repositories",
        layout: units::networks,
        sameness: Sameness::Git,
        delete: true,
        batch: BATCH,
        part: "repositories",
        role: "git",
        routes: "p=/usr/local/share/enterprise/ghe-restore-network-routes; if [ -e \"$p\" ]; then \"$p\"; \
                 else github-env ./bin/dgit-cluster-restore-routes; fi"
            .into(),
        finalize: "dgit-cluster-restore-finalize",
        line: |path, _| String::from_utf8_lossy(path).into_owned(),
        registration: spread::network_registration,
    };
    let mut done = spread::spread(scene, cluster, &networks, "git")?;
    let transfer = Transfer {
        from: b"repositories",
        to,
        user: "git",
        sameness: Sameness::Time,
        delete: true,
        part: "repositories",
    };
    for machine in machines {
        match special(scene, &machine.remote(), &transfer) {
            Ok(more) => done.add(more),
            Err(error @ (StepError::Channel(_) | StepError::Failed { .. })) => {
                let name = &machine.node.name;
                done.warnings.push(format!("{name} gets no special folders of repositories: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// `info/` as in the snapshot, or empty if the snapshot has none; `__name__/` where the snapshot has them.
fn special(scene: &Scene<'_>, remote: &Remote<'_>, transfer: &Transfer<'_>) -> Result<Done, StepError> {
    let transfer = Transfer { sameness: Sameness::Time, ..*transfer };
    let (mut folders, mut has_info) = (Vec::new(), false);
    walk_units(scene, b"repositories", units::special, &mut |unit, _| {
        has_info |= unit.0 == b"info";
        if matches!(unit.1.kind, Kind::Directory(_)) {
            folders.push(unit);
        }
        Ok(())
    })?;
    // They stand at the top, so nothing is above them.
    let sync = Sync { remote, view: scene.view, progress: scene.sync.progress };
    let mut done = Done::default();
    if !folders.is_empty() {
        done.add(sync.units(&transfer, folders, &Ways::new())?);
    }
    if !has_info {
        let script =
            format!("cd {} && if [ -d info ]; then find info -mindepth 1 -delete; fi", quote(transfer.to));
        let script = format!("sudo -u git bash -c {}", quote(&script));
        remote.ask("empty repositories/info", &script)?;
        done.warnings.push("the snapshot has no repositories/info".into());
    }
    Ok(done)
}
