//! `ghevault backup --shard` and `--join`: one snapshot by several hosts.

use super::{Invocation, backup, vault};
use crate::error::{CommandError, CommandResult, Kind};
use clap::Args;
use ghevault_core::{
    backup::{
        BackupReport,
        shard::{
            Place, Shard, check_name,
            join::{self, JoinInputs},
        },
    },
    seal::Outcome,
    state::RunDetails,
};
use jiff::{SignedDuration, Timestamp};

/// Where schedulers say which of several equal jobs this is, counted from 0.
const INDEX_VARIABLES: [&str; 2] = ["JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX"];

/// Flags of a run of several shards.
#[derive(Debug, Args)]
pub struct ShardArgs {
    /// Capture only part I of N, counted from 1, of the run that `--run` names; `auto/N` takes the index from
    /// `JOB_COMPLETION_INDEX` (Kubernetes) or `AWS_BATCH_JOB_ARRAY_INDEX`, which count from 0
    #[arg(long, value_name = "I/N", requires = "run", conflicts_with = "join")]
    shard: Option<String>,
    /// The run that the shard belongs to: a name that all its shards share and no other run had
    #[arg(long, value_name = "NAME", value_parser = name)]
    run: Option<String>,
    /// Join the parts of a run into one sealed snapshot; without `--run`, of the newest that is not complete. The appliance is not asked
    #[arg(
        long,
        conflicts_with_all = ["full", "dataset", "skip", "source", "turn", "allow_replica", "allow_other_appliance", "allow_no_repositories"]
    )]
    join: bool,
}

