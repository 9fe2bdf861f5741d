//! The storyline of a restore to an appliance: hold the appliance's restore state, walk the plan, leave the appliance
//! in a state that says what happened.

use std::time::Instant;

use super::{
    cluster::Cluster,
    content::SnapshotContent,
    error::{ApplianceRestoreError, StepError},
    options::ApplianceOptions,
    plan::{RestorePlan, Step},
    remote::Remote,
    report::{ApplianceReport, Done, Outcome, StepReport},
    steps,
    sync::Sync,
    vigil::{Reach, Status, Vigil, set_status},
};
use crate::{
    appliance::{channel::Channel, facts::Facts, fleet::Relay, quote::quote},
    causes,
    progress::{Event, Progress},
    restore::view::SnapshotView,
};

/// What every step works with.
pub(super) struct Scene<'a> {
    pub remote: &'a Remote<'a>,
    pub sync: Sync<'a>,
    pub view: SnapshotView<'a>,
    pub target: &'a Facts,
    pub content: &'a SnapshotContent,
    pub options: &'a ApplianceOptions,
    /// The machines, where the target is a cluster.
    pub cluster: Option<&'a Cluster<'a>>,
    /// Whether settings are restored.
    pub settings: bool,
}

impl Scene<'_> {
    /// Whether the target's services run: a cluster's always do.
    pub fn is_running(&self) -> bool {
        self.target.configured || self.cluster.is_some()
    }

    /// How far the state of the restore reaches.
    pub fn reach(&self) -> Reach {
        if self.cluster.is_some() { Reach::Cluster } else { Reach::Alone }
    }

    /// A path below the appliance's data folder.
    pub fn data(&self, below: &str) -> String {
        format!("{}/{below}", self.options.data_root)
    }
}

/// Restores the snapshot with id `snapshot` by a plan that the guard has accepted.
///
/// # Errors
/// The appliance could not be put into the state of a restore; nothing has been changed. Failures behind that point
/// are in the report.
#[allow(clippy::too_many_arguments, reason = "the seven things that make a restore, each of another kind")]
pub fn run(
    channel: &dyn Channel,
    view: SnapshotView<'_>,
    snapshot: &str,
    target: &Facts,
    content: &SnapshotContent,
    plan: &RestorePlan,
    options: &ApplianceOptions,
    progress: &dyn Progress,
) -> Result<ApplianceReport, ApplianceRestoreError> {
    let remote = Remote { channel, idle: options.idle };
    let relay = Relay::through(channel);
    let fleet = target.fleet.as_ref().filter(|_| plan.machines > 0);
    let cluster = fleet.map(|fleet| Cluster::reach(fleet, channel, &relay, options.idle)).transpose()?;
    let scene = Scene {
        remote: &remote,
        sync: Sync { remote: &remote, view, progress },
        view,
        target,
        content,
        options,
        cluster: cluster.as_ref(),
        settings: plan.settings,
    };
    log(&remote, options, &format!("Starting restore with {} of snapshot {snapshot} ...", options.client));
    let vigil = Vigil::begin(channel, &options.data_root, scene.reach())?;
    let mut walk =
        Walk { scene: &scene, progress, report: empty(snapshot, options), failed: false, vigil: None };
    walk.report.warnings.extend(vigil.warnings.iter().cloned());
    walk.vigil = Some(vigil);
    for planned in &plan.steps {
        if walk.failed && !planned.step.is_beside_others() {
            break;
        }
        walk.step(planned.step, planned.bytes);
    }
    let report = walk.end(plan);
    let word = if report.outcome == Outcome::Failed { "Failed" } else { "Completed" };
    log(&remote, options, &format!("{word} restore of snapshot {snapshot}."));
    Ok(report)
}

struct Walk<'a> {
    scene: &'a Scene<'a>,
    progress: &'a dyn Progress,
    report: ApplianceReport,
    failed: bool,
    vigil: Option<Vigil>,
}

