//! Slow suites: `scripts/test SUITE` runs one of them.

#[allow(dead_code, reason = "shared with the suites of the program")]
mod accounts;
mod accounts_faults;
mod accounts_locks;
mod accounts_s3;
mod node_faults;
#[allow(dead_code, reason = "shared with the ordinary tests")]
#[path = "../it/support/mod.rs"]
mod support;
