//! Slow suites: `scripts/test SUITE` runs one of them.

#[allow(dead_code, reason = "shared with the suites of the other crate")]
#[path = "../../../core/tests/suites/accounts/mod.rs"]
mod accounts;
mod accounts_board;
mod accounts_bucket;
mod accounts_crash;
mod accounts_extend;
mod accounts_keys;
mod accounts_plaintext;
mod accounts_topic;
mod containers;
mod crash;
mod crash_retention;
mod crash_shards;
mod deployment;
mod large;
mod operation;
mod operation_courtesy;
mod operation_daemon;
mod operation_monitoring;
mod operation_otlp;
mod operation_terminal;
mod proof_appliance;
mod proof_normal;
mod proof_stored;
mod storm;
#[allow(dead_code, reason = "shared with the ordinary tests")]
#[path = "../it/support/mod.rs"]
mod support;
