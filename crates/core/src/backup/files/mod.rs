//! The file datasets: repositories, pages, storage, hooks, search indices.
//!
//! A listing is summed up per unit while it streams by ([`survey`]); units whose sum is that of the parent snapshot are done.
//! The others are compared entry by entry with the parent's trees ([`resolve`]), what is new is fetched through one tar
//! stream ([`fetch`]), and their trees are written. Only the folders above changed units are then rewritten.

pub mod capture;
pub mod entry_node;
pub mod fetch;
pub mod list;
pub mod refs;
mod repository;
pub mod resolve;
pub mod spine;
pub mod survey;
pub mod tar_stream;
