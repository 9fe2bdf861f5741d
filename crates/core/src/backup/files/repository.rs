//! What a capture notes of a repository beside its bytes: where its references point, and what it is called.

use super::{
    capture::Content,
    fetch::Fate,
    refs::{self, Refs},
    resolve::{Child, Pending},
};
use crate::{
    backup::{context::Context, names, unit::is_repository},
    vault::{Node, VaultError},
};

impl Context<'_> {
    /// The digest over a repository's references; none for other units.
    pub(super) fn ref_digest(
        &self,
        path: &[u8],
        pending: &Pending,
        contents: &[Fate<Content>],
    ) -> Result<Option<[u8; 32]>, VaultError> {
        if !is_repository(path) {
            return Ok(None);
        }
        let read = |node: &Node| self.known_bytes(node);
        Ok(Some(Refs::of(pending, contents, &read)?.digest()))
    }

    /// What a repository is called; nothing for other units.
    pub(super) fn name(
        &self,
        path: &[u8],
        pending: &Pending,
        contents: &[Fate<Content>],
    ) -> Result<Option<String>, VaultError> {
        if !is_repository(path) {
            return Ok(None);
        }
        let file = pending.at(names::FILE).filter(|child| !matches!(child, Child::Folder(_)));
        let nwo = match file {
            Some(Child::Ready(node)) if node.meta.size > names::BYTES_MAX => None,
            Some(child) => Some(refs::content_of(child, contents, &|node| self.known_bytes(node))?),
            None => None,
        };
        Ok(names::indexed(path, nwo.as_deref()))
    }

    /// The content of a file that the parent snapshot has.
    fn known_bytes(&self, node: &Node) -> Result<Vec<u8>, VaultError> {
        let mut bytes = Vec::new();
        for id in node.content.iter().flatten() {
            bytes.extend_from_slice(&self.reader.data_blob(id)?);
        }
        Ok(bytes)
    }
}
