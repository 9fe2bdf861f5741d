//! Gists, Pages and storage objects: the appliance says where each unit belongs (contract §5.6).
//!
//! A cluster's machines are sent what they take ([`super::spread`]). A standalone appliance is asked too, because asking is what registers nothing and reveals what it will not take;
//! everything with a route goes to the one host, and nothing is finalized.

use std::collections::HashSet;

use super::{
    super::{
        error::StepError,
        report::Done,
        run::Scene,
        sync::{Item, Sameness, Transfer, Ways},
        units::{self, Layout, Place},
    },
    spread::{self, Spread},
};
use crate::{
    appliance::quote::quote,
    restore::{
        entry::{Entry, Kind, join, show},
        report::Problem,
    },
};

/// What a routed dataset is.
struct Routed {
    from: &'static str,
    layout: Layout,
    program: &'static str,
    role: &'static str,
    finalize: &'static str,
    registration: fn(&str) -> String,
    sameness: Sameness,
    delete: bool,
    batch: usize,
    part: &'static str,
    /// The line for the routes program; its first word comes back with a route.
    line: fn(&[u8], &Entry) -> String,
}

/// Sends gists.
pub fn gists(scene: &Scene<'_>) -> Result<Done, StepError> {
    let gists = Routed {
        from: "repositories",
        layout: units::gists,
        program: "gist-cluster-restore-routes",
        role: "git",
        finalize: "gist-cluster-restore-finalize",
        registration: spread::gist_registration,
        sameness: Sameness::Git,
        delete: true,
        batch: 500,
        part: "gists",
        line: |path, _| String::from_utf8_lossy(path).into_owned(),
    };
    restore(scene, &gists, "git")
}

/// Sends Pages sites.
pub fn pages(scene: &Scene<'_>) -> Result<Done, StepError> {
    let pages = Routed {
        from: "pages",
        layout: units::pages,
        program: "dpages-cluster-restore-routes",
        role: "pages",
        finalize: "dpages-cluster-restore-finalize",
        registration: str::to_owned,
        sameness: Sameness::Time,
        delete: true,
        batch: 500,
        part: "pages",
        line: |path, _| String::from_utf8_lossy(path).into_owned(),
    };
    restore(scene, &pages, "git")
}

/// Sends storage objects as the owner of their folder.
pub fn storage(scene: &Scene<'_>) -> Result<Done, StepError> {
    let storage = Routed {
        from: "storage",
        layout: units::storage,
        program: "storage-cluster-restore-routes",
        role: "storage",
        finalize: "storage-cluster-restore-finalize",
        registration: str::to_owned,
        sameness: Sameness::Size,
        delete: false,
        batch: 5000,
        part: "storage",
        line: |path, entry| format!("{} {}", last(path), entry.size),
    };
    let folder = quote(&scene.data("storage"));
    let machine = scene.cluster.and_then(|cluster| cluster.serving("storage").first().map(|m| m.remote()));
    let owner = machine
        .as_ref()
        .unwrap_or(scene.remote)
        .ask("ask who owns the storage", &format!("stat -c %U {folder} 2>/dev/null || echo git"))?;
    let owner = String::from_utf8_lossy(&owner).trim().to_owned();
    restore(scene, &storage, if owner.is_empty() || owner == "UNKNOWN" { "git" } else { &owner })
}

fn restore(scene: &Scene<'_>, routed: &Routed, user: &str) -> Result<Done, StepError> {
    if let Some(cluster) = scene.cluster {
        let spread = Spread {
            from: routed.from,
            layout: routed.layout,
            sameness: routed.sameness,
            delete: routed.delete,
            batch: routed.batch,
            part: routed.part,
            role: routed.role,
            routes: format!("github-env ./bin/{}", routed.program),
            finalize: routed.finalize,
            line: routed.line,
            registration: routed.registration,
        };
        return spread::spread(scene, cluster, &spread, user);
    }
    let from = routed.from.as_bytes();
    let mut lines = String::new();
    let mut asked = 0_u64;
    let left_out = walk_units(scene, from, routed.layout, &mut |(path, entry), _| {
        lines.push_str(&(routed.line)(&path, &entry));
        lines.push('\n');
        asked += 1;
        Ok(())
    })?;
    let mut done = Done { problems: left_out, ..Done::default() };
    if asked == 0 {
        return Ok(done);
    }
    let places = places(scene, routed.program, &lines)?;
    let to = scene.data(routed.from);
    let transfer =
        Transfer { from, to: &to, user, sameness: routed.sameness, delete: routed.delete, part: routed.part };
    super::make_folder(scene, routed.from, user)?;
    let mut batches = Batches::new(scene, &transfer, routed.batch);
    let mut without = Vec::new();
    walk_units(scene, from, routed.layout, &mut |(path, entry), ways| {
        let line = (routed.line)(&path, &entry);
        if places.contains(line.split(' ').next().unwrap_or_default()) {
            return batches.push((path, entry), ways);
        }
        without.push(show(&join(from, &path)));
        Ok(())
    })?;
    done.add(batches.finish()?);
    for path in without {
        done.problems.push(Problem { path, what: "the appliance gives it no place".into() });
    }
    Ok(done)
}

