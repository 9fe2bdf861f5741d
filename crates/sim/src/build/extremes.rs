//! Extremes on demand: very many networks, and one very large pack.

use std::{fs, io::Write, path::Path, process::Stdio};

use super::{
    Scale,
    git::{self, Format},
    layout,
};
use crate::{
    appliance::Place,
    error::{OnFile, SimError},
    seed::Seed,
};

/// Id of the first copy; the others follow.
pub const FIRST_COPY: u64 = 1_000_001;
/// Id of the repository with the large pack.
pub const BIG_PACK: u64 = 100_010;

pub(super) fn write(place: &Place, seed: &Seed, scale: Scale) -> Result<(), SimError> {
    let root = place.repositories();
    let template = root.join(layout::network(1));
    for id in FIRST_COPY..FIRST_COPY + scale.copies {
        let target = root.join(layout::network(id));
        copy(&template, &target)?;
        fs::rename(target.join("1.git"), target.join(format!("{id}.git"))).on("rename in", &target)?;
        fs::rename(target.join("1.wiki.git"), target.join(format!("{id}.wiki.git")))
            .on("rename in", &target)?;
    }
    if scale.big_pack_bytes > 0 {
        big_pack(&root.join(layout::network(BIG_PACK)), &mut seed.part("big pack"), scale.big_pack_bytes)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), SimError> {
    fs::create_dir_all(to).on("create", to)?;
    for entry in fs::read_dir(from).on("list", from)? {
        let entry = entry.on("list", from)?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().on("inspect", &path)?;
        if kind.is_dir() {
            copy(&path, &target)?;
        } else if kind.is_symlink() {
            let link = fs::read_link(&path).on("read", &path)?;
            std::os::unix::fs::symlink(link, &target).on("link", &target)?;
        } else {
            fs::copy(&path, &target).on("copy", &target)?;
        }
    }
    Ok(())
}

/// One commit with one file of `bytes` random bytes, streamed so that memory does not matter.
fn big_pack(network: &Path, seed: &mut Seed, bytes: u64) -> Result<(), SimError> {
    let repository = network.join(format!("{BIG_PACK}.git"));
    git::skeleton(&repository, "odd/big", Format::Sha1)?;
    let mut child = git::git(&repository)
        .args([
            "-c",
            "fastimport.unpackLimit=0",
            "-c",
            "core.compression=0",
            "-c",
            "core.bigFileThreshold=1m",
        ])
        .args(["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .on("run", "git")?;
    let write = |stdin: &mut dyn Write, seed: &mut Seed| -> std::io::Result<()> {
        let head =
            "commit refs/heads/main\ncommitter Mona <mona@example.com> 1690000000 +0000\ndata 3\nbig\n";
        stdin.write_all(format!("{head}M 100644 inline big.bin\ndata {bytes}\n").as_bytes())?;
        let mut left = bytes;
        while left > 0 {
            let piece = left.min(1 << 20);
            stdin.write_all(&seed.bytes(usize::try_from(piece).unwrap_or(0)))?;
            left -= piece;
        }
        stdin.write_all(b"\ndone\n")
    };
    if let Some(mut stdin) = child.stdin.take() {
        write(&mut stdin, seed).on("write to", "git fast-import")?;
    }
    let status = child.wait().on("wait for", "git")?;
    if status.success() {
        return Ok(());
    }
    Err(SimError::Program { program: "git fast-import".to_owned(), reason: status.to_string() })
}
