//! Fork networks: members that share `network.git` through relative alternates, wikis, and the odd ones.

use std::{fs, path::Path};

use super::{
    Scale,
    git::{self, Format},
    history::History,
    layout,
};
use crate::{
    appliance::Place,
    error::{OnFile, SimError},
    seed::Seed,
};

/// Makes the ordinary networks (ids from 1) and the odd ones (ids from 100001).
pub(super) fn write(place: &Place, seed: &Seed, scale: Scale) -> Result<(), SimError> {
    let seed = seed.part("networks");
    let ids: Vec<u64> = (0..scale.networks).map(|number| 1 + number * 10).collect();
    // Mostly waiting for git: two at a time.
    std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| {
                let (ids, seed) = (&ids, &seed);
                scope.spawn(move || {
                    ids.iter().skip(half).step_by(2).try_for_each(|id| {
                        let network = place.repositories().join(layout::network(*id));
                        ordinary(&network, &seed.part(&id.to_string()), *id)
                    })
                })
            })
            .collect();
        halves.into_iter().try_for_each(|half| {
            half.join().unwrap_or_else(|_| Err(SimError::Refused("a generator thread panicked".to_owned())))
        })
    })?;
    odd(place, &seed.part("odd"), scale)
}

/// Makes the network `id` in `network`: its repository, perhaps forks, a shared store, a wiki.
///
/// # Errors
/// A file cannot be written, or `git` fails.
pub fn ordinary(network: &Path, seed: &Seed, id: u64) -> Result<(), SimError> {
    let mut seed = seed.clone();
    let forks = if id == 1 { 3 } else { [0, 0, 0, 1, 2][seed.index(5)] };
    let shared = forks > 0 || seed.chance(40);
    let owner = format!("owner{}", seed.below(20));
    if shared {
        let store = network.join("network.git");
        git::skeleton(&store, &format!("{owner}/network"), Format::Sha1)?;
        let commits = seed.between(4, 25);
        let mut history = History::new(seed.part("shared"));
        let tip = history.commits(&format!("refs/remotes/{id}/heads/main"), None, commits);
        history.point(format!("refs/remotes/{id}/tags/v1").as_bytes(), &tip);
        git::import(&store, &history.finish(), true)?;
        if seed.chance(50) {
            git::run(&store, &["pack-refs", "--all"], b"")?;
        }
    }
    for member in id..=id + forks {
        member_of(network, &seed.part(&member.to_string()), id, member, shared, &owner)?;
    }
    if seed.chance(40) || id == 1 {
        let wiki = network.join(format!("{id}.wiki.git"));
        git::skeleton(&wiki, &format!("{owner}/repo{id}.wiki"), Format::Sha1)?;
        let mut history = History::new(seed.part("wiki"));
        let commits = seed.between(1, 6);
        history.commits("refs/heads/master", None, commits);
        git::import(&wiki, &history.finish(), false)?;
        fs::write(wiki.join("HEAD"), "ref: refs/heads/master\n").on("write", wiki)?;
    }
    Ok(())
}

fn member_of(
    network: &Path,
    seed: &Seed,
    id: u64,
    member: u64,
    shared: bool,
    owner: &str,
) -> Result<(), SimError> {
    let mut seed = seed.clone();
    let repository = network.join(format!("{member}.git"));
    git::skeleton(&repository, &format!("{owner}/repo{member}"), Format::Sha1)?;
    let mut history = History::new(seed.part("own"));
    let from = if shared {
        git::borrow_from_network(&repository)?;
        let tip = git::run(
            &network.join("network.git"),
            &["rev-parse", &format!("refs/remotes/{id}/heads/main")],
            b"",
        )?;
        Some(String::from_utf8_lossy(&tip).trim().to_owned())
    } else {
        None
    };
    let commits = seed.between(1, 12);
    let tip = history.commits("refs/heads/main", from.as_deref(), commits);
    for topic in 0..seed.below(4) {
        let commits = seed.between(1, 3);
        history.commits(&format!("refs/heads/topic/{topic}"), Some(&tip), commits);
    }
    for release in 0..seed.below(3) {
        history.tag(&format!("v{release}.0"), &tip);
    }
    history.point(b"refs/pull/1/head", &tip);
    git::import(&repository, &history.finish(), seed.chance(40))?;
    if seed.chance(60) {
        git::run(&repository, &["pack-refs", "--all"], b"")?;
        // Newer values lie loose over the packed ones.
        let mut newer = History::new(seed.part("newer"));
        newer.commits("refs/heads/main", Some("refs/heads/main^0"), 1);
        newer.commits("refs/heads/loose", Some("refs/heads/main^0"), 1);
        git::import(&repository, &newer.finish(), false)?;
    }
    if seed.chance(30) {
        fs::write(repository.join("svn.history.msgpack"), seed.bytes(300)).on("write", &repository)?;
        fs::create_dir_all(repository.join("svn_data")).on("create", &repository)?;
        fs::write(repository.join("svn_data/0"), seed.bytes(100)).on("write", &repository)?;
    }
    if member == 1 {
        fs::write(repository.join("audit_log"), seed.text(200)).on("write", &repository)?;
        // A pack that is just being received.
        let name = format!("objects/pack/tmp_pack_{}", seed.hex(6));
        fs::write(repository.join(name), seed.bytes(5000)).on("write", &repository)?;
    }
    Ok(())
}

