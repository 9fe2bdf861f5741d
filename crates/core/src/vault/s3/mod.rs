//! A vault in a bucket: restic's layout, so that stock restic opens it under the same name.
//!
//! Everything is created once, under a condition (`If-None-Match: *`) and with its SHA-256, and nothing is overwritten: an
//! identity that may only put, get and list makes whole backups. What is missing when something failed is a file, never
//! half of one, since an upload that breaks off leaves no object.

mod as_of;
mod attack;
mod bucket;
mod demands;
mod errors;
mod location;
mod notes;
mod own;
mod policy;
mod put;
mod store;
mod versions;

pub use attack::{AttackOutcome, AttackReport, AttackTargets, AttackTry};
pub(crate) use bucket::Bucket;
pub use demands::{Demand, DemandState};
pub use location::{S3Location, S3Settings};
pub use notes::NoteBucket;
pub use policy::PolicyFor;
