//! `ghevault backup`: pulls the appliance into the vault.

use super::{
    Invocation, after,
    shard::{self, ShardArgs},
    source, vault, witness,
};
use crate::{
    config::settings::BackupSource,
    error::{CommandError, CommandResult, Kind},
    output::{
        human,
        table::{self, Align},
    },
};
use clap::Args;
use ghevault_core::{
    backup::{
        self, BackupInputs, BackupReport, BackupSettings, DATASETS, DatasetReport,
        courtesy::{self, Waiting},
    },
    import::service::{self, ServiceOutcome, ServiceSettings},
    seal::Outcome,
    state::{DatasetRun, RunDetails, StateFolder},
    vault::Vault,
};
use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

/// Pull the appliance into the vault, as one snapshot.
///
/// The snapshot is sealed `complete` only if everything that was promised was delivered and stored. Otherwise it is
/// `partial` (exit code 3), names what is missing, and is never `latest`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct BackupArgs {
    /// Read everything again, trusting neither times nor listings of the last snapshot
    #[arg(long)]
    full: bool,
    /// Only this dataset; may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "skip", value_parser = dataset)]
    dataset: Vec<String>,
    /// Leave this dataset out; may be given several times, and adds to `backup.skip`
    #[arg(long, value_name = "NAME", value_parser = dataset)]
    skip: Vec<String>,
    /// What is read: the appliance's data, or the newest snapshot of its own Backup Service [default: `backup.source`]
    #[arg(long, value_name = "SOURCE", value_enum)]
    source: Option<BackupSource>,
    /// Longest wait in seconds while another account is backing up the appliance
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    turn: u32,
    /// Back up a high-availability replica, whose data trails the primary
    #[arg(long)]
    allow_replica: bool,
    /// Go on although the vault's last snapshot is of another appliance
    #[arg(long)]
    allow_other_appliance: bool,
    /// Go on although the appliance lists no repositories
    #[arg(long)]
    allow_no_repositories: bool,
    #[command(flatten)]
    shard: ShardArgs,
}

impl BackupArgs {
    /// Whether only a part of a snapshot is made.
    pub const fn is_part(&self) -> bool {
        self.shard.is_part()
    }
}

/// A dataset that exists.
pub fn dataset(text: &str) -> Result<String, String> {
    if DATASETS.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("there is no such dataset; there are: {}", DATASETS.join(", ")))
}

/// Runs a backup.
///
/// # Errors
/// There is no snapshot, or a partial one.
pub fn run(arguments: &BackupArgs, invocation: &Invocation) -> CommandResult {
    if arguments.shard.is_join() {
        return shard::join(&arguments.shard, invocation);
    }
    let allow_replica = arguments.allow_replica || invocation.settings.allow_replica;
    let source = source::open(invocation, allow_replica)?;
    let mut settings = settings(arguments, invocation, source.target.to_string())?;
    let opened = vault::open(invocation)?;
    let state = StateFolder::open(&invocation.settings.state)?;
    settings.cancel = invocation.interrupt.cooperative();
    let channel = &source.channel;
    let progress = invocation.screen.progress();
    let seal_key = invocation.seal_key()?;
    let inputs = BackupInputs {
        channel: &**channel,
        nodes: &source.nodes,
        vault: &opened,
        settings: &settings,
        state: &state,
        seal_key: &seal_key,
        progress: &*progress,
    };
    let published = || {
        witness::published_by_others(&opened, invocation).unwrap_or_else(|error| {
            tracing::warn!("checkpoints of others cannot be seen: {}", error.one_line());
            BTreeSet::new()
        })
    };
    let waiting = Waiting {
        published: &published,
        channel: &**channel,
        repositories: &format!("{}/repositories", settings.data_root),
        state: &state,
        cancel: &settings.cancel,
        progress: &*progress,
    };
    let waited = courtesy::wait(&waiting, &settings.courtesy)?;
    let source_of = arguments.source.unwrap_or(invocation.settings.backup_source);
    if settings.shard.is_some() && source_of != BackupSource::Datasets {
        return Err(CommandError::usage(
            "a snapshot of the Backup Service is taken as a whole, not by shards",
        ));
    }
    let report = match source_of {
        BackupSource::Datasets => backup::run(&inputs)?,
        BackupSource::BackupService => {
            whole_snapshots_only(arguments)?;
            let wait = invocation.settings.service_wait;
            let outcome = service::run(&inputs, &ServiceSettings { wait, ..ServiceSettings::default() })?;
            match outcome {
                ServiceOutcome::Captured(report) => *report,
                ServiceOutcome::Present { snapshot, name } => {
                    drop(progress);
                    let known = RunDetails { snapshot: Some(snapshot.clone()), ..RunDetails::default() };
                    invocation.note(known);
                    let result =
                        serde_json::json!({ "snapshot": snapshot, "outcome": "complete", "present": name });
                    invocation.screen.result(&result, || {
                        format!(
                            "snapshot `{name}` of the Backup Service is in the vault already, as {}\n",
                            snapshot.get(..8).unwrap_or(&snapshot)
                        )
                    });
                    return Ok(());
                }
            }
        }
    };
    drop(progress);
    let waited_seconds = (!waited.is_zero()).then_some(waited.as_secs_f64());
    invocation.note(RunDetails { waited_seconds, ..details(&report) });
    if report.part.is_some() {
        invocation.screen.result(&report, || text(&report));
        return shard::verdict(&report);
    }
    finish(&report, &opened, invocation)
}

