//! File trees: the same names, kinds, modes, link targets and bytes.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{Aspects, Finding};
use crate::{
    appliance::Place,
    build::actions::{MINIO_SYSTEM, TRANSIENT},
    error::{OnFile, SimError},
};

/// Whether a path (relative to the tree) belongs to the dataset.
type Belongs = fn(&Path) -> bool;

pub(super) fn networks(a: &Place, b: &Place, aspects: &Aspects) -> Result<Finding, SimError> {
    trees(a, b, "/data/user/repositories", aspects, |path| part(path, 1) == "nw" && !in_transit(path))
}

pub(super) fn gists(a: &Place, b: &Place, aspects: &Aspects) -> Result<Finding, SimError> {
    trees(a, b, "/data/user/repositories", aspects, |path| part(path, 4) == "gist" && !in_transit(path))
}

/// Layout marks.
pub(super) fn layout(a: &Place, b: &Place, aspects: &Aspects) -> Result<Finding, SimError> {
    trees(a, b, "/data/user/repositories", aspects, |path| {
        part(path, 0) == "info" && part(path, 1) != "lost+found"
    })
}

/// Deleted repositories and the like, without caches.
pub(super) fn special(a: &Place, b: &Place, aspects: &Aspects) -> Result<Finding, SimError> {
    trees(a, b, "/data/user/repositories", aspects, |path| {
        let first = part(path, 0);
        let cache = matches!(first.as_str(), "__nodeload_archives__" | "__gitmon__" | "__render__");
        first.starts_with("__") && !cache
    })
}

pub(super) fn pages(a: &Place, b: &Place, aspects: &Aspects) -> Result<Finding, SimError> {
    trees(a, b, "/data/user/pages", aspects, |path| !part(path, 4).is_empty())
}

pub(super) fn storage(a: &Place, b: &Place, aspects: &Aspects) -> Result<Finding, SimError> {
    trees(a, b, "/data/user/storage", aspects, |path| !part(path, 3).is_empty())
}

pub(super) fn git_hooks(a: &Place, b: &Place, aspects: &Aspects) -> Result<Finding, SimError> {
    trees(a, b, "/data/user/git-hooks", aspects, |path| {
        part(path, 0) == "repos" || path.starts_with("environments/tarballs")
    })
}

pub(super) fn elasticsearch(a: &Place, b: &Place, aspects: &Aspects) -> Result<Finding, SimError> {
    trees(a, b, "/data/user/elasticsearch", aspects, |path| !part(path, 0).is_empty())
}

pub(super) fn actions(a: &Place, b: &Place, aspects: &Aspects) -> Result<Finding, SimError> {
    trees(a, b, "/data/user/actions", aspects, |path| {
        !path.iter().any(|part| TRANSIENT.iter().any(|name| part == *name))
    })
}

pub(super) fn minio(a: &Place, b: &Place, aspects: &Aspects) -> Result<Finding, SimError> {
    trees(a, b, "/data/user/minio", aspects, |path| part(path, 0) != MINIO_SYSTEM)
}

fn part(path: &Path, index: usize) -> String {
    path.iter().nth(index).map_or(String::new(), |part| part.to_string_lossy().into_owned())
}

/// Packs and objects that are being received, and lock files.
fn in_transit(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.iter().any(|part| part.to_string_lossy().starts_with("tmp_")) || name.ends_with(".lock")
}

/// All entries of a tree that belong, by relative path.
pub(super) fn entries(root: &Path, belongs: Belongs) -> Result<BTreeMap<PathBuf, fs::Metadata>, SimError> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        let list = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other.on("list", &path)?,
        };
        for entry in list {
            let entry = entry.on("list", &path)?;
            let relative = folder.join(entry.file_name());
            let meta = entry.metadata().on("inspect", entry.path())?;
            if meta.is_dir() {
                folders.push(relative.clone());
            }
            if belongs(&relative) {
                found.insert(relative, meta);
            }
        }
    }
    Ok(found)
}

fn trees(a: &Place, b: &Place, tree: &str, aspects: &Aspects, belongs: Belongs) -> Result<Finding, SimError> {
    let (root_a, root_b) = (a.disk(tree), b.disk(tree));
    let (all_a, mut all_b) = (entries(&root_a, belongs)?, entries(&root_b, belongs)?);
    let mut finding = Finding::default();
    for (path, meta_a) in &all_a {
        finding.items += 1;
        match all_b.remove(path) {
            None => finding.differs(format!("`{}` is missing", path.display())),
            Some(meta_b) => {
                if let Some(what) =
                    difference((&root_a.join(path), meta_a), (&root_b.join(path), &meta_b), aspects)?
                {
                    finding.differs(format!("`{}`: {what}", path.display()));
                }
            }
        }
    }
    for path in all_b.keys() {
        finding.items += 1;
        finding.differs(format!("`{}` is too much", path.display()));
    }
    Ok(finding)
}

fn difference(
    (path_a, a): (&Path, &fs::Metadata),
    (path_b, b): (&Path, &fs::Metadata),
    aspects: &Aspects,
) -> Result<Option<String>, SimError> {
    if a.file_type() != b.file_type() {
        return Ok(Some("another kind of file".to_owned()));
    }
    if a.is_symlink() {
        let same = fs::read_link(path_a).on("read", path_a)? == fs::read_link(path_b).on("read", path_b)?;
        return Ok((!same).then(|| "another link target".to_owned()));
    }
    if a.mode() != b.mode() {
        return Ok(Some(format!("mode {:o} became {:o}", a.mode() & 0o7777, b.mode() & 0o7777)));
    }
    if aspects.owners && (a.uid(), a.gid()) != (b.uid(), b.gid()) {
        return Ok(Some(format!("owner {}:{} became {}:{}", a.uid(), a.gid(), b.uid(), b.gid())));
    }
    if aspects.times && a.mtime() != b.mtime() {
        return Ok(Some(format!("time {} became {}", a.mtime(), b.mtime())));
    }
    if a.is_file() && (a.len() != b.len() || !same_bytes(path_a, path_b)?) {
        return Ok(Some(format!("other content ({} and {} bytes)", a.len(), b.len())));
    }
    Ok(None)
}

/// Whether two files have the same bytes.
pub(super) fn same_bytes(a: &Path, b: &Path) -> Result<bool, SimError> {
    let mut file_a = fs::File::open(a).on("open", a)?;
    let mut file_b = fs::File::open(b).on("open", b)?;
    let (mut buffer_a, mut buffer_b) = (Vec::new(), Vec::new());
    loop {
        buffer_a.clear();
        buffer_b.clear();
        (&mut file_a).take(1 << 16).read_to_end(&mut buffer_a).on("read", a)?;
        (&mut file_b).take(1 << 16).read_to_end(&mut buffer_b).on("read", b)?;
        if buffer_a != buffer_b {
            return Ok(false);
        }
        if buffer_a.is_empty() {
            return Ok(true);
        }
    }
}