impl Walk<'_> {
    fn step(&mut self, step: Step, bytes: u64) {
        let part = step.name();
        self.progress.event(Event::Started { part, bytes_expected: (bytes > 0).then_some(bytes) });
        let began = Instant::now();
        let done = self.act(step);
        self.progress.event(Event::Ended { part, ok: done.is_ok() });
        let (done, error) = match done {
            Ok(done) => (done, None),
            Err(error) => (Done::default(), Some(in_words(&error))),
        };
        self.failed |= error.is_some();
        self.report.steps.push(StepReport {
            step,
            ok: error.is_none(),
            error,
            bytes: done.bytes,
            items: done.items,
            unchanged: done.unchanged,
            removed: done.removed,
            seconds: began.elapsed().as_secs_f64(),
        });
        self.report.warnings.extend(done.warnings);
        self.report.problems.extend(done.problems);
        self.report.host_keys.extend(done.host_keys);
    }

    fn act(&mut self, step: Step) -> Result<Done, StepError> {
        match step {
            // The vigil has done it.
            Step::StopSchedules => Ok(Done::default()),
            Step::Complete => self.complete(),
            _ => {
                let done = steps::act(step, self.scene)?;
                let alive = self.vigil.as_ref().is_none_or(Vigil::alive);
                if alive { Ok(done) } else { Err(StepError::LostVigil) }
            }
        }
    }

    /// Says `complete` and lets the scheduled jobs run. The host keys may change only after this.
    fn complete(&mut self) -> Result<Done, StepError> {
        let mut done = Done::default();
        self.start_actions();
        let (remote, reach) = (self.scene.remote, self.scene.reach());
        let marked = set_status(remote, &self.scene.options.data_root, Status::Complete, reach)?;
        done.warnings.extend(marked);
        if let Some(Err(why)) = self.vigil.take().map(Vigil::end) {
            done.warnings.push(format!("the scheduled jobs may be stopped: {why}"));
        }
        Ok(done)
    }

    /// What was stopped is started again, also after a failure (contract §5.6). Not behind the change of host keys:
    /// it needs a new connection.
    fn start_actions(&mut self) {
        if self.report.steps.iter().any(|s| s.step == Step::ActionsStop)
            && let Err(error) = steps::start_actions(self.scene)
        {
            self.report.warnings.push(format!(
                "GitHub Actions is stopped: {}; start it with `ghe-actions-start`",
                in_words(&error)
            ));
        }
    }

    fn end(mut self, plan: &RestorePlan) -> ApplianceReport {
        let marked = self.report.steps.iter().any(|s| s.step == Step::Complete && s.ok);
        if self.failed && !marked {
            self.start_actions();
            // The vigil's end turns `restoring` into `failed`; this is for the case that it was lost before.
            let (remote, reach) = (self.scene.remote, self.scene.reach());
            let _ = set_status(remote, &self.scene.options.data_root, Status::Failed, reach);
        }
        if let Some(Err(why)) = self.vigil.take().map(Vigil::end) {
            self.report.warnings.push(format!("the scheduled jobs may be stopped: {why}"));
        }
        for name in &plan.absent {
            let problem =
                crate::restore::Problem { path: (*name).into(), what: "is not in the snapshot".into() };
            self.report.problems.push(problem);
        }
        self.report.outcome = match (self.failed, self.report.problems.is_empty()) {
            (true, _) => Outcome::Failed,
            (false, false) => Outcome::Partial,
            (false, true) => Outcome::Complete,
        };
        self.report.next = next(&self.report, plan, marked);
        self.report
    }
}

/// What the operator does after the restore.
fn next(report: &ApplianceReport, plan: &RestorePlan, marked: bool) -> Vec<String> {
    let mut next = Vec::new();
    if report.outcome == Outcome::Failed && !marked {
        next.push("leave the appliance in maintenance mode: its data is a mix of before and after".into());
        next.push("remove the cause and run the same restore again; it goes on where this one ended".into());
        return next;
    }
    if report.steps.iter().any(|s| s.step == Step::SshHostKeys && s.ok) {
        let keys = report.host_keys.join(", ");
        next.push(format!("{} shows the source's host keys from now on ({keys}): trust it anew", plan.host));
    }
    if plan.isolated {
        next.extend(super::isolated::next(&plan.host));
    } else if plan.configured {
        next.push("check the appliance, then switch maintenance mode off".into());
    } else {
        next.push(format!("open https://{}/setup/settings, review the settings and save them", plan.host));
    }
    next
}

fn empty(snapshot: &str, options: &ApplianceOptions) -> ApplianceReport {
    ApplianceReport {
        host: options.host.clone(),
        snapshot: snapshot.into(),
        outcome: Outcome::Failed,
        steps: Vec::new(),
        warnings: Vec::new(),
        problems: Vec::new(),
        host_keys: Vec::new(),
        next: Vec::new(),
    }
}

/// An error with its causes on one line.
fn in_words(error: &StepError) -> String {
    let mut text = error.to_string();
    for cause in causes::chain(error).skip(1) {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
    }
    text
}

/// A line for the appliance's own log; whether it arrives does not matter (contract §1.9).
fn log(remote: &Remote<'_>, options: &ApplianceOptions, line: &str) {
    let script = format!("logger -t {}", quote(&options.client));
    let _ = remote.told("write to the appliance's log", &script, format!("{line}\n").as_bytes());
}
