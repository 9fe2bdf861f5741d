//! Repository networks, wikis and the special folders beside them, with Git maintenance paused (contract §3.2, §5.6).

use super::{
    super::{
        error::StepError,
        report::Done,
        run::Scene,
        sync::{Sameness, Transfer},
        units,
    },
    routed::{Batches, walk_units},
};
use crate::{
    appliance::{
        gate::{Gate, GateSettings},
        quote::quote,
    },
    restore::entry::Kind,
};

/// Networks sent at a time.
const BATCH: usize = 200;

/// Sends all networks, unconditionally as to routes, then `info/` and the special folders.
pub fn restore(scene: &Scene<'_>) -> Result<Done, StepError> {
    let to = scene.data("repositories");
    let settings = GateSettings {
        repositories: to.clone(),
        drain_s: scene.options.drain_s,
        wait: std::time::Duration::ZERO,
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
    done.add(special(scene, &transfer)?);
    Ok(done)
}

/// `info/` as in the snapshot, or empty if the snapshot has none; `__name__/` where the snapshot has them.
fn special(scene: &Scene<'_>, transfer: &Transfer<'_>) -> Result<Done, StepError> {
    let transfer = Transfer { sameness: Sameness::Time, ..*transfer };
    let mut batches = Batches::new(scene, &transfer, BATCH);
    let mut has_info = false;
    walk_units(scene, b"repositories", units::special, &mut |unit, ways| {
        has_info |= unit.0 == b"info";
        if matches!(unit.1.kind, Kind::Directory(_)) { batches.push(unit, ways) } else { Ok(()) }
    })?;
    let mut done = batches.finish()?;
    if !has_info {
        let script =
            format!("cd {} && if [ -d info ]; then find info -mindepth 1 -delete; fi", quote(transfer.to));
        let script = format!("sudo -u git bash -c {}", quote(&script));
        scene.remote.ask("empty repositories/info", &script)?;
        done.warnings.push("the snapshot has no repositories/info".into());
    }
    Ok(done)
}
