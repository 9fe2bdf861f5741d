//! The time machine: where each reference pointed at each snapshot, and what is different between two snapshots.
//!
//! A snapshot holds the references of every repository as files, and a digest over them in its pages, so a hundred hourly
//! snapshots of which one in a hundred repositories changed cost what changed. A repository whose digest is the same as
//! before is not looked at. What a move of a reference means (forward, or history rewritten) is asked of the commits that
//! were captured, never guessed from names or times.

pub mod admins;
pub mod ancestry;
pub mod diff;
pub mod error;
pub mod moves;
pub mod refs;
pub mod table;

pub use ancestry::{Ancestry, Relation};
pub use error::HistoryError;
pub use moves::{Move, MoveKind};
pub use refs::{Moment, RefHistory, Step};
pub use table::RefTable;
