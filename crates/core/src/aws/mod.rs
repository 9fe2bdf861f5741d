//! AWS: the role that this host has, its region, and one HTTP stack for every service.
//!
//! Credentials come from the chain of the SDK (environment, profile, web identity, container, instance role over IMDSv2),
//! never from a file of ours. The region comes from the settings, the environment, or the instance's metadata, in that
//! order; nobody guesses one.

mod failure;
mod session;
mod topic;

pub use failure::{AwsFailure, FailureKind};
pub use session::{Aws, AwsSettings, Identity};
pub use topic::Topic;
