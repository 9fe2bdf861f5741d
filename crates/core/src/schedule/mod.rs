//! When work is due, and what to start: pure, so that a year can be tried in a second.
//!
//! A [`Calendar`] turns written schedules into instants; [`decide`](decide::decide) looks at calendars, at what the state folder
//! remembers and at the clock, and says what to start or how long to wait. Nothing here sleeps, reads a clock or starts anything.

mod calendar;
pub mod decide;
mod moment;
pub mod outcome;
mod preset;

pub use calendar::{Activation, Calendar, ScheduleError, jitter};
