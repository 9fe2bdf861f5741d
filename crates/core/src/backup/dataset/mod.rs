//! One file per dataset: what it asks of the appliance, what it promises, how it streams.

pub mod audit_log;
mod cluster;
pub mod folders;
pub mod mysql;
pub mod redis;
pub mod repositories;
pub mod secrets;
pub mod small;
