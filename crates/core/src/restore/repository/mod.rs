//! One repository out of a snapshot, with its wiki and its LFS objects, as something that every Git client takes: a bare repository, a
//! bundle, or a push to a new home.
//!
//! Only what the repository needs is read: [`find`] looks its path up, [`mod@plan`] lists its files and those of the store that it borrows
//! from, [`gather`](mod@gather) writes them into a private folder beside the target, `git` makes them stand alone and proves that nothing is missing,
//! and only then the result gets its name.
//!
//! Nothing of the snapshot is ever executed or obeyed: hooks, configuration and alternates stay behind, links are not followed, and `git`
//! works on a repository whose configuration is ours.

mod deliver;
pub mod error;
pub mod find;
pub mod gather;
mod git;
pub mod lfs;
pub mod plan;
mod remote;
mod run;
mod scratch;
mod store;

pub use error::RepositoryError;
pub use plan::{RepositoryPlan, plan};
pub use remote::RemoteUrl;
pub use run::{Delivered, Destination, LfsReport, RepositoryOptions, RepositoryReport, run};
pub use store::{ObjectStore, prove};

/// What a snapshot says about a repository, for [`crate::fuzzing`].
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) {
    plan::fuzz(bytes);
    let _ = lfs::pointer(bytes);
}
