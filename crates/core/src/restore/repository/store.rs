//! The objects of a repository as git can ask them, without its references.

use std::path::Path;

use super::{
    RepositoryError, RepositoryPlan, find::Named, gather::gather, git, git::Git, plan, scratch::Scratch,
};
use crate::{
    progress::{Progress, Silent},
    restore::view::SnapshotView,
};

/// A private folder with the objects of one repository in one snapshot; it goes away with the value.
pub struct ObjectStore {
    git: Git,
    _scratch: Scratch,
}

impl std::fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectStore").field("git", &self.git).finish_non_exhaustive()
    }
}

/// Puts a repository together below `scratch`, as a restore would, proves that it is whole, and throws it away. Returns the
/// bytes that were read.
///
/// # Errors
/// It cannot be read, or it is not whole.
pub fn prove(view: SnapshotView<'_>, named: &Named, scratch: &Path) -> Result<u64, RepositoryError> {
    let plan = plan(view, named)?;
    let store = ObjectStore::gather(view, &plan, scratch, &Silent)?;
    gather(view, &plan.name, &plan.refs, &store.git.folder, &Silent)?;
    store.git.prove()?;
    Ok(plan.bytes())
}

impl ObjectStore {
    /// Gathers the objects of a plan, those that it borrows too, into a private folder below `scratch`.
    ///
    /// # Errors
    /// They cannot be read, or the folder cannot be written.
    pub fn gather(
        view: SnapshotView<'_>,
        plan: &RepositoryPlan,
        scratch: &Path,
        progress: &dyn Progress,
    ) -> Result<Self, RepositoryError> {
        git::present()?;
        let scratch = Scratch::below(scratch)?;
        let folder = scratch.path().join("objects.git");
        let git = Git::init(&folder, plan)?;
        gather(view, &plan.name, &plan.objects, &folder, progress)?;
        if !plan.borrowed.is_empty() {
            gather(view, &plan.name, &plan.borrowed, &scratch.path().join("network"), progress)?;
            git.borrow("../../network/objects")?;
        }
        Ok(Self { git, _scratch: scratch })
    }

    /// Whether commit `new` has `old` among its ancestors (or is it); `None` when `new` is not here. The history of a
    /// commit is here when the commit is, so an `old` that is not here is no ancestor.
    ///
    /// # Errors
    /// git fails, or one of them is no commit.
    pub fn follows(&self, old: &str, new: &str) -> Result<Option<bool>, RepositoryError> {
        if !self.has(new)? {
            return Ok(None);
        }
        if !self.has(old)? {
            return Ok(Some(false));
        }
        let mut command = self.git.command();
        command.args(["merge-base", "--is-ancestor", old, new]);
        let out = git::output(&mut command, &[])?;
        match out.status.code() {
            Some(0) => Ok(Some(true)),
            Some(1) => Ok(Some(false)),
            _ => Err(self.git.failed("merge-base", &out)),
        }
    }

    fn has(&self, object: &str) -> Result<bool, RepositoryError> {
        let mut command = self.git.command();
        Ok(git::output(command.args(["cat-file", "-e", object]), &[])?.status.success())
    }
}
