//! The writer against a store that fails, and what it leaves there.

use super::*;
use crate::vault::{Metadata, Node, NodeType, index::Location, memory::Bench};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use rustic_core::repofile::FileType;
use std::{ffi::OsStr, sync::atomic::Ordering};

fn random(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// Packs of about 2 kB, so that little data makes many files.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.config.datapack_size = Some(2_000);
    bench.config.datapack_growfactor = Some(0);
    bench
}

fn store_some(writer: &BlobWriter) -> VaultResult<TreeId> {
    let mut nodes = Vec::new();
    for seed in 0..20 {
        let stored = writer.put_bytes(random(seed, 700))?;
        let mut node = Node::new_node(OsStr::new(&format!("{seed:02}")), NodeType::File, Metadata::default());
        (node.meta.size, node.content) = (stored.size, Some(stored.content));
        nodes.push(node);
    }
    writer.put_tree(&Tree { nodes })
}

fn run(bench: &Bench) -> VaultResult<TreeId> {
    let reader = bench.reader();
    let writer = bench.writer(&reader);
    let tree = store_some(&writer)?;
    writer.finish().map(|_| tree)
}

#[test]
fn a_writer_that_ends_at_any_write_leaves_nothing_wrong_and_the_next_one_completes_it() {
    let whole = bench();
    let expected = run(&whole).unwrap();
    let writes =
        whole.store.list(FileType::Pack).unwrap().len() + whole.store.list(FileType::Index).unwrap().len();
    assert!(writes > 5, "{writes}");
    for allowed in 0..writes {
        let bench = bench();
        bench.store.writes_left.store(allowed, Ordering::SeqCst);
        assert!(matches!(run(&bench), Err(VaultError::Full { .. })), "after {allowed} writes");
        // whatever an index file names is there
        let index = Index::load(&*bench.store, &bench.cipher).unwrap();
        for (pack, size) in index.packs() {
            assert_eq!(bench.store.read(FileType::Pack, pack).unwrap().len() as u64, *size);
        }
        bench.store.writes_left.store(usize::MAX, Ordering::SeqCst);
        assert_eq!(run(&bench).unwrap(), expected);
        let reader = bench.reader();
        for entry in reader.walk(expected) {
            let (_, node) = entry.unwrap();
            assert_eq!(reader.dump(&node, &mut Vec::new()).unwrap(), node.meta.size);
        }
    }
}

#[test]
fn after_a_failure_every_put_fails() {
    let bench = bench();
    bench.store.writes_left.store(0, Ordering::SeqCst);
    let writer = bench.writer(&bench.reader());
    let failed = (0..1_000_000).find_map(|seed| writer.put_data(random(seed, 500)).err());
    assert!(matches!(failed, Some(VaultError::Full { .. })));
    assert!(matches!(writer.put_data(random(0, 500)), Err(VaultError::Full { .. })), "known blobs, too");
    assert!(matches!(writer.finish(), Err(VaultError::Full { .. })));
}

#[test]
fn index_files_are_written_along_the_way() {
    let bench = bench();
    let writer = bench.writer(&bench.reader());
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    for seed in 0.. {
        writer.put_data(random(seed, 2_000)).unwrap();
        if !bench.store.list(FileType::Index).unwrap().is_empty() {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "no index file after {seed} packs");
    }
    drop(writer); // killed: what is indexed serves the next run
    let reader = bench.reader();
    assert!(reader.counts().1 >= 64);
    let first = hash(&random(0, 2_000));
    assert!(reader.contains_data(&first.into()));
}

#[test]
fn what_does_not_shrink_is_stored_as_it_is_and_trees_are_always_compressed() {
    let bench = Bench::new();
    let writer = bench.writer(&bench.reader());
    let noise = writer.put_data(random(1, 5_000)).unwrap();
    let text = writer.put_data(b"again and ".repeat(500)).unwrap();
    let nothing = writer.put_data(Vec::new()).unwrap();
    let tree = writer.put_tree(&Tree::default()).unwrap();
    let stats = writer.finish().unwrap();
    assert_eq!((stats.data_blobs, stats.tree_blobs, stats.packs, stats.index_files), (3, 1, 2, 1));
    let reader = bench.reader();
    let at = |kind, id| -> Location { reader.index.locate(kind, id).unwrap() };
    let overhead = 32;
    let stored = at(BlobType::Data, &noise);
    assert_eq!((stored.length, stored.plain_length), (5_000 + overhead, 0));
    let stored = at(BlobType::Data, &text);
    assert!(stored.length < 200 && stored.plain_length == 5_000, "{stored:?}");
    assert_eq!(at(BlobType::Data, &nothing).length, overhead);
    assert!(at(BlobType::Tree, &tree).plain_length > 0);
    assert_eq!(reader.data_blob(&noise).unwrap(), random(1, 5_000));
    assert_eq!(reader.data_blob(&text).unwrap(), b"again and ".repeat(500));
    assert_eq!(reader.data_blob(&nothing).unwrap(), b"");
    assert_eq!(reader.data_size(&text), Some(5_000));
    assert_eq!(reader.data_size(&noise), Some(5_000));
}

#[test]
fn an_uncompressed_vault_is_written_uncompressed() {
    let mut bench = Bench::new();
    bench.config.compression = Some(0);
    let writer = bench.writer(&bench.reader());
    let text = writer.put_data(b"again and ".repeat(500)).unwrap();
    writer.finish().unwrap();
    let reader = bench.reader();
    assert_eq!(reader.index.locate(BlobType::Data, &text).unwrap().plain_length, 0);
    assert_eq!(reader.data_blob(&text).unwrap(), b"again and ".repeat(500));
}

#[test]
fn trees_in_disorder_are_refused() {
    let bench = Bench::new();
    let writer = bench.writer(&bench.reader());
    let nodes = ["b", "a"].map(|n| Node::new_node(OsStr::new(n), NodeType::File, Metadata::default()));
    let refused = writer.put_tree(&Tree { nodes: nodes.to_vec() });
    assert!(matches!(refused, Err(VaultError::Invalid(_))));
}

#[test]
fn a_panicking_thread_is_a_failure_and_no_standstill() {
    let bench = bench();
    bench.store.panics.store(true, Ordering::SeqCst);
    let writer = bench.writer(&bench.reader());
    let failed = (0..1_000_000).find_map(|seed| writer.put_data(random(seed, 5_000)).err());
    assert!(matches!(failed, Some(VaultError::Internal(_))), "{failed:?}");
    bench.store.panics.store(false, Ordering::SeqCst);
    assert!(matches!(writer.finish(), Err(VaultError::Internal(_))));
}
