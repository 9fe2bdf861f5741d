//! The appliance itself: where its things are, what it remembers, how it misbehaves on demand, and its commands.

pub mod commands;
pub mod faults;
pub mod log;
pub mod membership;
pub mod mssql;
pub mod place;
pub mod placement;
pub mod roster;
pub mod state;

pub use place::Place;
pub use state::State;
