//! The crate as a whole against real parts: one program, for each one costs a link of everything.

mod backup_actions;
mod backup_end_to_end;
mod backup_faults;
mod backup_live;
mod backup_shards;
mod backup_trees;
mod channel_contract;
mod channel_keys;
mod golden_commands;
mod history_pages;
mod import_data;
mod import_service;
mod pure_properties;
mod restore_actions;
mod restore_appliance;
mod restore_cluster;
mod restore_export;
mod restore_failures;
mod restore_folder;
mod restore_mysql;
mod seal_format;
mod shard_failures;
#[allow(dead_code, reason = "shared with the suites")]
mod support;
mod topology_cluster;
mod topology_ha;
mod vault_copy;
mod vault_crash;
mod vault_damage;
mod vault_judges;
mod vault_keys;
mod vault_prune;
mod verify_vault;
