//! The living appliance: writes to repositories, gists, pages and storage, and maintenance that respects the gate.

pub mod deletion;
pub mod growth;
pub mod journal;
pub mod life;
pub mod moment;
pub mod objects;
pub mod push;
pub mod refs;
pub mod worker;

pub use life::Life;
