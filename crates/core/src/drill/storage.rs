//! Objects that are named by what they hold (LFS, attachments, avatars): is it what they are named for?

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::report::{Proof, ProofState};
use crate::restore::{
    entry::show,
    view::{SnapshotView, ViewError},
};

struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a name is a SHA-256.
fn is_hash(name: &[u8]) -> bool {
    name.len() == 64 && name.iter().all(u8::is_ascii_hexdigit)
}

/// Proves objects for which `chosen` says so; also returns the bytes that were read.
pub(super) fn prove(view: SnapshotView<'_>, chosen: &dyn Fn(&[u8]) -> bool) -> (Proof, u64) {
    let part = "storage";
    let (mut all, mut looked, mut bytes) = (0, 0, 0);
    let mut problems = Vec::new();
    let walked = match view.find(b"storage") {
        Ok(None) => return (Proof::new(part, ProofState::Absent, "the snapshot has no storage"), 0),
        Err(error) => Err(error),
        Ok(Some(top)) => view.walk::<ViewError>(b"storage", &top.kind, &mut |path, entry| {
            if entry.is_file() && is_hash(&entry.name) {
                all += 1;
                if chosen(path) {
                    looked += 1;
                    let mut out = Hashing(Sha256::new());
                    match view.dump(path, entry, &mut out) {
                        Ok(size) => {
                            bytes += size;
                            let digest = hex::encode(out.0.finalize());
                            if digest.as_bytes() != &entry.name[..] {
                                problems.push(format!("{}: its content has the hash {digest}", show(path)));
                            }
                        }
                        Err(error) => problems.push(error.to_string()),
                    }
                }
            }
            Ok(true)
        }),
    };
    if let Err(error) = walked {
        problems.push(error.to_string());
    }
    (Proof::judged(part, looked, all, "objects have the hashes that are their names", problems), bytes)
}