/// Looks at the new snapshot, and tells all.
pub fn finish(report: &BackupReport, opened: &Vault, invocation: &Invocation) -> CommandResult {
    let looked = after::look(opened, invocation);
    let value = looked.beside(report);
    invocation.screen.result(&value, || text(report) + &looked.text());
    match report.outcome {
        Outcome::Complete => looked.verdict(),
        Outcome::Partial => {
            crate::output::complain(&format!(
                "the snapshot is partial: {}",
                report
                    .datasets
                    .iter()
                    .filter(|row| row.outcome != Outcome::Complete)
                    .map(|row| row.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            ));
            Err(CommandError::already_reported(Kind::Partial))
        }
        Outcome::Failed => Err(CommandError::already_reported(Kind::Failure)),
    }
}

/// What the history says of the run.
pub fn details(report: &BackupReport) -> RunDetails {
    let rows = &report.datasets;
    let wanting = |row: &&DatasetReport| row.outcome != Outcome::Complete;
    let reason = rows.iter().find(wanting).map(|row| match row.problems.first() {
        Some(problem) => format!("{}: {problem}", row.name),
        None => format!("{} is not complete", row.name),
    });
    RunDetails {
        snapshot: Some(report.snapshot.clone()),
        reason,
        bytes_read: Some(report.bytes_read),
        bytes_added: Some(report.bytes_added),
        gate_held_seconds: Some(report.gate_held_seconds),
        bytes_source: Some(rows.iter().map(|row| row.bytes).sum()),
        machine: Some(match &report.topology {
            Some(topology) => format!("{}, {}", report.host, topology.role),
            None => report.host.clone(),
        }),
        datasets: rows
            .iter()
            .map(|row| DatasetRun {
                name: row.name.clone(),
                outcome: vault::outcome_word(row.outcome).to_owned(),
                bytes: row.bytes,
                seconds: row.seconds,
            })
            .collect(),
        ..RunDetails::default()
    }
}

/// A snapshot of the Backup Service is taken as a whole.
fn whole_snapshots_only(arguments: &BackupArgs) -> CommandResult {
    if arguments.dataset.is_empty() && arguments.skip.is_empty() {
        return Ok(());
    }
    Err(CommandError::usage(
        "a snapshot of the Backup Service is taken as a whole; --dataset and --skip choose nothing",
    )
    .hint("Leave them out, or give `--source datasets`."))
}

/// The core's settings of this run.
fn settings(arguments: &BackupArgs, invocation: &Invocation, host: String) -> CommandResult<BackupSettings> {
    let merged = &invocation.settings;
    let mut skip: BTreeSet<String> = merged.backup_skip.iter().chain(&arguments.skip).cloned().collect();
    if let Some(unknown) = skip.iter().find(|name| dataset(name).is_err()) {
        return Err(CommandError::usage(format!("`backup.skip` names the unknown dataset `{unknown}`"))
            .hint(format!("Datasets: {}.", DATASETS.join(", "))));
    }
    if !arguments.dataset.is_empty() {
        skip.extend(DATASETS.iter().map(ToString::to_string));
        skip.retain(|name| !arguments.dataset.contains(name));
    }
    let mut settings = BackupSettings::new(host);
    settings.nice.clone_from(&merged.niceness);
    settings.skip = skip;
    settings.full = arguments.full;
    settings.allow_replica = arguments.allow_replica || merged.allow_replica;
    settings.allow_other_appliance = arguments.allow_other_appliance;
    settings.allow_no_repositories = arguments.allow_no_repositories;
    settings.mssql_cadence = merged.mssql_cadence;
    settings.unset_secrets = merged.unset_secrets.iter().cloned().collect();
    settings.external_mysql_script.clone_from(&merged.external_mysql_script);
    settings.drain_s = merged.drain.as_secs();
    settings.courtesy.turn = Duration::from_secs(arguments.turn.into());
    settings.courtesy.load_max = merged.load_max;
    settings.courtesy.backlog_max = merged.backlog_max;
    settings.courtesy.load_wait = merged.load_wait;
    settings.shard = arguments.shard.shard()?;
    Ok(settings)
}

/// The report for people.
pub fn text(report: &BackupReport) -> String {
    let time = human::seconds;
    let rows: Vec<[String; 7]> = report
        .datasets
        .iter()
        .map(|row| {
            [
                row.name.clone(),
                vault::outcome_word(row.outcome).to_owned(),
                human::count(row.items),
                human::bytes(row.bytes),
                human::bytes(row.bytes_read),
                human::count(row.files_changed),
                time(row.seconds),
            ]
        })
        .collect();
    let columns = [
        ("dataset", Align::Left),
        ("outcome", Align::Left),
        ("items", Align::Right),
        ("size", Align::Right),
        ("read", Align::Right),
        ("changed", Align::Right),
        ("time", Align::Right),
    ];
    let mut text = table::render(columns, &rows);
    for row in &report.datasets {
        for problem in &row.problems {
            let _ = writeln!(text, "{}: {problem}", row.name);
        }
    }
    if let Some(topology) = &report.topology {
        let _ = writeln!(text, "{} was backed up, as {}", report.host, topology.role);
        for node in &topology.nodes {
            if let Some(trouble) = &node.trouble {
                let _ = writeln!(text, "{}: {trouble}", node.name);
            }
        }
    }
    for warning in &report.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    let _ = writeln!(
        text,
        "\n{} {} is {}: read {}, added {} to the vault, {} files changed, maintenance paused for {}, all in {}",
        shard::what(report),
        report.snapshot.get(..8).unwrap_or(&report.snapshot),
        vault::outcome_word(report.outcome),
        human::bytes(report.bytes_read),
        human::bytes(report.bytes_added),
        human::count(report.files_changed),
        time(report.gate_held_seconds),
        time(report.seconds),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::dataset;

    #[test]
    fn an_unknown_dataset_is_refused_with_the_list() {
        assert_eq!(dataset("pages").as_deref(), Ok("pages"));
        assert!(dataset("page").is_err_and(|text| text.contains("repositories")));
    }
}
