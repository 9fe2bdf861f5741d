//! Every verb as its users meet it: exit codes, JSON, hints. One program, for each one costs a link of everything.

mod about_command;
mod advise_command;
mod backup_command;
mod configuration;
mod copy_command;
mod daemon_command;
mod doctor_command;
mod documentation;
mod drill_command;
mod export_command;
mod failover_command;
mod forget_command;
mod gate_command;
mod import_command;
mod init_command;
mod key_command;
mod metrics_otlp;
mod notify_command;
mod notify_mail;
mod refs_command;
mod repair_command;
mod restore_command;
mod restore_repo_command;
mod schedule_command;
mod seal_key;
mod shard_command;
mod snapshots_command;
mod status_command;
#[allow(dead_code, reason = "shared with the suites")]
mod support;
mod trust_command;
mod vault_compatibility;
mod verify_command;
mod witness_command;
mod witness_http;
