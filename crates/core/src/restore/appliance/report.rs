//! What a restore to an appliance did, step by step, and what is left to do.

use serde::Serialize;

use super::plan::Step;
use crate::restore::report::Problem;

/// How a restore ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Everything that was asked for is on the appliance.
    Complete,
    /// All steps ran, but single items are missing; they are named.
    Partial,
    /// A step failed; the appliance says `failed` and must stay in maintenance mode.
    Failed,
}

/// One step that ran.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// The step.
    pub step: Step,
    /// Whether it went through.
    pub ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Bytes of content sent.
    pub bytes: u64,
    /// Files or items sent.
    pub items: u64,
    /// Items that were already there.
    pub unchanged: u64,
    /// Items removed from the appliance because the snapshot does not have them.
    pub removed: u64,
    /// Seconds it took.
    pub seconds: f64,
}

/// What a step has to tell.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Bytes of content sent.
    pub bytes: u64,
    /// Files or items sent.
    pub items: u64,
    /// Items that were already there.
    pub unchanged: u64,
    /// Items removed.
    pub removed: u64,
    /// Remarks that harm nothing.
    pub warnings: Vec<String>,
    /// Items that could not be restored.
    pub problems: Vec<Problem>,
    /// Fingerprints of the host keys that the appliance shows from now on.
    pub host_keys: Vec<String>,
}

impl Done {
    /// A step that sent `bytes` bytes as one item.
    #[must_use]
    pub fn one(bytes: u64) -> Self {
        Self { bytes, items: 1, ..Self::default() }
    }

    /// Adds what another part of the step did.
    pub fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.items += other.items;
        self.unchanged += other.unchanged;
        self.removed += other.removed;
        self.warnings.extend(other.warnings);
        self.problems.extend(other.problems);
        self.host_keys.extend(other.host_keys);
    }
}

/// The outcome of a restore to an appliance.
#[derive(Clone, Debug, Serialize)]
pub struct ApplianceReport {
    /// The appliance.
    pub host: String,
    /// The snapshot's id.
    pub snapshot: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The steps, in order.
    pub steps: Vec<StepReport>,
    /// Remarks.
    pub warnings: Vec<String>,
    /// Items that could not be restored.
    pub problems: Vec<Problem>,
    /// `SHA256:…` fingerprints of the host keys that the appliance shows from now on, when they were restored.
    pub host_keys: Vec<String>,
    /// What the operator does next.
    pub next: Vec<String>,
}
