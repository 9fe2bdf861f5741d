//! The threads behind a writer, and what they share.

use super::{
    super::{
        crypt::Cipher,
        error::{VaultError, VaultResult},
        index::Index,
        index_file::{IndexFile, IndexedPack},
        store::Store,
    },
    QUEUE_BYTES_MAX, WriteStats,
    budget::{Budget, Taken},
    pack::{OpenPack, target_size},
    sealer::Sealer,
};
use crossbeam_channel::{Receiver, Sender, unbounded};
use rustic_core::{
    Id,
    repofile::{BlobType, ConfigFile, FileType},
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// An index file is written when this many blobs wait for one ...
const INDEX_BLOBS_MAX: usize = 50_000;
/// ... or this many packs do ...
const INDEX_PACKS_MAX: usize = 64;
/// ... or when this time has passed and something waits: a killed run loses no more.
const INDEX_AGE_MAX: Duration = Duration::from_mins(2);
/// What a queued blob costs beside its bytes, roughly.
const JOB_BYTES: usize = 256;
/// Threads at most.
const THREADS_MAX: usize = 8;
/// Packs of both kinds on their way to the store at most, each of them in memory: while they are written the next is filled.
const PACKS_UNDER_WAY_MAX: usize = 4;

/// A blob to be stored.
pub(super) struct Job {
    pub kind: BlobType,
    pub id: Id,
    pub data: Vec<u8>,
}

/// A blob in the queue, with the room that it takes there.
struct Queued {
    job: Job,
    _room: Taken,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Unindexed {
    file: IndexFile,
    blobs: usize,
    since: Instant,
}

impl Unindexed {
    fn new() -> Self {
        Self { file: IndexFile::default(), blobs: 0, since: Instant::now() }
    }
}

struct Shared {
    store: Arc<dyn Store>,
    cipher: Arc<Cipher>,
    level: Option<i32>,
    targets: [usize; 2],
    open: [Mutex<OpenPack>; 2],
    unindexed: Mutex<Unindexed>,
    stats: Mutex<WriteStats>,
    queue: Arc<Budget>,
    under_way: Arc<Budget>,
    failed: AtomicBool,
    failure: Mutex<Option<VaultError>>,
}

/// See the module.
pub(super) struct Pool {
    shared: Arc<Shared>,
    sender: Option<Sender<Queued>>,
    threads: Vec<JoinHandle<()>>,
}

fn slot(kind: BlobType) -> usize {
    usize::from(kind == BlobType::Tree)
}

impl Pool {
    pub(super) fn start(
        store: Arc<dyn Store>,
        cipher: Arc<Cipher>,
        index: &Index,
        config: &ConfigFile,
    ) -> VaultResult<Self> {
        let under_way = store.writes_at_once().clamp(1, PACKS_UNDER_WAY_MAX);
        let target = |kind| target_size(config, kind, index.pack_bytes(kind));
        let shared = Arc::new(Shared {
            store,
            cipher,
            level: config.zstd().map_err(|e| VaultError::rustic("reading the configuration", &e))?,
            targets: [target(BlobType::Data), target(BlobType::Tree)],
            open: Default::default(),
            unindexed: Mutex::new(Unindexed::new()),
            stats: Mutex::default(),
            queue: Budget::new(QUEUE_BYTES_MAX),
            under_way: Budget::new(under_way),
            failed: AtomicBool::new(false),
            failure: Mutex::default(),
        });
        let (sender, receiver) = unbounded();
        // a thread that waits for the store computes nothing
        let computing = std::thread::available_parallelism().map_or(2, usize::from).min(THREADS_MAX);
        let count = computing + under_way - 1;
        let mut pool = Self { shared, sender: Some(sender), threads: Vec::new() };
        for number in 0..count {
            let (shared, receiver) = (Arc::clone(&pool.shared), receiver.clone());
            let thread = std::thread::Builder::new()
                .name(format!("vault-writer-{number}"))
                .spawn(move || shared.work(&receiver))
                .map_err(|e| VaultError::io("start", "a writer thread", e))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// The first failure, if there was one.
    pub(super) fn check(&self) -> VaultResult<()> {
        if self.shared.failed.load(Ordering::Acquire) { Err(self.shared.first_failure()) } else { Ok(()) }
    }

    /// Queues a blob; waits while the queue is full.
    pub(super) fn send(&self, job: Job) -> VaultResult<()> {
        self.check()?;
        let sender = self.sender.as_ref().ok_or(VaultError::Internal("the writer is closed"))?;
        let room = self.shared.queue.take(job.data.len() + JOB_BYTES);
        sender
            .send(Queued { job, _room: room })
            .map_err(|_| VaultError::Internal("the writer's threads are gone"))
    }

    pub(super) fn finish(mut self) -> VaultResult<WriteStats> {
        self.join();
        let flushed = self.check().and_then(|()| {
            for open in &self.shared.open {
                let pack = std::mem::take(&mut *locked(open));
                self.shared.store_pack(pack)?;
            }
            Ok(())
        });
        // also after a failure: what is stored in full can serve the next run
        let indexed = self.shared.write_index(true);
        flushed.and(indexed)?;
        Ok(*locked(&self.shared.stats))
    }

    fn join(&mut self) {
        self.sender = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.shared.fail(VaultError::Internal("a writer thread panicked"));
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.shared.fail(VaultError::Internal("the writer was abandoned"));
            self.join();
        }
    }
}

impl Shared {
    fn fail(&self, error: VaultError) {
        locked(&self.failure).get_or_insert(error);
        self.failed.store(true, Ordering::Release);
    }

    fn first_failure(&self) -> VaultError {
        locked(&self.failure).clone().unwrap_or(VaultError::Internal("the writer failed"))
    }

    fn work(&self, jobs: &Receiver<Queued>) {
        let _alarm = PanicAlarm(self);
        let mut sealer = Sealer::new(self.level);
        for queued in jobs {
            if !self.failed.load(Ordering::Acquire)
                && let Err(error) = self.store_blob(&mut sealer, &queued.job)
            {
                self.fail(error);
            }
        }
    }

    fn store_blob(&self, sealer: &mut Sealer, job: &Job) -> VaultResult<()> {
        let plain_length = sealer.seal(&self.cipher, job.kind, &job.data)?;
        let stored_bytes = &sealer.buffer;
        {
            let mut stats = locked(&self.stats);
            let (raw, stored) = (job.data.len() as u64, stored_bytes.len() as u64);
            stats.bytes_added_raw += raw;
            stats.bytes_stored += stored;
            if job.kind == BlobType::Data {
                stats.data_blobs += 1;
                stats.data_bytes_raw += raw;
                stats.data_bytes_stored += stored;
            } else {
                stats.tree_blobs += 1;
            }
        }
        let slot = slot(job.kind);
        let full = {
            let mut open = locked(&self.open[slot]);
            open.add(job.kind, job.id, stored_bytes, plain_length, self.targets[slot])?;
            open.is_full(self.targets[slot]).then(|| {
                // waiting here, with the pack locked, is what bounds memory
                let room = self.under_way.take(1);
                (std::mem::take(&mut *open), room)
            })
        };
        if let Some((pack, room)) = full {
            self.store_pack(pack)?;
            drop(room);
            self.write_index(false)?;
        }
        Ok(())
    }

    fn store_pack(&self, pack: OpenPack) -> VaultResult<()> {
        if pack.is_empty() {
            return Ok(());
        }
        let (id, bytes, blobs) = pack.close(&self.cipher)?;
        let size = bytes.len() as u64;
        self.store.write(FileType::Pack, &id, &[bytes])?;
        locked(&self.stats).packs += 1;
        let mut unindexed = locked(&self.unindexed);
        unindexed.blobs += blobs.len();
        let blobs = blobs.into_iter().map(Into::into).collect();
        let time = Some(jiff::Timestamp::now());
        unindexed.file.packs.push(IndexedPack { id, time, size: Some(size), blobs });
        Ok(())
    }

    /// Writes an index file if it is time (or `now` and anything waits).
    fn write_index(&self, now: bool) -> VaultResult<()> {
        let file = {
            let mut unindexed = locked(&self.unindexed);
            let due = unindexed.blobs >= INDEX_BLOBS_MAX
                || unindexed.file.packs.len() >= INDEX_PACKS_MAX
                || unindexed.since.elapsed() >= INDEX_AGE_MAX;
            if unindexed.blobs == 0 || !(now || due) {
                return Ok(());
            }
            std::mem::replace(&mut *unindexed, Unindexed::new()).file
        };
        let (id, bytes) = file.encode(&self.cipher)?;
        self.store.write(FileType::Index, &id, &[bytes])?;
        locked(&self.stats).index_files += 1;
        Ok(())
    }
}

/// Makes the panic of one thread a failure of the writer at once, not only when the threads are joined.
struct PanicAlarm<'a>(&'a Shared);

impl Drop for PanicAlarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(VaultError::Internal("a writer thread panicked"));
        }
    }
}
