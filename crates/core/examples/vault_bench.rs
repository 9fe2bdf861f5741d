//! Measures how fast a vault is written and read: `cargo run -p ghevault-core --example vault_bench -- FOLDER [MB] [FILES]`.
//!
//! Writes MB megabytes of random bytes as one stream, the same again (all of it deduplicated), the same in two streams,
//! then FILES small files of 200 bytes in folders of 40, grafts one of them, and reads everything back. Prints MB/s or
//! entries/s, and the peak of the process's memory.

use ghevault_core::vault::{
    CheckDepth, Graft, Metadata, Node, NodeType, Password, Tree, Vault, VaultLocation, sort_nodes,
};
use rand::{RngCore, SeedableRng, rngs::SmallRng};
use std::{
    error::Error,
    ffi::OsStr,
    io::{self, Read},
    time::{Duration, Instant},
};

/// Random bytes, as many as wished for.
struct Noise(SmallRng, u64);

impl Read for Noise {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let size = into.len().min(usize::try_from(self.1).unwrap_or(usize::MAX));
        self.0.fill_bytes(&mut into[..size]);
        self.1 -= size as u64;
        Ok(size)
    }
}

fn noise(seed: u64, size: u64) -> Noise {
    Noise(SmallRng::seed_from_u64(seed), size)
}

fn file(name: &str, size: u64, content: Vec<ghevault_core::vault::DataId>) -> Node {
    let mut node = Node::new_node(OsStr::new(name), NodeType::File, Metadata::default());
    (node.meta.size, node.content) = (size, Some(content));
    node
}

#[expect(clippy::cast_precision_loss, reason = "rates")]
fn told(what: &str, amount: u64, unit: &str, since: Instant) {
    let seconds = since.elapsed().as_secs_f64();
    println!("{what}: {:.0} {unit}/s ({seconds:.2} s)", amount as f64 / seconds);
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or("VmHWM: unknown").to_owned()
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: vault_bench FOLDER [MB] [FILES]")?;
    let megabytes: u64 = arguments.next().unwrap_or("1000".into()).parse()?;
    let files: u64 = arguments.next().unwrap_or("100000".into()).parse()?;
    let bytes = megabytes * 1_000_000;

    let location = VaultLocation::parse(&folder)?;
    let vault = Vault::init(&location, &Password::new("bench"))?;
    // scrypt took 128 MB for a moment: forget that peak
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let lease = vault.lock_for_writing("bench", Duration::from_mins(5))?;

    let since = Instant::now();
    io::copy(&mut noise(1, bytes), &mut io::sink())?;
    told("noise alone", megabytes, "MB", since);

    let (since, reader) = (Instant::now(), vault.index()?);
    let writer = vault.writer(&reader, &lease)?;
    let stored = writer.put_file(&mut noise(1, bytes))?;
    println!("{:?}", writer.finish()?);
    told("one stream, new", megabytes, "MB", since);

    let (since, reader) = (Instant::now(), vault.index()?);
    let writer = vault.writer(&reader, &lease)?;
    writer.put_file(&mut noise(1, bytes))?;
    writer.finish()?;
    told("one stream, known", megabytes, "MB", since);

    let since = Instant::now();
    let writer = vault.writer(&reader, &lease)?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (2..4)
            .map(|s| {
                scope.spawn({
                    let writer = &writer;
                    move || writer.put_file(&mut noise(s, bytes / 2))
                })
            })
            .collect();
        threads.into_iter().try_for_each(|t| t.join().map_or(Ok(()), |r| r.map(|_| ())))
    })?;
    writer.finish()?;
    told("two streams, new", megabytes, "MB", since);
    println!("{}", peak_memory());

    let (since, reader) = (Instant::now(), vault.index()?);
    let writer = vault.writer(&reader, &lease)?;
    let mut units = Vec::new();
    for unit in 0..files / 40 {
        let mut nodes = Vec::new();
        for number in 0..40 {
            let mut content = vec![0; 200];
            noise(10 + unit * 40 + number, 200).read_exact(&mut content)?;
            let stored = writer.put_bytes(content)?;
            nodes.push(file(&format!("{number:02}"), stored.size, stored.content));
        }
        let mut node = Node::new_node(OsStr::new(&format!("u{unit}")), NodeType::Dir, Metadata::default());
        node.subtree = Some(writer.put_tree(&Tree { nodes })?);
        units.push(node);
    }
    sort_nodes(&mut units);
    let root = writer.put_tree(&Tree { nodes: units })?;
    println!("{:?}", writer.finish()?);
    told("small files", files, "files", since);

    let (since, reader) = (Instant::now(), vault.index()?);
    let writer = vault.writer(&reader, &lease)?;
    let mut graft = Graft::default();
    graft.replace.insert(b"big".to_vec(), file("big", stored.size, stored.content));
    graft.remove.insert(b"u7/03".to_vec());
    let root = graft.apply(&reader, &writer, Some(root))?;
    writer.finish()?;
    told("grafts (with index)", 2, "changes", since);

    let (since, reader) = (Instant::now(), vault.index()?);
    told("index", 1, "index", since);
    let since = Instant::now();
    println!("entries: {}", reader.walk(root).count());
    told("walk", files, "entries", since);
    let since = Instant::now();
    let node = reader.node_at(root, "big")?.ok_or("big is gone")?;
    reader.dump(&node, &mut io::sink())?;
    told("dump", megabytes, "MB", since);
    let since = Instant::now();
    let report = vault.check(CheckDepth::Content, Some(&[]), &|_, _| {})?;
    told("check of all content", report.bytes / 1_000_000, "MB", since);
    println!("sound: {}; {}", report.is_sound(), peak_memory());
    Ok(())
}
