//! What is needed of a repository: a value, from the snapshot's folders alone. No file's content is read but `HEAD`, `config` and
//! `info/alternates`.

use serde::Serialize;

use super::{RepositoryError, find::Named};
use crate::{
    appliance::git_config::GitConfig,
    restore::{
        entry::{Entry, Kind, join, show},
        view::SnapshotView,
    },
};

/// Largest `HEAD`, `config` or `info/alternates` that is read, in bytes.
const SMALL_MAX: u64 = 64 * 1024;

/// How many stores may borrow from each other.
const DEPTH_MAX: usize = 5;

/// Names of the appliance's folder of repositories in absolute alternates (contract §2.11).
const ROOTS: [&[u8]; 2] = [b"/data/user/repositories/", b"/data/repositories/"];

/// A file to be read.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Its path in the snapshot.
    pub from: Vec<u8>,
    /// Its path in the new repository (`objects/…`, `refs/…`), or in the store that it borrows from.
    pub to: Vec<u8>,
    /// The entry of the snapshot.
    pub entry: Entry,
}

/// The digest that names objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectFormat {
    /// Ordinary.
    Sha1,
    /// `extensions.objectformat`.
    Sha256,
}

/// What is needed of one repository.
#[derive(Clone, Debug)]
pub struct RepositoryPlan {
    /// What it is called.
    pub name: String,
    /// Its path in the snapshot.
    pub path: Vec<u8>,
    /// The line in `HEAD`.
    pub head: String,
    /// How objects are named.
    pub format: ObjectFormat,
    /// Packed and loose references.
    pub refs: Vec<Piece>,
    /// Objects of its own.
    pub objects: Vec<Piece>,
    /// Objects of the stores that it borrows from.
    pub borrowed: Vec<Piece>,
    /// What was left out that a repository usually does not have.
    pub warnings: Vec<String>,
}

impl RepositoryPlan {
    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.pieces().map(|piece| piece.entry.size).sum()
    }

    /// All files.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.refs.iter().chain(&self.objects).chain(&self.borrowed)
    }
}

/// Lists what a repository needs.
///
/// # Errors
/// A folder cannot be read, the repository is of a kind that cannot be given back, or it borrows from outside the snapshot.
pub fn plan(view: SnapshotView<'_>, named: &Named) -> Result<RepositoryPlan, RepositoryError> {
    let unsupported = |what: String| RepositoryError::Unsupported { name: named.name.clone(), what };
    let Some(root) = view.find(&named.path)? else {
        return Err(RepositoryError::NotFound { wanted: named.name.clone(), similar: Vec::new() });
    };
    let mut plan = RepositoryPlan {
        name: named.name.clone(),
        path: named.path.clone(),
        head: "ref: refs/heads/main".into(),
        format: ObjectFormat::Sha1,
        refs: Vec::new(),
        objects: Vec::new(),
        borrowed: Vec::new(),
        warnings: Vec::new(),
    };
    let small = |name: &str| view.read(&join(&named.path, name.as_bytes()), SMALL_MAX);
    let config = GitConfig::parse(&String::from_utf8_lossy(&small("config")?.unwrap_or_default()));
    match config.get("extensions.objectformat").unwrap_or("sha1") {
        "sha1" => {}
        "sha256" => plan.format = ObjectFormat::Sha256,
        other => return Err(unsupported(format!("its objects are named by `{other}`"))),
    }
    if let Some(storage) = config.get("extensions.refstorage").filter(|storage| *storage != "files") {
        return Err(unsupported(format!("its references are kept as `{storage}`")));
    }
    match small("HEAD")?.map(|text| head(&text)) {
        Some(Some(line)) => plan.head = line,
        _ => plan.warnings.push("its HEAD makes no sense; it points to `main` now".into()),
    }
    for entry in view.children(&named.path, &root.kind)?.0 {
        let path = join(&named.path, &entry.name);
        match &entry.name[..] {
            b"packed-refs" if entry.is_file() => {
                plan.refs.push(Piece { from: path, to: b"packed-refs".to_vec(), entry });
            }
            b"refs" if entry.is_directory() => references(view, &path, &entry, b"refs", &mut plan)?,
            b"objects" => objects(view, &path, &entry.kind, &mut plan.objects)?,
            _ => {}
        }
    }
    borrowed(view, &mut plan)?;
    Ok(plan)
}

/// The line in `HEAD`, when it is one: `ref: refs/…` or an object's name.
fn head(text: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(text).ok()?.trim();
    let hex = matches!(line.len(), 40 | 64) && line.bytes().all(|b| b.is_ascii_hexdigit());
    let branch = line.strip_prefix("ref:").map(str::trim).is_some_and(|name| {
        name.starts_with("refs/")
            && !name.contains("..")
            && !name.contains(|c: char| c.is_whitespace() || c.is_control())
    });
    (hex || branch).then(|| line.to_owned())
}

/// Loose references: regular files only, since a link could lead out of the target.
fn references(
    view: SnapshotView<'_>,
    path: &[u8],
    folder: &Entry,
    to: &[u8],
    plan: &mut RepositoryPlan,
) -> Result<(), RepositoryError> {
    for entry in view.children(path, &folder.kind)?.0 {
        let (from, to) = (join(path, &entry.name), join(to, &entry.name));
        match entry.kind {
            Kind::Directory(_) => references(view, &from, &entry, &to, plan)?,
            Kind::File if entry.name.ends_with(b".lock") => {}
            Kind::File => plan.refs.push(Piece { from, to, entry }),
            _ => plan.warnings.push(format!("`{}` is no file and was left out", show(&from))),
        }
    }
    Ok(())
}

