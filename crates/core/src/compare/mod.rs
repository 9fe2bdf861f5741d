//! Two vaults of one appliance side by side: who saw which reference where, and what time does not explain.
//!
//! Each vault looked on its own, at its own moments. A [`Look`] is one snapshot of one side. What one side saw between two
//! looks of the other must be what the other saw before or after, or lie on a way forward between the two; that is asked of
//! the captured commits. The other side is a vault that can be read, or the ref [sheets](Sheet) that it published: signed,
//! with keyed hashes in place of names.
//!
//! Storyline: [`VaultSide`], [`BoardSide`] → [`compare()`] → [`judge()`] → [`Disagreement`].

mod blind;
mod board_side;
mod error;
mod judge;
mod pass;
mod recent;
mod sheet;
mod side;
mod vault_side;

pub use blind::{Blind, ReferenceKey, RepositoryKey};
pub use board_side::{BoardSide, SheetFinding, publish_sheets};
pub use error::CompareError;
pub use judge::{Class, Seen, Verdict, Window, judge};
pub use pass::{CompareOptions, Comparison, Disagreement, Severity, compare};
pub use sheet::{RepositoryState, Sheet, folder};
pub use side::{Look, Side, Table};
pub use vault_side::VaultSide;
