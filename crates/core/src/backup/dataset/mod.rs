//! One file per dataset: what it asks of the appliance, what it promises, how it streams.

pub mod audit_log;
mod cluster;
pub mod folders;
pub mod mssql;
pub mod mysql;
pub mod redis;
pub mod repositories;
pub mod secrets;
pub mod small;

use super::context::{CaptureError, Captured, Context};

/// A dataset that the appliance does not have: what an earlier snapshot has of it goes.
///
/// # Errors
/// The vault cannot be read.
fn left_behind(ctx: &Context<'_>, paths: &[&str]) -> Result<Captured, CaptureError> {
    let mut captured = Captured::default();
    for path in paths {
        if ctx.parent_node(path.as_bytes())?.is_some() {
            captured.remove.insert(path.as_bytes().to_vec());
        }
    }
    Ok(captured)
}