/// Loose objects and packs. Indices that git makes again by itself stay behind, since they would not fit a joined store.
fn objects(
    view: SnapshotView<'_>,
    path: &[u8],
    kind: &Kind,
    pieces: &mut Vec<Piece>,
) -> Result<(), RepositoryError> {
    for folder in view.children(path, kind)?.0 {
        let loose = folder.name.len() == 2 && is_hex(&folder.name);
        if !folder.is_directory() || !(loose || folder.name == b"pack") {
            continue;
        }
        let from = join(path, &folder.name);
        for entry in view.children(&from, &folder.kind)?.0 {
            let wanted = if loose {
                matches!(entry.name.len(), 38 | 62) && is_hex(&entry.name)
            } else {
                is_pack(&entry.name)
            };
            if wanted && entry.is_file() {
                let to = [b"objects", &folder.name[..], &entry.name].join(&b'/');
                pieces.push(Piece { from: join(&from, &entry.name), to, entry });
            }
        }
    }
    Ok(())
}

fn is_hex(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_hexdigit)
}

fn is_pack(name: &[u8]) -> bool {
    let stem = name.strip_suffix(b".pack").or_else(|| name.strip_suffix(b".idx"));
    stem.and_then(|stem| stem.strip_prefix(b"pack-")).is_some_and(|hash| !hash.is_empty() && is_hex(hash))
}

/// The objects of all stores that the repository borrows from, each once.
fn borrowed(view: SnapshotView<'_>, plan: &mut RepositoryPlan) -> Result<(), RepositoryError> {
    let mut todo = vec![(join(&plan.path, b"objects"), 0)];
    let mut seen = std::collections::BTreeSet::from([todo[0].0.clone()]);
    while let Some((store, depth)) = todo.pop() {
        let lines = view.read(&join(&store, b"info/alternates"), SMALL_MAX)?.unwrap_or_default();
        for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#")) {
            let Some(other) = resolve(&store, line).filter(|_| depth < DEPTH_MAX) else {
                return Err(RepositoryError::Unsupported {
                    name: plan.name.clone(),
                    what: format!("it borrows objects from `{}`, outside of the snapshot", show(line)),
                });
            };
            if !seen.insert(other.clone()) {
                continue;
            }
            match view.find(&other)? {
                Some(entry) => objects(view, &other, &entry.kind, &mut plan.borrowed)?,
                None => plan.warnings.push(format!("the store `{}` is not in the snapshot", show(&other))),
            }
            todo.push((other, depth + 1));
        }
    }
    let mut names = std::collections::BTreeSet::new();
    plan.borrowed.retain(|piece| names.insert(piece.to.clone()));
    Ok(())
}

/// Where a line of `info/alternates` leads inside the snapshot: relative to the store, or absolute on the appliance.
fn resolve(store: &[u8], line: &[u8]) -> Option<Vec<u8>> {
    let path = if line.starts_with(b"/") {
        ROOTS.iter().find_map(|root| line.strip_prefix(*root)).map(|rest| join(b"repositories", rest))?
    } else {
        join(store, line)
    };
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    (parts.len() > 1 && parts[0] == b"repositories").then(|| parts.join(&b'/'))
}

/// `HEAD` and alternates, for [`crate::fuzzing`].
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(bytes: &[u8]) {
    let _ = head(bytes);
    for line in bytes.split(|b| *b == b'\n') {
        let found = resolve(b"repositories/c/nw/c4/ca/42/1/1.git/objects", line);
        let inside = |path: Vec<u8>| {
            path.starts_with(b"repositories/") && !path.split(|b| *b == b'/').any(|part| part == b"..")
        };
        assert!(found.is_none_or(inside));
    }
}

#[cfg(test)]
mod tests {
    use super::{head, is_pack, resolve};

    const STORE: &[u8] = b"repositories/c/nw/c4/ca/42/1/1.git/objects";

    #[test]
    fn a_relative_and_an_absolute_alternate_lead_to_the_same_store() {
        let network = b"repositories/c/nw/c4/ca/42/1/network.git/objects".to_vec();
        assert_eq!(resolve(STORE, b"../../network.git/objects"), Some(network.clone()));
        for root in ["/data/user/repositories", "/data/repositories"] {
            let line = format!("{root}/c/nw/c4/ca/42/1/network.git/objects");
            assert_eq!(resolve(STORE, line.as_bytes()), Some(network.clone()), "{root}");
        }
    }

    #[test]
    fn an_alternate_that_leads_out_of_the_repositories_is_none() {
        for line in [
            "/etc",
            "../../../../../../../../../..",
            "../../../../../../../../../storage/x",
            "/data/user/repositories/../common",
        ] {
            assert_eq!(resolve(STORE, line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_head_is_a_branch_or_an_object_and_nothing_else() {
        assert_eq!(head(b"ref: refs/heads/main\n").as_deref(), Some("ref: refs/heads/main"));
        assert!(head("0123456789abcdef0123456789abcdef01234567\n".as_bytes()).is_some());
        for text in
            ["", "ref: ../../etc/passwd", "ref: refs/heads/../../x", "ref: refs/heads/a\n[core]", "zz"]
        {
            assert_eq!(head(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn packs_are_taken_and_what_git_makes_again_is_not() {
        assert!(is_pack(b"pack-0123.pack") && is_pack(b"pack-0123.idx"));
        for name in [
            "tmp_pack_x",
            "pack-0123.bitmap",
            "pack-0123.keep",
            "multi-pack-index",
            "pack-.idx",
            "pack-../x.pack",
        ] {
            assert!(!is_pack(name.as_bytes()), "{name}");
        }
    }
}
