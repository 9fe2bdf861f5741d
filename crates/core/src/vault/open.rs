//! A vault: made, opened, asked for its snapshots, given a new one.

use super::{
    crypt::Cipher,
    error::{VaultError, VaultResult},
    format::{encode_file, hash, read_file},
    index::Index,
    keys::{self, Deferred, NewKeys, Opener},
    latch::{Latch, LatchOpen},
    lease::WriteLease,
    location::VaultLocation,
    meter::{Metered, Outage},
    own::OwnStore,
    password::Password,
    reader::VaultReader,
    restic_lock, rustic,
    snapshot::{Snapshot, SnapshotDraft, SnapshotId, SnapshotList},
    store::{Store, file_name},
    writer::BlobWriter,
};
use rustic_core::{
    ConfigOptions, Id, KeyOptions, OpenStatus, Repository, TreeId,
    repofile::{BlobType, ConfigFile, FileType, KeyFile, MasterKey, SnapshotFile},
};
use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The only format version that is written and read.
const FORMAT: u32 = 2;

/// An open vault.
pub struct Vault {
    location: VaultLocation,
    pub(super) own: Arc<dyn OwnStore>,
    pub(super) store: Arc<dyn Store>,
    read: Arc<AtomicU64>,
    pub(super) outage: Outage,
    pub(super) latch: Latch,
    pub(super) cipher: Arc<Cipher>,
    pub(super) config: ConfigFile,
    id: String,
    /// The index that was loaded last, for as long as somebody uses it.
    latest: Mutex<Weak<Index>>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault")
            .field("location", &self.location)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Vault {
    /// Makes an empty vault with one password key.
    ///
    /// # Errors
    /// [`VaultError::AlreadyExists`]; [`VaultError::Damaged`] when the place holds data of a vault whose configuration
    /// is missing; the store's errors.
    pub fn init(location: &VaultLocation, password: &Password) -> VaultResult<Self> {
        Self::init_with(location, &NewKeys { kms: None, passwords: &[(None, password)] })
    }

    /// Makes an empty vault with these keys; they are stored before the vault exists.
    ///
    /// # Errors
    /// Those of [`Vault::init`]; [`VaultError::Kms`].
    pub fn init_with(location: &VaultLocation, keys: &NewKeys<'_>) -> VaultResult<Self> {
        Self::init_like(location, keys, None)
    }

    /// As [`Vault::init_with`], with the chunker parameters of another vault, so that both cut files in the same places.
    ///
    /// # Errors
    /// As [`Vault::init_with`].
    pub fn init_like(location: &VaultLocation, keys: &NewKeys<'_>, like: Option<&Self>) -> VaultResult<Self> {
        if keys.kms.is_none() && keys.passwords.is_empty() {
            return Err(VaultError::Invalid("a vault needs a key that opens it".into()));
        }
        if keys.passwords.iter().any(|(_, password)| password.is_empty()) {
            return Err(VaultError::Invalid("a vault needs a password that is not empty".into()));
        }
        let (files, own) = location.stores()?;
        if files.exists(FileType::Config, &Id::default())? {
            return Err(VaultError::AlreadyExists { location: location.to_string() });
        }
        files.create()?;
        for kind in [FileType::Snapshot, FileType::Index, FileType::Pack] {
            if !files.list(kind)?.is_empty() {
                return Err(missing_configuration());
            }
        }
        // a key without a configuration is what an interrupted init leaves; it would open to another master key
        for (id, _) in files.list(FileType::Key)? {
            files.remove(FileType::Key, &id)?;
        }
        keys::clear(&*own)?;
        let latch = Latch::new(files);
        let deferred = Arc::new(Deferred::new(Arc::new(latch.clone())));
        let store: Arc<dyn Store> = Arc::clone(&deferred) as Arc<dyn Store>;
        let credentials = rustic::WipedCredentials::master(MasterKey::new());
        let empty = rustic::repository(store, None)?;
        let repository = match like {
            Some(like) => {
                let id = Id::random().into();
                let config = ConfigFile { id, is_hot: None, append_only: None, ..like.config.clone() };
                empty.init_with_config(&credentials, &KeyOptions::default(), config)
            }
            None => empty.init(&credentials, &KeyOptions::default(), &ConfigOptions::default()),
        }
        .map_err(|e| VaultError::rustic("making the vault", &e))?;
        keys::furnish(&repository, &*own, keys, &deferred)?;
        Self::from_repository(location, own, latch, &repository)
    }

    /// Opens a vault with a password.
    ///
    /// # Errors
    /// [`VaultError::NotAVault`], [`VaultError::WrongPassword`], [`VaultError::Damaged`] (configuration, all key files),
    /// [`VaultError::Unsupported`] (format version 1), the store's errors.
    pub fn open(location: &VaultLocation, password: &Password) -> VaultResult<Self> {
        Self::open_with(location, &Opener::Password(password))
    }

    /// Opens a vault with whatever opens it.
    ///
    /// # Errors
    /// Those of [`Vault::open`]; [`VaultError::NoKmsKey`], [`VaultError::Kms`].
    pub fn open_with(location: &VaultLocation, opener: &Opener<'_>) -> VaultResult<Self> {
        let Opened { own, files, repository } = open_repository(location, opener)?;
        Self::from_repository(location, own, files, &repository)
    }

    fn from_repository(
        location: &VaultLocation,
        own: Arc<dyn OwnStore>,
        latch: Latch,
        repository: &Repository<OpenStatus>,
    ) -> VaultResult<Self> {
        let config = repository.config().clone();
        if config.version != FORMAT {
            let what =
                format!("format version {} (of the vault at {location}; only {FORMAT} is)", config.version);
            return Err(VaultError::Unsupported { what });
        }
        let (read, outage) = (Arc::new(AtomicU64::new(0)), Outage::default());
        Ok(Self {
            location: location.clone(),
            own,
            store: Arc::new(Metered::new(Arc::new(latch.clone()), Arc::clone(&read), outage.clone())),
            read,
            outage,
            latch,
            cipher: Arc::new(Cipher::new(repository.key())?),
            id: config.id.to_hex().to_string(),
            config,
            latest: Mutex::default(),
        })
    }

    /// The vault's identity: 64 hex digits from its configuration.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Bytes read from the store since it was opened, keys and configuration left out.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Where it stands.
    #[must_use]
    pub fn location(&self) -> &VaultLocation {
        &self.location
    }

    /// All snapshots; damaged ones apart.
    ///
    /// # Errors
    /// When the snapshots cannot be listed.
    pub fn snapshots(&self) -> VaultResult<SnapshotList> {
        let mut list = SnapshotList::default();
        for (id, _) in self.store.list(FileType::Snapshot)? {
            match read_file::<SnapshotFile>(&*self.store, &self.cipher, FileType::Snapshot, &id) {
                Ok(file) => list.snapshots.push(Snapshot::from_file(id, &file)),
                // not served is not damaged
                Err(error @ VaultError::Service { .. }) => return Err(error),
                Err(error) => list.damaged.push((SnapshotId(id), error)),
            }
        }
        list.snapshots.sort_by_key(|s| (s.time, s.id));
        list.damaged.sort_by_key(|(id, _)| *id);
        Ok(list)
    }

    /// The newest snapshot for `latest`, else the only one whose id starts with `name`.
    ///
    /// # Errors
    /// [`VaultError::NoSuchSnapshot`], or what is wrong with it.
    pub fn find(&self, name: &str) -> VaultResult<Snapshot> {
        self.snapshots()?.find(name).cloned()
    }

    /// Loads the index: everything that can be read, and what need not be written again.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] with the index file, the store's errors.
    pub fn index(&self) -> VaultResult<VaultReader> {
        let index = Arc::new(Index::load(&*self.store, &self.cipher)?);
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&index);
        Ok(self.reader(index))
    }

