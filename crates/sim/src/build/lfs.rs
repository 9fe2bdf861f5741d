//! A repository whose large files are kept by LFS: pointers in its history, the objects in storage (contract §2.13).

use super::{
    git::{self, Format},
    history::History,
    layout,
    networks::odd_ids,
};
use crate::{
    appliance::{Place, state::StoredObject},
    error::SimError,
    seed::Seed,
};

/// How many of the stored objects belong to the repository.
const OBJECTS: usize = 2;

/// Makes the repository, with pointers to the first stored objects; an older commit has one of them, too.
pub(super) fn write(place: &Place, seed: &Seed, objects: &[StoredObject]) -> Result<(), SimError> {
    let id = odd_ids::LFS;
    let repository = place.repositories().join(layout::network(id)).join(format!("{id}.git"));
    git::skeleton(&repository, "odd/large-files", Format::Sha1)?;
    let mut history = History::new(seed.part("lfs"));
    history.file("refs/heads/main", ".gitattributes", b"*.bin filter=lfs diff=lfs merge=lfs -text\n");
    for object in objects.iter().take(OBJECTS) {
        history.file("refs/heads/main", "large.bin", pointer(object).as_bytes());
    }
    git::import(&repository, &history.finish(), false)
}

/// The text of a pointer.
fn pointer(object: &StoredObject) -> String {
    let StoredObject { sha256, bytes } = object;
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {bytes}\n")
}
