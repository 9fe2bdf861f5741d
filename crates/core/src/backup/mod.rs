//! Pulling: a plan from facts and the last snapshot, a run that carries it out, a tally that says what it is worth.

pub mod unit;
