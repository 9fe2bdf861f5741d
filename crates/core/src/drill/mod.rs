//! A drill: a snapshot is given back into a scratch place, by the reader that a restore uses, and what came out is proven by
//! the programs that will have to live with it: git, a database server, Redis' own checker, tar, openssl.
//!
//! A proof that needs a program which this host does not have is *not proven*, never passed. The time that a drill takes
//! is what is known of the time that a restore would take.

mod archives;
mod database;
mod programs;
mod redis;
mod report;
mod repositories;
mod run;
mod secrets;
mod storage;

pub use report::{DrillDepth, DrillReport, DrillVerdict, Proof, ProofState, SignedReport};
pub use run::{DrillError, DrillOptions, run};

/// Finds certificates, for [`crate::fuzzing`].
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(text: &str) {
    assert!(archives::certificates_in(text).iter().all(|found| text.contains(found.trim_end_matches('\n'))));
}
