//! Makes an appliance on disk from a seed: real Git repositories, real dumps, every dataset of the contract (§10.1).

pub mod actions;
pub mod databases;
pub mod distribute;
pub mod extremes;
pub mod fleet;
pub mod gists;
pub mod git;
pub mod history;
pub mod hooks;
pub mod layout;
pub mod lfs;
pub mod networks;
pub mod owners;
pub mod pages;
pub mod search;
pub mod settings;
pub mod special;
pub mod storage;

use std::fs;

use databases::Databases;

use crate::{
    appliance::{Place, State, commands::config_apply, faults::Faults},
    doors::keys,
    error::{OnFile, SimError},
    live::journal,
    seed::Seed,
};

/// How much there is on an appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Its name.
    pub name: &'static str,
    /// Ordinary fork networks.
    pub networks: u64,
    /// Gists.
    pub gists: u64,
    /// Pages sites.
    pub pages: u64,
    /// Stored objects.
    pub objects: u64,
    /// References of the repository that has many.
    pub references: u64,
    /// Lines of each audit-log index.
    pub audit_lines: u64,
    /// Networks that are copies of the first one under other ids: many files in little time.
    pub copies: u64,
    /// Bytes of one incompressible file in a repository, and so of its pack; 0: no such repository.
    pub big_pack_bytes: u64,
}

impl Scale {
    /// For tests: every kind of thing, few of each.
    pub const S: Self = Self {
        name: "s",
        networks: 5,
        gists: 3,
        pages: 3,
        objects: 6,
        references: 300,
        audit_lines: 40,
        copies: 0,
        big_pack_bytes: 0,
    };
    /// For the demonstration.
    pub const DEMO: Self = Self {
        name: "demo",
        networks: 40,
        gists: 15,
        pages: 12,
        objects: 80,
        references: 2000,
        audit_lines: 2000,
        ..Self::S
    };
    /// For the bench: about 70,000 files.
    pub const M: Self = Self {
        name: "m",
        networks: 280,
        gists: 80,
        pages: 60,
        objects: 1000,
        references: 10_000,
        audit_lines: 20_000,
        ..Self::S
    };
    /// All scales.
    pub const ALL: [Self; 3] = [Self::S, Self::DEMO, Self::M];
}

/// What to make.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Everything but the additional SSH host keys and the time stamps of files depends on it alone.
    pub seed: u64,
    /// How much of everything.
    pub scale: Scale,
    /// Version of GHES.
    pub version: String,
    /// Whether `/etc/github/configured` exists.
    pub configured: bool,
    /// Whether there is no content: a fresh appliance, target of a restore.
    pub empty: bool,
    /// Where the dumps of the databases come from.
    pub databases: Databases,
    /// Whether GitHub Actions and the object store beside it are on.
    pub actions: bool,
}

impl Recipe {
    /// A small configured appliance with content, without starting database servers.
    #[must_use]
    pub fn small(seed: u64) -> Self {
        Self {
            seed,
            scale: Scale::S,
            version: "3.11.0".to_owned(),
            configured: true,
            empty: false,
            databases: Databases::Stored,
            actions: false,
        }
    }

    /// A configured appliance without content: the target of a restore.
    #[must_use]
    pub fn fresh(seed: u64) -> Self {
        Self { empty: true, ..Self::small(seed) }
    }

    /// Makes the appliance; the folder must be empty or missing.
    ///
    /// # Errors
    /// The folder is in use, a file cannot be written, or `git` fails.
    pub fn build(&self, place: &Place) -> Result<State, SimError> {
        if fs::read_dir(place.root()).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(SimError::Refused(format!("`{}` is not empty", place.root().display())));
        }
        place.prepare()?;
        let seed = Seed::new(self.seed);
        let mut state = State {
            version: self.version.clone(),
            seed: self.seed,
            scale: self.scale.name.to_owned(),
            ..State::default()
        };
        for folder in [
            "common",
            "tmp",
            "redis",
            "mysql",
            "storage",
            "pages",
            "elasticsearch",
            "repositories/info",
            "git-hooks/environments/tarballs",
            "git-hooks/repos",
        ] {
            let folder = place.disk("/data/user").join(folder);
            fs::create_dir_all(&folder).on("create", folder)?;
        }
        let link = place.disk("/data/repositories");
        std::os::unix::fs::symlink("user/repositories", &link).on("link", link)?;
        settings::write(place, &seed, self)?;
        special::layout_marks(place)?;
        state.databases = databases::write(place, &seed, self)?;
        if self.actions {
            actions::write(place, &seed, &mut state, self.empty)?;
        }
        if !self.empty {
            networks::write(place, &seed, self.scale)?;
            extremes::write(place, &seed, self.scale)?;
            gists::write(place, &seed, self.scale.gists)?;
            pages::write(place, &seed, self.scale.pages)?;
            let objects = storage::write(place, &seed, self.scale.objects)?;
            lfs::write(place, &seed, &objects)?;
            hooks::write(place, &seed)?;
            search::write(place, &seed, self.scale.audit_lines)?;
            special::leftovers(place, &seed)?;
        }
        config_apply::register_all(place, &mut state)?;
        state.redis.last_save = 1_700_000_000;
        state.mysql_lsn = 1_000_000;
        state.nodes.insert(settings::uuid(&seed));
        state.save(place)?;
        Faults::default().save(place)?;
        keys::prepare_client(place)?;
        journal::begin(place)?;
        owners::apply(place)?;
        Ok(state)
    }
}
