//! What the history of references costs: `cargo run -p ghevault-core --example ref_history -- FOLDER [REPOSITORIES] [SNAPSHOTS]`.
//!
//! Writes SNAPSHOTS snapshots into a new vault in which, from one to the next, the ref digests of one repository in a hundred
//! change, as `backup` writes them; every 24th also has a new repository and lacks an old one. Prints what each page folder took
//! in the vault, and how long the history of one repository takes that has changed in every tenth snapshot.

use ghevault_core::{
    backup::{layers, pages},
    history::refs,
    vault::{
        DirNode, Graft, Metadata, Node, NodeType, Password, SnapshotDraft, TreeId, Vault, VaultLocation,
        VaultReader,
    },
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::{
    collections::{BTreeMap, HashMap},
    error::Error,
    ffi::OsStr,
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

type Digests = BTreeMap<Vec<u8>, [u8; 32]>;

/// Stores the content of the file at a path.
type Put<'a> = &'a dyn Fn(&[u8], Vec<u8>) -> Result<Node, Box<dyn Error>>;

/// The repository whose history is asked for.
const ASKED: &str = "owner/asked";

fn path(number: u64) -> Vec<u8> {
    let hash = format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (a, b, c, d) = (&hash[..1], &hash[..2], &hash[2..4], &hash[4..6]);
    format!("repositories/{a}/nw/{b}/{c}/{d}/{number}/{number}.git").into_bytes()
}

fn file(path: &[u8], size: u64, content: Vec<ghevault_core::vault::DataId>) -> Node {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let name = String::from_utf8_lossy(name).into_owned();
    let mut node = Node::new_node(OsStr::new(&name), NodeType::File, Metadata::default());
    (node.meta.size, node.content) = (size, Some(content));
    node
}

fn stored(folder: &Path) -> io::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        size += if entry.file_type()?.is_dir() { stored(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(size)
}

/// The pages of one folder, as a backup writes them.
fn pages_into(
    graft: &mut Graft,
    reader: &VaultReader,
    put: Put<'_>,
    parent: Option<TreeId>,
    now: &Digests,
) -> Result<(), Box<dyn Error>> {
    let (before, shape) = match parent {
        Some(tree) => (pages::read_all(reader, tree, pages::REFS)?, pages::shape(reader, tree, pages::REFS)?),
        None => (HashMap::new(), layers::Shape::default()),
    };
    let plan = layers::plan(&shape, &before, now);
    graft.remove.extend(plan.remove.iter().map(|name| format!("{}/{name}", pages::REFS).into_bytes()));
    for (name, content) in plan.write {
        let path = format!("{}/{name}", pages::REFS).into_bytes();
        graft.replace.insert(path.clone(), put(&path, content)?);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: ref_history FOLDER [REPOSITORIES] [SNAPSHOTS]")?;
    let repositories: u64 = arguments.next().unwrap_or("50000".into()).parse()?;
    let snapshots: u64 = arguments.next().unwrap_or("100".into()).parse()?;
    let vault = Vault::init(&VaultLocation::parse(&folder)?, &Password::new("bench"))?;
    let lease = vault.lock_for_writing("bench", Duration::from_mins(5))?;
    let empty = stored(Path::new(&folder))?;
    let mut random = SmallRng::seed_from_u64(5);
    let mut digests: Digests = (0..repositories).map(|number| (path(number), random.random())).collect();
    let asked = path(7);
    let mut parent: Option<(TreeId, ghevault_core::vault::SnapshotId)> = None;
    let mut sizes = vec![empty];
    let mut slowest = Duration::ZERO;
    for round in 0..snapshots {
        if round > 0 {
            let paths: Vec<Vec<u8>> = digests.keys().cloned().collect();
            for _ in 0..repositories / 100 {
                let at = random.random_range(0..paths.len());
                digests.insert(paths[at].clone(), random.random());
            }
            if round % 24 == 0 {
                digests.insert(path(repositories + round), random.random());
                digests.remove(&path(8 + round));
            }
        }
        let commit = hex::encode::<[u8; 20]>(SmallRng::seed_from_u64(round / 10).random());
        digests.insert(asked.clone(), SmallRng::seed_from_u64(round / 10).random());
        let since = Instant::now();
        let reader = vault.index()?;
        let writer = vault.writer(&reader, &lease)?;
        let put = |path: &[u8], content: Vec<u8>| -> Result<Node, Box<dyn Error>> {
            let stored = writer.put_bytes(content)?;
            Ok(file(path, stored.size, stored.content))
        };
        let mut graft = Graft::default();
        pages_into(&mut graft, &reader, &put, parent.map(|(tree, _)| tree), &digests)?;
        let names = pages::write([(&asked[..], ASKED.as_bytes())]);
        for (name, content) in names {
            let path = format!("{}/{name}", pages::NAMES).into_bytes();
            graft.replace.insert(path.clone(), put(&path, content)?);
        }
        let texts = [("HEAD", "ref: refs/heads/main\n".into()), ("refs/tags/nightly", format!("{commit}\n"))];
        for (name, text) in texts {
            let path = [&asked[..], b"/", name.as_bytes()].concat();
            graft.replace.insert(path.clone(), put(&path, text.into_bytes())?);
        }
        graft.directories.insert(asked.clone(), DirNode { meta: Metadata::default(), children: None });
        let tree = graft.apply(&reader, &writer, parent.map(|(tree, _)| tree))?;
        writer.finish()?;
        let open = ghevault_core::vault::Collector::new().verdict()?;
        let time = jiff::Timestamp::from_second(1_700_000_000 + i64::try_from(round)? * 3600)?;
        let draft =
            SnapshotDraft { parent: parent.map(|(_, id)| id), ..SnapshotDraft::new(time, tree, "bench") };
        let id = vault.commit(&draft, &open, &lease)?;
        parent = Some((tree, id));
        slowest = slowest.max(since.elapsed());
        sizes.push(stored(Path::new(&folder))?);
    }
    let (first, last) = (sizes[1] - sizes[0], sizes[sizes.len() - 1] - sizes[0]);
    let mut added: Vec<u64> = sizes.windows(2).skip(1).map(|pair| pair[1] - pair[0]).collect();
    added.sort_unstable();
    println!("{repositories} repositories, {snapshots} snapshots, one in a hundred changes between two");
    println!("in all {:.1} MB; the first snapshot {:.1} MB", mega(last), mega(first));
    if let (Some(median), Some(most)) = (added.get(added.len() / 2), added.last()) {
        println!("a further one: median {:.3} MB, most {:.3} MB", mega(*median), mega(*most));
    }
    println!("slowest write of one {:.2} s", slowest.as_secs_f64());
    let since = Instant::now();
    let reader = vault.index()?;
    let all = vault.snapshots()?.snapshots;
    let history = refs::of(&reader, &all, ASKED, &std::env::temp_dir())?;
    println!(
        "history of one repository: {} steps over {} snapshots in {:.2} s",
        history.steps.len(),
        history.snapshots.len(),
        since.elapsed().as_secs_f64()
    );
    Ok(())
}
