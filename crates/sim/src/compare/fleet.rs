//! A fleet as one appliance, for comparison: the union of what its machines hold.
//!
//! Files of data are hard links into a folder inside the fleet's own; what one machine alone serves is a link to that
//! machine's. Replicas that differ from each other are differences of their own.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, lchown, symlink},
    path::{Path, PathBuf},
};

use super::tree;
use crate::{
    appliance::{Place, State, placement::Held, roster::Roster},
    build::fleet::{Kind, Manifest},
    error::{OnFile, SimError},
};

/// One side of a comparison.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) place: Place,
    /// What its machines disagree on.
    pub(super) torn: Vec<String>,
    _union: Option<tempfile::TempDir>,
}

impl Side {
    /// An appliance, the primary of a pair, or the union of a cluster.
    pub(super) fn open(folder: &Path) -> Result<Self, SimError> {
        if !Manifest::is_in(folder) {
            return Ok(Self { place: Place::new(folder), torn: Vec::new(), _union: None });
        }
        let folder = folder.canonicalize().on("find", folder)?;
        let manifest = Manifest::load(&folder)?;
        let nodes: Vec<Place> =
            manifest.nodes.iter().map(|peer| Place::new(folder.join(&peer.name))).collect();
        if manifest.kind == Kind::Ha {
            return Ok(Self { place: nodes[0].clone(), torn: Vec::new(), _union: None });
        }
        Self::unite(&folder, &nodes)
    }

    fn unite(folder: &Path, nodes: &[Place]) -> Result<Self, SimError> {
        let union =
            tempfile::Builder::new().prefix(".union-").tempdir_in(folder).on("create a folder in", folder)?;
        let place = Place::new(union.path());
        let roster = Roster::load(&nodes[0])?
            .ok_or_else(|| SimError::Refused("clustering is not configured".to_owned()))?;
        let of = |name: Option<&String>| {
            let home = name.map_or(nodes[0].root().to_owned(), |name| folder.join(name));
            Place::new(home)
        };
        let mysql = of(roster.masters.get("mysql"));
        let redis = of(roster.masters.get("redis"));
        let search = of(roster.serving("elasticsearch").next().map(|member| &member.name));
        let links = [
            (nodes[0].disk("/data/user/common"), place.disk("/data/user/common")),
            (nodes[0].disk("/data/enterprise"), place.disk("/data/enterprise")),
            (redis.disk("/data/user/redis"), place.disk("/data/user/redis")),
            (search.disk("/data/user/elasticsearch"), place.disk("/data/user/elasticsearch")),
            (search.store("audit-log"), place.store("audit-log")),
        ];
        for (from, to) in links {
            link(&from, &to)?;
        }
        for (home, name) in [
            (&mysql, crate::appliance::commands::mysql::STORE),
            (&nodes[0], crate::appliance::commands::ca_certificates::STORE),
        ] {
            link(&home.store(name), &place.store(name))?;
        }
        State::load(&mysql)?.save(&place)?;
        let mut torn = Vec::new();
        for node in nodes {
            for tree in
                [Held::Git.folder(), Held::Pages.folder(), Held::Storage.folder(), "/data/user/git-hooks"]
            {
                merge(&node.disk(tree), &place.disk(tree), &mut torn)?;
            }
        }
        Ok(Self { place, torn, _union: Some(union) })
    }
}

fn link(from: &Path, to: &Path) -> Result<(), SimError> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).on("create", folder)?;
    }
    if from.exists() { symlink(from, to).on("link", to) } else { Ok(()) }
}

/// Gives what was made anew the owner of what it stands for (only as root).
fn own_alike(from: &Path, to: &Path) -> Result<(), SimError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let meta = fs::symlink_metadata(from).on("inspect", from)?;
    lchown(to, Some(meta.uid()), Some(meta.gid())).on("give away", to)
}

/// Adds one machine's tree.
fn merge(from: &Path, to: &Path, torn: &mut Vec<String>) -> Result<(), SimError> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.on("list", from)?,
    };
    if !to.exists() {
        fs::create_dir_all(to).on("create", to)?;
        let mode = fs::metadata(from).on("inspect", from)?.permissions();
        fs::set_permissions(to, mode).on("set the mode of", to)?;
        own_alike(from, to)?;
    }
    for entry in entries {
        let entry = entry.on("list", from)?;
        let (one, all): (PathBuf, PathBuf) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().on("inspect", &one)?;
        let known = fs::symlink_metadata(&all).ok();
        match (kind.is_dir(), known) {
            (true, _) => merge(&one, &all, torn)?,
            (false, None) if kind.is_symlink() => {
                symlink(fs::read_link(&one).on("read", &one)?, &all).on("link", &all)?;
                own_alike(&one, &all)?;
            }
            (false, None) => fs::hard_link(&one, &all).on("link", &all)?,
            (false, Some(_)) => {
                let same = if kind.is_symlink() {
                    fs::read_link(&one).ok() == fs::read_link(&all).ok()
                } else {
                    tree::same_bytes(&one, &all)?
                };
                if !same {
                    torn.push(format!("`{}` is not as on another machine", one.display()));
                }
            }
        }
    }
    Ok(())
}
