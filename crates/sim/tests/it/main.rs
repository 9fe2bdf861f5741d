//! The simulated appliance, asked as its users ask it.

mod actions;
mod commands;
mod doors;
mod fleet;
mod life;
mod support;
