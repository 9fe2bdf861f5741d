//! The way out when a primary is lost: look at all hosts, advise promotion or restore, promote a replica with guards.
//!
//! Looking has effects, advising has none: [`advise::advise`] turns an observation and what is known of the vault into
//! an [`advise::Advice`], so that every situation of the worst hour is a row in a test.

pub mod advise;
pub mod cluster;
pub mod observe;
pub mod promote;
pub mod repl_status;
mod sight;
pub mod traps;
pub mod ways;
