//! Stores a folder in a vault as one snapshot, for the bench of stores: `store_folder VAULT FOLDER`, password `bench`.
//!
//! Makes the vault if there is none. Prints seconds and bytes as JSON: to open, to store, to read everything back.

use ghevault_core::vault::{
    BlobWriter, CheckDepth, Collector, Metadata, Node, NodeType, Password, SnapshotDraft, Tree, TreeId,
    Vault, VaultError, VaultLocation, sort_nodes,
};
use std::{
    error::Error,
    fs::{self, File},
    path::Path,
    time::{Duration, Instant},
};

fn store(writer: &BlobWriter, folder: &Path) -> Result<TreeId, Box<dyn Error>> {
    let mut nodes = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let mut node = Node::new_node(&entry.file_name(), NodeType::Dir, Metadata::default());
            node.subtree = Some(store(writer, &entry.path())?);
            nodes.push(node);
        } else if kind.is_file() {
            let stored = writer.put_file(&mut File::open(entry.path())?)?;
            let mut node = Node::new_node(&entry.file_name(), NodeType::File, Metadata::default());
            (node.meta.size, node.content) = (stored.size, Some(stored.content));
            nodes.push(node);
        }
    }
    sort_nodes(&mut nodes);
    Ok(writer.put_tree(&Tree { nodes })?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [vault, folder] = &arguments[..] else { return Err("usage: store_folder VAULT FOLDER".into()) };
    let (location, password) = (VaultLocation::parse(vault)?, Password::new("bench"));
    let begun = Instant::now();
    let vault = match Vault::init(&location, &password) {
        Err(VaultError::AlreadyExists { .. }) => Vault::open(&location, &password)?,
        made => made?,
    };
    let lease = vault.lock_for_writing("bench", Duration::from_mins(5))?;
    let reader = vault.index()?;
    let opened = begun.elapsed();

    let begun = Instant::now();
    let writer = vault.writer(&reader, &lease)?;
    let tree = store(&writer, Path::new(folder))?;
    let stats = writer.finish()?;
    let draft = SnapshotDraft::new(jiff::Timestamp::now(), tree, "bench");
    vault.commit(&draft, &Collector::new().verdict()?, &lease)?;
    drop(lease);
    let stored = begun.elapsed();

    let begun = Instant::now();
    let report = vault.check(CheckDepth::Content, None, &|_, _| {})?;
    println!(
        "{}",
        serde_json::json!({
            "open_s": opened.as_secs_f64(),
            "store_s": stored.as_secs_f64(),
            "check_s": begun.elapsed().as_secs_f64(),
            "bytes": stats.data_bytes_raw,
            "bytes_stored": stats.bytes_stored,
            "sound": report.is_sound(),
        })
    );
    Ok(())
}
