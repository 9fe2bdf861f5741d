//! Reads a vault: blobs, trees, files. Restore, export, verify and drill all read through this.
//!
//! Every blob is authenticated, decompressed and hashed before a byte of it is handed on: encryption alone would accept
//! a blob that was swapped for another one of the same vault.

use super::{
    crypt::Cipher,
    error::{VaultError, VaultResult},
    format::{PLAIN_BYTES_MAX, PackedBlob, decompress, hash},
    index::{Index, Location},
    store::{Store, file_name},
    tree_cache::TreeCache,
    tree_json::disorder,
};
use rustic_core::{
    DataId, Id, TreeId,
    repofile::{BlobType, FileType, Metadata, Node, NodeType, Tree},
};
use std::{
    ffi::OsStr,
    io::{self, Read, Write},
    os::unix::ffi::OsStrExt,
    sync::{Arc, Mutex, PoisonError},
};

/// A vault with its index loaded. Cheap to clone and to share. Shows what was there when it was made.
#[derive(Clone)]
pub struct VaultReader {
    pub(super) store: Arc<dyn Store>,
    pub(super) cipher: Arc<Cipher>,
    pub(super) index: Arc<Index>,
    trees: Arc<TreeCache>,
    /// The index as it was read again when a pack was gone.
    newer: Arc<Mutex<Option<Arc<Index>>>>,
}

/// Word for a kind of blob in messages.
pub(super) fn blob_word(kind: BlobType) -> &'static str {
    match kind {
        BlobType::Tree => "tree",
        BlobType::Data => "data blob",
    }
}

/// Authenticates and unpacks a blob that was read from a pack.
pub(super) fn open_blob(
    cipher: &Cipher,
    kind: BlobType,
    id: &Id,
    at: &Location,
    sealed: &[u8],
) -> VaultResult<Vec<u8>> {
    let damaged = |why: &str| {
        let file = file_name(FileType::Pack, &at.pack);
        let (what, id) = (blob_word(kind), id.to_hex());
        VaultError::damaged("pack", file, format!("{what} {} at byte {}: {why}", &*id, at.offset))
    };
    let mut plain = cipher.open(sealed).ok_or_else(|| damaged("it fails authentication"))?;
    if at.plain_length > 0 {
        let length = at.plain_length as usize;
        plain = decompress(&plain, length.min(PLAIN_BYTES_MAX))
            .ok_or_else(|| damaged("it does not decompress"))?;
    }
    if hash(&plain) != *id {
        return Err(damaged("its content does not have the hash that is its name"));
    }
    Ok(plain)
}

/// The same, out of a whole pack.
pub(super) fn open_in_pack(
    cipher: &Cipher,
    pack: &Id,
    bytes: &[u8],
    blob: &PackedBlob,
) -> VaultResult<Vec<u8>> {
    let PackedBlob { kind, id, offset, length, plain_length } = *blob;
    let start = offset as usize;
    let sealed = bytes.get(start..start + length as usize).ok_or_else(|| {
        VaultError::damaged("pack", file_name(FileType::Pack, pack), "it is too short for its blobs")
    })?;
    open_blob(cipher, kind, &id, &Location { pack: *pack, offset, length, plain_length }, sealed)
}

impl VaultReader {
    pub(super) fn new(store: Arc<dyn Store>, cipher: Arc<Cipher>, index: Arc<Index>) -> Self {
        Self { store, cipher, index, trees: Arc::default(), newer: Arc::default() }
    }

    /// A blob of any kind.
    pub(super) fn blob(&self, kind: BlobType, id: &Id) -> VaultResult<Vec<u8>> {
        let at = self
            .index
            .locate(kind, id)
            .ok_or_else(|| VaultError::Missing { what: blob_word(kind), id: id.to_hex().to_string() })?;
        match self.blob_at(kind, id, &at) {
            Err(error) if self.is_gone(&at.pack) => {
                self.blob_elsewhere(kind, id, &at.pack).unwrap_or(Err(error))
            }
            read => read,
        }
    }

    fn blob_at(&self, kind: BlobType, id: &Id, at: &Location) -> VaultResult<Vec<u8>> {
        let sealed = self.store.read_part(FileType::Pack, &at.pack, at.offset.into(), at.length as usize)?;
        open_blob(&self.cipher, kind, id, at, &sealed)
    }

    fn is_gone(&self, pack: &Id) -> bool {
        self.store.exists(FileType::Pack, pack).is_ok_and(|there| !there)
    }

    /// A prune that runs beside us packs anew what is still needed: the index as it is now says where it went.
    fn blob_elsewhere(&self, kind: BlobType, id: &Id, gone: &Id) -> Option<VaultResult<Vec<u8>>> {
        let mut newer = self.newer.lock().unwrap_or_else(PoisonError::into_inner);
        let known = newer.as_ref().and_then(|index| index.locate(kind, id));
        let at = if let Some(at) = known.filter(|at| at.pack != *gone && !self.is_gone(&at.pack)) {
            at
        } else {
            let index = Arc::new(Index::load(&*self.store, &self.cipher).ok()?);
            newer.insert(index).locate(kind, id).filter(|at| at.pack != *gone)?
        };
        drop(newer);
        Some(self.blob_at(kind, id, &at))
    }

