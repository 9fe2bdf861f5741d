//! `ghevault schedule`: what will be started when, and why then.

use super::{Invocation, operate};
use crate::{
    error::{CommandError, CommandResult},
    output::{
        human,
        table::{self, Align},
    },
};
use clap::Args;
use ghevault_core::{
    schedule::{Activation, decide::Plan},
    state::{StateFolder, Task},
};
use jiff::Timestamp;
use serde_json::json;
use std::fmt::Write as _;

/// How far ahead the longest pause is searched, in hours.
const AHEAD_H: i64 = 24 * 15;

/// Show the next activations of the schedules, each with the words of the schedule that it follows from.
///
/// Nothing is started; `daemon` does that. Example: ghevault schedule --count 5
#[derive(Debug, Args)]
pub struct ScheduleArgs {
    /// How many activations
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
}

/// Shows.
///
/// # Errors
/// Nothing is scheduled.
pub fn run(arguments: &ScheduleArgs, invocation: &Invocation) -> CommandResult {
    let operation = &invocation.settings.operation;
    let state = StateFolder::open(&invocation.settings.state)?;
    let plans = operation.plans(&state.host_id()?);
    if plans.is_empty() {
        return Err(nothing_scheduled());
    }
    let now = Timestamp::now();
    let rows = next(&plans, now, arguments.count.into());
    let gap = longest_gap(&plans, now);
    let remark = operate::gap_remark(gap, operation.rpo, &operation.zone);
    let local = |at: Timestamp| at.to_zoned(operation.zone.clone());
    let value = json!({
        "time_zone": operation.zone.iana_name(),
        "jitter": plans.iter().map(|plan| (plan.task.name(), plan.calendar.shift().as_secs())).collect::<std::collections::BTreeMap<_, _>>(),
        "activations": rows.iter().map(|(task, one)| json!({
            "task": task.name(), "at": one.at, "local": local(one.at).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(), "because": one.because,
        })).collect::<Vec<_>>(),
        "longest_pause": gap.map(|(from, to)| json!({ "from": from, "to": to })),
        "remark": remark,
    });
    invocation.screen.result(&value, || {
        let lines: Vec<[String; 4]> = rows
            .iter()
            .map(|(task, one)| {
                let away = one.at.duration_since(now).unsigned_abs();
                [
                    local(one.at).strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string(),
                    format!("in {}", human::duration(away)),
                    task.name().to_owned(),
                    one.because.clone(),
                ]
            })
            .collect();
        let columns =
            [("when", Align::Left), ("", Align::Left), ("task", Align::Left), ("because of", Align::Left)];
        let mut text = table::render(columns, &lines);
        for plan in plans.iter().filter(|plan| !plan.calendar.shift().is_zero()) {
            let shift = human::duration(plan.calendar.shift().unsigned_abs());
            let _ = writeln!(text, "{} is shifted by {shift} on this host", plan.task.name());
        }
        if let Some(remark) = remark {
            let _ = writeln!(text, "{remark}");
        }
        text
    });
    Ok(())
}

/// The next activations of all plans, in order.
fn next(plans: &[Plan], now: Timestamp, count: usize) -> Vec<(Task, Activation)> {
    let mut all: Vec<(Task, Activation)> = plans
        .iter()
        .flat_map(|plan| plan.calendar.upcoming(now).take(count).map(|one| (plan.task, one)))
        .collect();
    all.sort_by_key(|(task, one)| (one.at, *task));
    all.truncate(count);
    all
}

/// The longest pause between two backups in the days ahead.
fn longest_gap(plans: &[Plan], now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let plan = plans.iter().find(|plan| plan.task == Task::Backup)?;
    let end = now + jiff::SignedDuration::from_hours(AHEAD_H);
    let due: Vec<Timestamp> =
        plan.calendar.upcoming(now).map(|one| one.at).take_while(|at| *at < end).take(5_000).collect();
    due.windows(2).map(|pair| (pair[0], pair[1])).max_by_key(|(from, to)| to.duration_since(*from))
}

/// The error of a daemon without anything to do.
pub fn nothing_scheduled() -> CommandError {
    CommandError::usage("nothing is scheduled")
        .hint("Write `[schedule]` with `backup = \"business-hours\"` into ghevault.toml.")
}
