//! What tests of the whole crate share.

pub mod bench;
pub mod cluster;
pub mod cluster_target;
pub mod sshd;
pub mod stock;
pub mod target;
pub mod vaults;
pub mod wire;
