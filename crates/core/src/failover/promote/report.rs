//! What a promotion did, and what is known after it.

use serde::Serialize;

use super::guard::{PromotePlan, Step};
use crate::{appliance::facts::Role, failover::ways::Command};

/// How a promotion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The host is a primary now.
    Promoted,
    /// It is still a replica, and nothing is running there as far as is known.
    Failed,
    /// It was not learned how it ended.
    Unknown,
}

/// What a promotion did.
#[derive(Clone, Debug, Serialize)]
pub struct PromoteReport {
    /// How it ended.
    pub outcome: Outcome,
    /// The plan that was followed.
    pub plan: PromotePlan,
    /// The steps that were done.
    pub done: Vec<Step>,
    /// Why it went no further.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The last lines that `ghe-repl-promote` wrote.
    pub said: Vec<String>,
    /// Whether it ended unseen: the connection broke, or its time was up.
    #[serde(skip)]
    pub lost: bool,
    /// Seconds that `ghe-repl-promote` took.
    pub seconds: f64,
    /// The role of the host afterwards.
    pub role: Option<Role>,
    /// Its UUID.
    pub uuid: Option<String>,
    /// Whether maintenance mode is on there.
    pub maintenance: Option<bool>,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// What to do next, in order.
    pub next: Vec<Command>,
}