/// Asks a routes program; the first words of the lines that name a place.
fn places(scene: &Scene<'_>, program: &str, lines: &str) -> Result<HashSet<String>, StepError> {
    let label = format!("ask {program}");
    let script = format!("github-env ./bin/{program}");
    let answer = scene.remote.work(&label, &script, lines.as_bytes())?;
    Ok(placed(&String::from_utf8_lossy(&answer)))
}

fn placed(answer: &str) -> HashSet<String> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let unit = words.next()?;
        words.any(|word| word.contains("-server-")).then(|| unit.to_owned())
    };
    answer.lines().filter_map(line).collect()
}

fn last(path: &[u8]) -> String {
    String::from_utf8_lossy(path.rsplit(|b| *b == b'/').next().unwrap_or_default()).into_owned()
}

/// Gathers units and sends them some at a time, which bounds memory and the time between listing and sending.
pub struct Batches<'a> {
    scene: &'a Scene<'a>,
    transfer: &'a Transfer<'a>,
    size: usize,
    units: Vec<Item>,
    ways: Ways,
    done: Done,
}

impl<'a> Batches<'a> {
    /// Nothing gathered yet.
    pub fn new(scene: &'a Scene<'a>, transfer: &'a Transfer<'a>, size: usize) -> Self {
        Self { scene, transfer, size, units: Vec::new(), ways: Ways::new(), done: Done::default() }
    }

    /// Adds a unit with the directories above it.
    pub fn push(&mut self, unit: Item, ways: &[Item]) -> Result<(), StepError> {
        self.ways.extend(ways.iter().cloned());
        self.units.push(unit);
        if self.units.len() >= self.size { self.flush() } else { Ok(()) }
    }

    /// Sends what is left and tells what was done.
    pub fn finish(mut self) -> Result<Done, StepError> {
        self.flush()?;
        Ok(self.done)
    }

    fn flush(&mut self) -> Result<(), StepError> {
        if self.units.is_empty() {
            return Ok(());
        }
        let units = std::mem::take(&mut self.units);
        let ways = std::mem::take(&mut self.ways);
        self.done.add(self.scene.sync.units(self.transfer, units, &ways)?);
        Ok(())
    }
}

/// What a walk calls for each unit, with the directories above it.
pub type Visit<'v> = dyn FnMut(Item, &[Item]) -> Result<(), StepError> + 'v;

/// Visits the units of a dataset in order and returns what it cannot visit: paths that its layout does not know, and
/// directories that cannot be read.
pub fn walk_units(
    scene: &Scene<'_>,
    from: &[u8],
    layout: Layout,
    visit: &mut Visit<'_>,
) -> Result<Vec<Problem>, StepError> {
    let Some(root) = scene.view.find(from)? else { return Ok(Vec::new()) };
    let mut left_out = Vec::new();
    descend(scene, (from, &[]), &root.kind, layout, &mut Vec::new(), &mut (visit, &mut left_out))?;
    Ok(left_out)
}

fn descend(
    scene: &Scene<'_>,
    (from, at): (&[u8], &[u8]),
    kind: &Kind,
    layout: Layout,
    ways: &mut Vec<Item>,
    out: &mut (&mut Visit<'_>, &mut Vec<Problem>),
) -> Result<(), StepError> {
    let below = if at.is_empty() { from.to_vec() } else { join(from, at) };
    let problem = |path: &[u8], what: String| Problem { path: show(path), what };
    let (entries, bad) = match scene.view.children(&below, kind) {
        Ok(found) => found,
        Err(error) => {
            out.1.push(problem(&below, StepError::from(error).to_string()));
            return Ok(());
        }
    };
    out.1.extend(bad.into_iter().map(|what| problem(&below, what)));
    for entry in entries {
        let path = join(at, &entry.name);
        match layout(&path) {
            Place::Unit => (out.0)((path, entry), ways)?,
            Place::Way if entry.is_directory() => {
                ways.push((path.clone(), entry.clone()));
                descend(scene, (from, &path), &entry.kind, layout, ways, out)?;
                ways.pop();
            }
            Place::Elsewhere => {}
            Place::Way | Place::Foreign => {
                let what = format!("has no place in the layout of {} and is not restored", show(from));
                out.1.push(problem(&join(from, &path), what));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::placed;

    #[test]
    fn only_lines_with_a_server_are_routes() {
        let answer = "0/01/aa/3f/gist/9.git git-server-u git-server-v\nwarning: no\nonly/path\n\nabc storage-server-u\n";
        let mut routes: Vec<_> = placed(answer).into_iter().collect();
        routes.sort();
        assert_eq!(routes, ["0/01/aa/3f/gist/9.git", "abc"]);
    }
}