    pub(super) fn reader(&self, index: Arc<Index>) -> VaultReader {
        VaultReader::new(Arc::clone(&self.store), Arc::clone(&self.cipher), index)
    }

    /// Becomes the one writer, for `ttl` at a time; clears away what dead writers left half written.
    ///
    /// # Errors
    /// [`VaultError::Locked`], the store's errors.
    pub fn lock_for_writing(&self, holder: &str, ttl: Duration) -> VaultResult<WriteLease> {
        let lease = WriteLease::take(Arc::clone(&self.own), holder, None, ttl)?;
        restic_lock::refuse_beside_exclusive(&*self.own, &self.cipher)?;
        let removed = self.own.clean()?;
        if removed > 0 {
            tracing::info!(removed, "removed half-written files of an earlier writer");
        }
        Ok(lease)
    }

    /// Takes the right to write beside the other shards of one run; it keeps everybody else out.
    ///
    /// # Errors
    /// As [`Vault::lock_for_writing`]; shards of the same run are no hindrance.
    pub fn lock_for_part(&self, holder: &str, run: &str, ttl: Duration) -> VaultResult<WriteLease> {
        let lease = WriteLease::take(Arc::clone(&self.own), holder, Some(run), ttl)?;
        restic_lock::refuse_beside_exclusive(&*self.own, &self.cipher)?;
        // Half-written files stay until the next exclusive lease: they may be another shard's.
        Ok(lease)
    }

    /// Reads a tree through index files as they are in the store now; parses those only that came after the last load.
    pub(super) fn read_back(&self, tree: &TreeId) -> VaultResult<()> {
        let known = self.latest.lock().unwrap_or_else(PoisonError::into_inner).upgrade().unwrap_or_default();
        let index = if known.has(BlobType::Tree, tree) {
            known
        } else {
            Arc::new(known.load_newer(&*self.store, &self.cipher)?)
        };
        self.reader(index).tree(tree).map(|_| ())
    }