    /// A blob of file content.
    ///
    /// # Errors
    /// [`VaultError::Missing`], [`VaultError::Damaged`], or the store's.
    pub fn data_blob(&self, id: &DataId) -> VaultResult<Vec<u8>> {
        self.blob(BlobType::Data, id)
    }

    /// A folder.
    ///
    /// # Errors
    /// As [`VaultReader::data_blob`].
    pub fn tree(&self, id: &TreeId) -> VaultResult<Tree> {
        let json = self.blob(BlobType::Tree, id)?;
        let damaged = |why: String| VaultError::damaged("tree", id.to_hex().to_string(), why);
        let tree: Tree =
            serde_json::from_slice(&json).map_err(|e| damaged(format!("it does not parse: {e}")))?;
        // restore joins these names to a path: one that leads elsewhere must not get there
        match disorder(&tree.nodes, false) {
            Some(why) => Err(damaged(why)),
            None => Ok(tree),
        }
    }

    /// A folder, kept in memory for a while: for look-ups that come again to the same folders.
    ///
    /// # Errors
    /// As [`VaultReader::data_blob`].
    pub fn shared_tree(&self, id: &TreeId) -> VaultResult<Arc<Tree>> {
        self.trees.get(id, || self.tree(id))
    }

    /// Whether the index knows this data blob.
    #[must_use]
    pub fn contains_data(&self, id: &DataId) -> bool {
        self.index.has(BlobType::Data, id)
    }

    /// Whether the index knows this tree.
    #[must_use]
    pub fn contains_tree(&self, id: &TreeId) -> bool {
        self.index.has(BlobType::Tree, id)
    }

    /// Plain size in bytes of a data blob, from the index alone.
    #[must_use]
    pub fn data_size(&self, id: &DataId) -> Option<u64> {
        self.index.locate(BlobType::Data, id).map(|at| at.plain_size())
    }

    /// Number of trees and of data blobs in the index.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.index.count(BlobType::Tree), self.index.count(BlobType::Data))
    }

    /// The entry at `path` below `root` (`/` between names, none in front needed); the root itself for an empty path.
    ///
    /// `None` when there is no such entry.
    ///
    /// # Errors
    /// As [`VaultReader::tree`].
    pub fn node_at(&self, root: TreeId, path: impl AsRef<[u8]>) -> VaultResult<Option<Node>> {
        let mut node = Node::new_node(OsStr::new(""), NodeType::Dir, Metadata::default());
        node.subtree = Some(root);
        for name in path.as_ref().split(|b| *b == b'/').filter(|n| !n.is_empty()) {
            let Some(subtree) = node.subtree else { return Ok(None) };
            let name = OsStr::from_bytes(name);
            match self.shared_tree(&subtree)?.nodes.iter().find(|n| n.name() == name) {
                Some(found) => node = found.clone(),
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    /// All entries below `root`, depth first, in the order of their names; a folder before what is in it.
    #[must_use]
    pub fn walk(&self, root: TreeId) -> super::walk::Walk {
        super::walk::Walk::new(self.clone(), root)
    }

    /// The content of a file as a stream; each read hands on authenticated bytes only.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] when the node is no file.
    pub fn read_file(&self, node: &Node) -> VaultResult<FileReader> {
        if !node.is_file() {
            return Err(VaultError::Invalid(format!("a {} has no content", node.node_type)));
        }
        let blobs = node.content.clone().unwrap_or_default().into_iter();
        Ok(FileReader { reader: self.clone(), blobs, current: io::Cursor::default() })
    }

    /// Writes a file's content to `into`, reading ahead on several threads; returns its size in bytes.
    ///
    /// # Errors
    /// [`VaultError::Stream`] when `into` fails; else as [`VaultReader::data_blob`]. What was written before the error
    /// is authentic.
    pub fn dump(&self, node: &Node, into: &mut dyn Write) -> VaultResult<u64> {
        let mut file = self.read_file(node)?;
        if file.blobs.len() > 1 {
            return super::ahead::dump_ahead(self, node.content.as_deref().unwrap_or_default(), into);
        }
        let mut size = 0;
        while let Some(blob) = file.next_blob()? {
            into.write_all(&blob).map_err(|e| VaultError::Stream(Arc::new(e)))?;
            size += blob.len() as u64;
        }
        Ok(size)
    }
}

/// A file's content, blob after blob. An error of the vault comes as [`io::Error`] with the [`VaultError`] inside.
pub struct FileReader {
    reader: VaultReader,
    blobs: std::vec::IntoIter<DataId>,
    current: io::Cursor<Vec<u8>>,
}

impl FileReader {
    fn next_blob(&mut self) -> VaultResult<Option<Vec<u8>>> {
        self.blobs.next().map(|id| self.reader.data_blob(&id)).transpose()
    }
}

impl Read for FileReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            match self.current.read(into)? {
                0 => match self.next_blob().map_err(io::Error::other)? {
                    Some(blob) => self.current = io::Cursor::new(blob),
                    None => return Ok(0),
                },
                read => return Ok(read),
            }
        }
    }
}
