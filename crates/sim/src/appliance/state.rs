//! What the appliance's databases would know: networks, gists, pages, stored objects, services, knobs (contract §10.3).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
};

use serde::{Deserialize, Serialize};

use super::{Place, mssql::Database};
use crate::error::{OnFile, SimError};

/// One fork network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Decimal id of the network, which is the id of its first repository.
    pub id: u64,
    /// Route below `/data/user/repositories`, e.g. `c/nw/c4/ca/42/1`.
    pub path: String,
    /// Ids of the repositories `<id>.git`.
    pub members: Vec<u64>,
    /// Ids of the repositories that have a wiki `<id>.wiki.git`.
    pub wikis: Vec<u64>,
}

/// One object of the storage service (Alambic).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StoredObject {
    /// Its name and content digest.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// The Redis server.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Redis {
    /// Unix time of the last completed save.
    pub last_save: u64,
    /// Unix time in milliseconds at which a running background save completes.
    pub saving_until_ms: Option<u64>,
    /// Keys set by `mset`.
    pub keys: BTreeMap<String, String>,
}

/// The Elasticsearch servers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Elasticsearch {
    /// `translog.flush_threshold_size` of all indices; `None` is the server's default.
    pub flush_threshold: Option<String>,
    /// How many flushes were forced.
    pub flushes: u64,
}

/// Whether Actions' services run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionsService {
    /// They run.
    #[default]
    Started,
    /// Somebody has stopped them.
    Stopped,
}

/// How the appliance behaves, for scenarios.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Knobs {
    /// Routes that are listed although no directory exists.
    pub routes_extra: Vec<String>,
    /// Routes that are not listed although the directory exists.
    pub routes_hidden: Vec<String>,
    /// Milliseconds that a background save takes.
    pub redis_save_ms: u64,
    /// How many more times BGSAVE answers with an error.
    pub redis_errors: u32,
    /// Whether a background save never completes.
    pub redis_stuck: bool,
    /// Whether the Backup Service dies half-way, with its marks left.
    pub backup_service_dies: bool,
    /// The answer of `ghe-negotiate-version` to any client, if not acceptance: exit code and text.
    pub negotiate: Option<(u8, String)>,
    /// What `ghe-repl-status` says of a channel instead of being in sync, e.g. `mysql` →
    /// `WARNING: mysql replication delay is 29s`.
    pub replication: BTreeMap<String, String>,
    /// Whether the doors refuse to forward connections to other machines.
    pub no_forwarding: bool,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            routes_extra: Vec::new(),
            routes_hidden: Vec::new(),
            redis_save_ms: 300,
            redis_errors: 0,
            redis_stuck: false,
            backup_service_dies: false,
            negotiate: None,
            replication: BTreeMap::new(),
            no_forwarding: false,
        }
    }
}

/// All that the simulator remembers of one appliance.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Version of GHES, `major.minor.patch`.
    pub version: String,
    /// The seed it was made from.
    pub seed: u64,
    /// The scale it was made at.
    pub scale: String,
    /// Whether the Redis dump and the `MySQL` dump come from the real servers (`real`) or are stored ones (`stored`).
    pub databases: BTreeMap<String, String>,
    /// The fork networks, by id.
    pub networks: BTreeMap<u64, Network>,
    /// Routes of the gists, `a/ab/cd/ef/gist/NAME.git`.
    pub gists: BTreeSet<String>,
    /// Routes of the pages, `s/ab/cd/ef/ID`.
    pub pages: BTreeSet<String>,
    /// Objects of the storage service.
    pub storage: BTreeSet<StoredObject>,
    /// Of a cluster: route or digest → UUIDs of the machines that hold the item.
    pub replicas: BTreeMap<String, Vec<String>>,
    /// The Redis server.
    pub redis: Redis,
    /// The Elasticsearch servers.
    pub elasticsearch: Elasticsearch,
    /// Last action on each service, e.g. `cron` → `stop`.
    pub services: BTreeMap<String, String>,
    /// UUIDs in the registries of git, storage and pages servers.
    pub nodes: BTreeSet<String>,
    /// Appliance commands that left no other trace, oldest first.
    pub recorded: Vec<String>,
    /// How often the configuration was applied.
    pub applied: u32,
    /// Log sequence number of `MySQL`, for binary exports.
    pub mysql_lsn: u64,
    /// The databases of Actions, by name; none without Actions.
    pub mssql: BTreeMap<String, Database>,
    /// Unix time in the names of the last export of Actions' databases.
    pub mssql_exported: u64,
    /// Whether Actions' services run.
    pub actions: ActionsService,
    /// Whether this replica follows its primary.
    pub replicating: bool,
    /// Scenario settings.
    pub knobs: Knobs,
}

impl State {
    /// Reads the state.
    ///
    /// # Errors
    /// The file cannot be read or does not parse.
    pub fn load(place: &Place) -> Result<Self, SimError> {
        let path = place.state();
        let bytes = fs::read(&path).on("read", &path)?;
        serde_json::from_slice(&bytes).map_err(|error| SimError::Corrupt { path, reason: error.to_string() })
    }

    /// Writes the state in one step.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, place: &Place) -> Result<(), SimError> {
        let path = place.state();
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| SimError::Corrupt { path: path.clone(), reason: error.to_string() })?;
        let mut file = tempfile::NamedTempFile::new_in(place.root()).on("create a file in", place.root())?;
        file.write_all(&text).on("write", file.path().to_owned())?;
        file.persist(&path).map_err(|error| error.error).on("replace", &path)?;
        Ok(())
    }

    /// Changes the state while nobody else can.
    ///
    /// # Errors
    /// The state cannot be read or written, or what `change` returns.
    pub fn update<T>(
        place: &Place,
        change: impl FnOnce(&mut Self) -> Result<T, SimError>,
    ) -> Result<T, SimError> {
        let path = place.root().join("state.lock");
        let lock = fs::File::create(&path).on("create", &path)?;
        lock.lock().on("lock", &path)?;
        let mut state = Self::load(place)?;
        let result = change(&mut state)?;
        state.save(place)?;
        Ok(result)
    }

    /// The name that routes give to this appliance's server of a kind (contract §7.2).
    #[must_use]
    pub fn server(place: &Place, kind: &str) -> String {
        let uuid = fs::read_to_string(place.disk("/data/user/common/uuid")).unwrap_or_default();
        format!("{kind}-{}", uuid.trim())
    }
}

/// The file of a stored object.
#[must_use]
pub fn storage_path(place: &Place, sha256: &str) -> std::path::PathBuf {
    let folder = place.disk("/data/user/storage");
    match (sha256.get(..1), sha256.get(..2), sha256.get(2..4)) {
        (Some(one), Some(two), Some(four)) => folder.join(one).join(two).join(four).join(sha256),
        _ => folder.join(sha256),
    }
}