    /// Starts storing blobs; what `reader` knows is not stored again. Only the holder of the lease may.
    ///
    /// # Errors
    /// [`VaultError::LeaseLost`]; a configuration that makes no sense.
    pub fn writer(&self, reader: &VaultReader, lease: &WriteLease) -> VaultResult<BlobWriter> {
        lease.check()?;
        if reader.index.is_salvaged() {
            return Err(VaultError::Invalid("a salvaged index is for reading only".into()));
        }
        self.writer_on(Arc::clone(&reader.index))
    }

    /// A writer that takes `index` for what is held.
    pub(super) fn writer_on(&self, index: Arc<Index>) -> VaultResult<BlobWriter> {
        BlobWriter::new(Arc::clone(&self.store), Arc::clone(&self.cipher), index, &self.config)
    }

    /// Writes a snapshot, last of all: its tree must be stored and indexed.
    ///
    /// # Errors
    /// [`VaultError::LatchClosed`] when something fatal was reported since the verdict, [`VaultError::LeaseLost`],
    /// [`VaultError::Missing`] when the tree is not in the vault, the store's errors.
    pub fn commit(
        &self,
        draft: &SnapshotDraft,
        open: &LatchOpen,
        lease: &WriteLease,
    ) -> VaultResult<SnapshotId> {
        let file = draft.to_file()?;
        self.read_back(&draft.tree)?;
        let (id, content) = encode_file(&self.cipher, &file)?;
        lease.check()?;
        self.latch.write_snapshot(open, &id, content)?;
        Ok(SnapshotId(id))
    }
}

/// A vault as rustic sees it, with its stores.
pub(super) struct Opened {
    pub(super) own: Arc<dyn OwnStore>,
    pub(super) files: Latch,
    pub(super) repository: Repository<OpenStatus>,
}

/// Opens a vault as far as its keys and its configuration.
pub(super) fn open_repository(location: &VaultLocation, opener: &Opener<'_>) -> VaultResult<Opened> {
    let (files, own) = location.stores()?;
    let none = |why: String| VaultError::NotAVault { location: location.to_string(), why };
    if let Some(why) = own.absent()? {
        return Err(none(why));
    }
    if !files.exists(FileType::Config, &Id::default())? {
        // a place without the folders of a vault cannot be listed, and holds none
        let holds = files.list(FileType::Pack).is_ok_and(|packs| !packs.is_empty());
        return Err(if holds { missing_configuration() } else { none("the file config is missing".into()) });
    }
    let (sound, damaged) = match opener {
        Opener::Password(_) => sound_keys(&*files)?,
        Opener::Kms(_) => (Vec::new(), Vec::new()),
    };
    let latch = Latch::new(files);
    if sound.is_empty() && matches!(opener, Opener::Password(_)) {
        return Err(damaged.into_iter().next().map_or_else(
            || VaultError::damaged("key file", "keys", "there is none"),
            |file| VaultError::damaged("key file", file, "it is not what was written, and there is no other"),
        ));
    }
    let (credentials, bound) = keys::credentials(opener, &location.to_string(), &*own)?;
    let repository =
        rustic::repository(Arc::new(latch.clone()), Some(sound))?.open(&credentials).map_err(|e| {
            if e.is_incorrect_password() {
                return VaultError::WrongPassword { location: location.to_string(), damaged_keys: damaged };
            }
            match VaultError::rustic("opening the vault", &e) {
                // the credentials gave a key; what follows is the configuration
                VaultError::Rustic { message, .. } => VaultError::damaged("configuration", "config", message),
                other => other,
            }
        })?;
    let id = repository.config().id.to_hex();
    if bound.is_some_and(|bound| bound != *id) {
        return Err(VaultError::damaged("wrapped key", "keys", "it belongs to another vault"));
    }
    Ok(Opened { own, files: latch, repository })
}

fn missing_configuration() -> VaultError {
    VaultError::damaged("configuration", "config", "it is missing, although the vault holds data")
}

/// Key files that can be tried, and the names of those that cannot.
fn sound_keys(store: &dyn Store) -> VaultResult<(Vec<Id>, Vec<String>)> {
    let (mut sound, mut damaged) = (Vec::new(), Vec::new());
    for (id, _) in store.list(FileType::Key)? {
        let bytes = store.read(FileType::Key, &id)?;
        let parses = serde_json::from_slice::<KeyFile>(&bytes).is_ok();
        if parses && hash(&bytes) == id {
            sound.push(id);
        } else {
            damaged.push(file_name(FileType::Key, &id));
        }
    }
    damaged.sort();
    Ok((sound, damaged))
}