/// Ids of the odd networks.
pub mod odd_ids {
    /// Never pushed to.
    pub const EMPTY: u64 = 100_001;
    /// Has branches, but HEAD names one that does not exist.
    pub const UNBORN_HEAD: u64 = 100_002;
    /// SHA-256 object names.
    pub const SHA256: u64 = 100_003;
    /// Very many references.
    pub const MANY_REFERENCES: u64 = 100_004;
    /// A reference whose name is not UTF-8, and a path in a tree likewise.
    pub const STRANGE_NAMES: u64 = 100_005;
    /// Points to LFS objects in storage.
    pub const LFS: u64 = 100_006;
}

fn odd(place: &Place, seed: &Seed, scale: Scale) -> Result<(), SimError> {
    let make = |id: u64, format| {
        let repository = place.repositories().join(layout::network(id)).join(format!("{id}.git"));
        git::skeleton(&repository, &format!("odd/repo{id}"), format).map(|()| repository)
    };
    make(odd_ids::EMPTY, Format::Sha1)?;

    let unborn = make(odd_ids::UNBORN_HEAD, Format::Sha1)?;
    let mut history = History::new(seed.part("unborn"));
    history.commits("refs/heads/develop", None, 3);
    git::import(&unborn, &history.finish(), false)?;

    let sha256 = make(odd_ids::SHA256, Format::Sha256)?;
    let mut history = History::new(seed.part("sha256"));
    let tip = history.commits("refs/heads/main", None, 6);
    history.tag("v1", &tip);
    git::import(&sha256, &history.finish(), false)?;
    git::run(&sha256, &["pack-refs", "--all"], b"")?;

    let many = make(odd_ids::MANY_REFERENCES, Format::Sha1)?;
    let mut history = History::new(seed.part("many"));
    history.commits("refs/heads/main", None, 12);
    git::import(&many, &history.finish(), true)?;
    many_references(&many, scale.references)?;

    let strange = make(odd_ids::STRANGE_NAMES, Format::Sha1)?;
    let mut history = History::new(seed.part("strange"));
    let tip = history.commits("refs/heads/main", None, 2);
    history.point(b"refs/heads/caf\xe9", &tip);
    history.point("refs/heads/gr\u{fc}n \u{1f33f}".replace(' ', "-").as_bytes(), &tip);
    git::import(&strange, &history.finish(), false)
}

/// Writes `packed-refs` with many pull requests, each at one of the commits.
fn many_references(repository: &Path, count: u64) -> Result<(), SimError> {
    let commits = git::run(repository, &["rev-list", "refs/heads/main"], b"")?;
    let commits = String::from_utf8_lossy(&commits).into_owned();
    let commits: Vec<&str> = commits.lines().collect();
    let mut lines: Vec<String> = (0..count)
        .map(|number| {
            let commit = commits[usize::try_from(number).unwrap_or(0) % commits.len()];
            format!("{commit} refs/pull/{number}/head\n")
        })
        .collect();
    lines.sort_by(|a, b| a[41..].cmp(&b[41..]));
    let mut text = String::from("# pack-refs with: peeled fully-peeled sorted \n");
    text.extend(lines);
    fs::write(repository.join("packed-refs"), text).on("write", repository)
}
