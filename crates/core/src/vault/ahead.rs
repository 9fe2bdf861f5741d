//! Reads the blobs of a large file ahead of their consumer, on several threads, in order.

use super::{
    error::{VaultError, VaultResult},
    reader::VaultReader,
};
use crossbeam_channel::bounded;
use rustic_core::DataId;
use std::{io::Write, sync::Arc};

/// Threads that read ahead; each holds one blob (8 MiB at most) and one waits.
const THREADS_MAX: usize = 4;

/// Writes the blobs to `into`, in order; returns the bytes written.
pub(super) fn dump_ahead(reader: &VaultReader, blobs: &[DataId], into: &mut dyn Write) -> VaultResult<u64> {
    let count = std::thread::available_parallelism().map_or(2, usize::from).min(THREADS_MAX).min(blobs.len());
    std::thread::scope(|scope| {
        // thread i reads blobs i, i + count, ...; its channel keeps their order
        let lanes: Vec<_> = (0..count)
            .map(|lane| {
                let (sender, receiver) = bounded::<VaultResult<Vec<u8>>>(1);
                scope.spawn(move || {
                    for id in blobs.iter().skip(lane).step_by(count) {
                        let blob = reader.data_blob(id);
                        let last = blob.is_err();
                        // the receiver is gone when another lane failed
                        if sender.send(blob).is_err() || last {
                            return;
                        }
                    }
                });
                receiver
            })
            .collect();
        let mut size = 0;
        for lane in (0..count).cycle().take(blobs.len()) {
            let blob =
                lanes[lane].recv().map_err(|_| VaultError::Internal("a reading thread ended early"))??;
            into.write_all(&blob).map_err(|e| VaultError::Stream(Arc::new(e)))?;
            size += blob.len() as u64;
        }
        Ok(size)
    })
}
