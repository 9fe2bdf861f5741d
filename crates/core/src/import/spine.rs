//! The folders above the units of a snapshot directory, stray files in them, and whole folders that have no units.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    folder::FolderError,
    tree::{Builder, Built, with_content},
};
use crate::{
    appliance::listing::{Entry, Kind},
    backup::{
        files::{
            entry_node::node_of,
            fetch::Wanted,
            survey::{Survey, Surveyed},
        },
        unit::unit_of,
    },
    vault::Node,
};

impl Builder<'_> {
    /// Takes what stands above the units and differs from the parent.
    ///
    /// # Errors
    /// The vault, or the directory as a whole.
    pub(super) fn take_spine(&self, survey: &mut Survey, built: &mut Built) -> Result<(), FolderError> {
        let changed: Vec<(&Vec<u8>, &Surveyed)> =
            survey.units.iter().filter(|(path, unit)| unit.changed() && unit_of(path, true).spine).collect();
        let mut folders: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> = BTreeMap::new();
        let mut strays: Vec<Entry> = Vec::new();
        for (_, unit) in &changed {
            for entry in unit.entries()? {
                if entry.kind == Kind::Folder {
                    self.describe(&entry, built);
                    folders.insert(entry.path, BTreeSet::new());
                } else {
                    strays.push(entry);
                }
            }
        }
        let named: Vec<Vec<u8>> =
            folders.keys().chain(strays.iter().map(|entry| &entry.path)).cloned().collect();
        for path in survey.units.keys().chain(&named) {
            if let Some(at) = memchr::memrchr(b'/', path)
                && let Some(names) = folders.get_mut(&path[..at])
            {
                names.insert(path[at + 1..].to_vec());
            }
        }
        for (folder, names) in &folders {
            built.graft.remove.extend(self.gone_from(folder, names)?);
        }
        for (file, well) in self.take_strays(&strays, built)? {
            if !well && let Some(group) = survey.units.get_mut(&file[..unit_of(&file, false).len]) {
                // A digest that no listing has: the next run takes the group again.
                group.digest = [0; 16];
            }
        }
        Ok(())
    }

    /// Puts single files and links into the graft; says of each file that was read whether all went well.
    fn take_strays(&self, strays: &[Entry], built: &mut Built) -> Result<Vec<(Vec<u8>, bool)>, FolderError> {
        let (mut wanted, mut nodes) = (Vec::new(), Vec::new());
        for stray in strays {
            let mut node = node_of(stray, self.owners);
            if node.is_file() {
                if let Some(content) = self.same_as_parent(stray, &node)? {
                    node.content = Some(content);
                } else if stray.size > 0 {
                    wanted.push(Wanted { path: stray.path.clone(), size: stray.size });
                    nodes.push(node);
                    continue;
                } else {
                    node.content = Some(Vec::new());
                }
            }
            built.graft.replace.insert(stray.path.clone(), node);
        }
        let mut fates = self.read(&wanted, built)?;
        let mut ends = Vec::new();
        for ((file, node), fate) in wanted.into_iter().zip(nodes).zip(&mut fates) {
            let well = Self::note_trouble(std::slice::from_ref(&file), std::slice::from_ref(fate), built);
            if let Some(node) = with_content(node, fate) {
                built.graft.replace.insert(file.path.clone(), node);
            }
            ends.push((file.path, well));
        }
        Ok(ends)
    }

    /// The content of a file that the parent has with the same facts.
    fn same_as_parent(
        &self,
        entry: &Entry,
        new: &Node,
    ) -> Result<Option<Vec<crate::vault::DataId>>, FolderError> {
        let old = self.parent_node(&entry.path)?.filter(|old| {
            let (old, new) = (&old.meta, &new.meta);
            old.size == new.size && old.mtime == new.mtime && old.inode == new.inode && old.ctime == new.ctime
        });
        Ok(old.and_then(|old| old.content))
    }

    /// Entries that the parent has in a folder and that are not among `names`.
    pub(super) fn gone_from(
        &self,
        folder: &[u8],
        names: &BTreeSet<Vec<u8>>,
    ) -> Result<Vec<Vec<u8>>, FolderError> {
        use std::os::unix::ffi::OsStrExt;
        let tree = if folder.is_empty() {
            self.parent
        } else {
            self.parent_node(folder)?.and_then(|node| node.subtree)
        };
        let Some(tree) = tree else { return Ok(Vec::new()) };
        let nodes = self.reader.tree(&tree)?.nodes;
        let gone =
            nodes.iter().map(|node| node.name().as_bytes().to_vec()).filter(|name| !names.contains(name));
        Ok(gone.map(|name| if folder.is_empty() { name } else { [folder, b"/", &name].concat() }).collect())
    }
}
