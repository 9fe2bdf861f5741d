//! The ways in: an embedded SSH server that needs nothing installed, and a real OpenSSH `sshd` in its own namespace.

pub mod door;
pub mod embedded;
pub mod keys;
pub mod namespace;
pub mod port;
pub mod rewrite;
pub mod shims;
pub mod sshd;