fn name(text: &str) -> Result<String, String> {
    check_name(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

impl ShardArgs {
    /// Whether a part is captured.
    pub const fn is_part(&self) -> bool {
        self.shard.is_some()
    }

    /// Whether parts are joined.
    pub const fn is_join(&self) -> bool {
        self.join
    }

    /// The shard, if this is to be one.
    ///
    /// # Errors
    /// The text names none.
    pub fn shard(&self) -> CommandResult<Option<Shard>> {
        let (Some(text), Some(run)) = (&self.shard, &self.run) else {
            if self.run.is_some() {
                return Err(CommandError::usage("--run names the run of a shard, and there is no --shard")
                    .hint("Give `--shard I/N` to capture a part, or `--join` to join all."));
            }
            return Ok(None);
        };
        let place = place(text, |name| std::env::var(name).ok())?;
        Ok(Some(Shard { run: run.clone(), place }))
    }
}

/// Reads `I/N` or `auto/N`.
fn place(text: &str, lookup: impl Fn(&str) -> Option<String>) -> CommandResult<Place> {
    let wrong = |error: &dyn std::fmt::Display| {
        CommandError::usage(error.to_string())
            .hint("Shards are counted from 1: `--shard 1/4` to `--shard 4/4`.")
    };
    let Some(count) = text.strip_prefix("auto/") else {
        return text.parse().map_err(|error| wrong(&error));
    };
    let found =
        INDEX_VARIABLES.iter().find_map(|name| Some((name, lookup(name).filter(|text| !text.is_empty())?)));
    let Some((name, index)) = found else {
        return Err(CommandError::usage(format!(
            "`--shard {text}` takes the index from the scheduler, and neither {} is set",
            INDEX_VARIABLES.join(" nor ")
        ))
        .hint("In an Indexed Job of Kubernetes and an array job of AWS Batch they are. Elsewhere give `--shard I/N`."));
    };
    let from_one = index.parse::<u32>().ok().and_then(|index| index.checked_add(1));
    let from_one = from_one.ok_or_else(|| wrong(&format!("`{name}` is `{index}`, which is no index")))?;
    format!("{from_one}/{count}").parse().map_err(|error| wrong(&error))
}

/// Joins the parts of a run.
///
/// # Errors
/// There is no snapshot, or a partial one.
pub fn join(arguments: &ShardArgs, invocation: &Invocation) -> CommandResult {
    let opened = vault::open(invocation)?;
    let seal_key = invocation.seal_key()?;
    let progress = invocation.screen.progress();
    let joined = join::join(&JoinInputs {
        vault: &opened,
        seal_key: &seal_key,
        progress: &*progress,
        run: arguments.run.as_deref(),
        trusted: &invocation.settings.retention.policy.trusted_keys,
    })?;
    drop(progress);
    let report = joined.report;
    let lasted = SignedDuration::try_from_secs_f64(report.seconds).unwrap_or_default();
    let read_from = Timestamp::now().checked_sub(lasted).ok().filter(|_| !joined.already);
    invocation.note(RunDetails { read_from, ..backup::details(&report) });
    let end = if joined.already {
        told_again(&report, invocation)
    } else {
        backup::finish(&report, &opened, invocation)
    };
    if let (Some(run), Some(next)) = (&report.run, again(&joined.wanting)) {
        let name = &run.name;
        crate::output::complain(&format!(
            "hint: run what is missing or not whole again, `ghevault backup --shard {next} --run {name}`, then `ghevault backup --join --run {name}`"
        ));
    }
    end
}

/// The shards to be run again, as the command line takes them; none when there is nothing to repeat.
fn again(wanting: &[Place]) -> Option<String> {
    const SHOWN: usize = 8;
    let (first, others) = wanting.split_first()?;
    let more: Vec<String> = others.iter().take(SHOWN - 1).map(ToString::to_string).collect();
    let left = others.len() - more.len();
    let more = more.join(", ");
    let text = match (others.len(), left) {
        (0, _) => first.to_string(),
        (_, 0) => format!("{first} (and {more})"),
        _ => format!("{first} (and {more}, and {left} more)"),
    };
    Some(text)
}

/// Tells of a snapshot that was made before.
fn told_again(report: &BackupReport, invocation: &Invocation) -> CommandResult {
    let mut value = serde_json::to_value(report).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("already_joined".into(), true.into());
    }
    invocation.screen.result(&value, || {
        let run = report.run.as_ref().map_or("", |run| run.name.as_str());
        format!("the parts of run {run} were joined before; nothing was written\n{}", backup::text(report))
    });
    match report.outcome {
        Outcome::Complete => Ok(()),
        Outcome::Partial | Outcome::Failed => Err(CommandError::already_reported(Kind::Partial)),
    }
}

/// How the run of one shard ends.
///
/// # Errors
/// Its part is not whole.
pub fn verdict(report: &BackupReport) -> CommandResult {
    if report.outcome == Outcome::Complete {
        return Ok(());
    }
    crate::output::complain(
        "the part is not whole: run the shard again, or join what there is as a partial snapshot",
    );
    Err(CommandError::already_reported(Kind::Partial))
}

/// What a report is about, in a word or two.
pub fn what(report: &BackupReport) -> String {
    match (&report.part, &report.run) {
        (Some(part), _) => format!("part {}/{} of run {},", part.index, part.count, part.run),
        (None, Some(run)) => {
            format!("joined from {} of {} parts of run {}, snapshot", run.parts.len(), run.shards, run.name)
        }
        (None, None) => "snapshot".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, again, place};

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        place(text, lookup).map(|place| place.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_index_of_a_scheduler_counts_from_nought_and_ours_from_one() {
        assert_eq!(read("2/4", &[]).as_deref(), Ok("2/4"));
        assert_eq!(read("auto/4", &[("JOB_COMPLETION_INDEX", "0")]).as_deref(), Ok("1/4"));
        assert_eq!(read("auto/4", &[("AWS_BATCH_JOB_ARRAY_INDEX", "3")]).as_deref(), Ok("4/4"));
    }

    #[test]
    fn what_is_to_be_run_again_is_a_command_line_and_not_endless() {
        let places = |count| (1..=count).map(|index| Place { index, count: 20 }).collect::<Vec<_>>();
        assert_eq!(again(&[]), None);
        assert_eq!(again(&places(1)).as_deref(), Some("1/20"));
        assert_eq!(again(&places(3)).as_deref(), Some("1/20 (and 2/20, 3/20)"));
        assert!(again(&places(20)).is_some_and(|text| text.ends_with("8/20, and 12 more)")));
    }

    #[test]
    fn an_index_that_is_missing_or_too_large_is_refused() {
        assert!(read("auto/4", &[]).is_err_and(|text| text.contains("JOB_COMPLETION_INDEX")));
        assert!(read("auto/4", &[("JOB_COMPLETION_INDEX", "4")]).is_err_and(|text| text.contains("5/4")));
        assert!(
            read("auto/4", &[("JOB_COMPLETION_INDEX", "x")]).is_err_and(|text| text.contains("no index"))
        );
        assert!(read("0/4", &[]).is_err_and(|text| text.contains("names no shard")));
    }
}
