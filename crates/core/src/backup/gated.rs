//! The part of a run during which Git maintenance is paused (contract §3.2).

use super::{
    context::Context,
    run::{BackupError, BackupInputs},
};
use crate::{
    appliance::{
        gate::{Gate, GateError, GateSettings},
        lease::LeaseError,
    },
    state::GateRecord,
};

/// Repositories and storage, with Git maintenance paused (contract §3.2).
pub(super) fn gated(
    ctx: &Context<'_>,
    inputs: &BackupInputs<'_>,
    one: &(dyn Fn(&'static str) + Sync),
    warnings: &mut Vec<String>,
) -> Result<f64, BackupError> {
    let wanted: Vec<&'static str> =
        ["repositories", "storage"].into_iter().filter(|name| ctx.settings.wants(name)).collect();
    if wanted.is_empty() {
        return Ok(0.0);
    }
    let settings = GateSettings {
        repositories: format!("{}/repositories", ctx.settings.data_root),
        drain_s: ctx.settings.drain_s,
        wait: ctx.settings.gate_wait,
    };
    let gate = Gate::take(ctx.channel, &settings).inspect_err(|_| ctx.settings.cancel.cancel())?;
    if let Some(mark) = gate.mark() {
        let record =
            GateRecord { host: ctx.settings.host.clone(), mark: mark.clone(), pid: std::process::id() };
        inputs.state.record_gate(&record)?;
    }
    std::thread::scope(|scope| {
        for name in wanted {
            scope.spawn(move || one(name));
        }
    });
    let held = gate.held();
    match gate.release() {
        Ok(held) => {
            inputs.state.forget_gate()?;
            Ok(held.as_secs_f64())
        }
        Err(why) => {
            // Maintenance may have run beside us: what was read is not to be trusted as a whole.
            warnings.push(format!("the maintenance gate was lost after {:.1} s: {why}", held.as_secs_f64()));
            Err(GateError::Lease(LeaseError::Refused {
                label: "keep Git maintenance paused".into(),
                line: why,
                code: "lost".into(),
            })
            .into())
        }
    }
}
