//! The status page: HTML out of a [`StatusReport`](ghevault_core::status::StatusReport), without scripts, for any screen.

mod growth;
mod heat;
mod page;
mod proof;

pub use page::page;
