//! A promotion: guards and plan from what was seen, the run, and what is known after it.

mod aftermath;
pub mod guard;
mod primary;
pub mod report;
pub mod run;
