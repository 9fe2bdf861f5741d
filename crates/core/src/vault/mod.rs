//! (under construction)
pub use rustic_core::TreeId;
pub use rustic_core::repofile::{Metadata, Node, NodeType};
