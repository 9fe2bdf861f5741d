//! Units over the machines of a cluster: the appliance says which machines take each unit, each is sent what it takes, and
//! what has arrived is registered (contract §5.6).
//!
//! A machine that cannot be reached loses its part to the others of a route, or, where a route has no other, to the first
//! machine of the role. A unit is registered only with the machines that have it.

use std::collections::{HashMap, HashSet};

use super::{
    super::{
        cluster::{Cluster, Machine},
        error::StepError,
        report::Done,
        run::Scene,
        sync::{Item, Sameness, Sync, Transfer, Ways},
        units::Layout,
    },
    routed::walk_units,
};
use crate::restore::{
    entry::{Entry, join, show},
    report::Problem,
};

/// Lines that a finalize program is given at a time (contract §5.6).
const CHUNK: usize = 1000;

/// A dataset that is spread.
pub struct Spread {
    /// Directory in the snapshot, and below the appliance's data.
    pub from: &'static str,
    /// Which paths are units.
    pub layout: Layout,
    /// When a file is left alone.
    pub sameness: Sameness,
    /// Whether what the snapshot does not have is removed below the units.
    pub delete: bool,
    /// Units sent to a machine at a time.
    pub batch: usize,
    /// The step's name in progress events.
    pub part: &'static str,
    /// The role whose machines take the units.
    pub role: &'static str,
    /// The routes program, with its arguments.
    pub routes: String,
    /// The finalize program.
    pub finalize: &'static str,
    /// The line for the routes program; its first word comes back with a route.
    pub line: fn(&[u8], &Entry) -> String,
    /// The line for the finalize program without the servers, from the first word of the route.
    pub registration: fn(&str) -> String,
}

/// Sends a dataset and registers it.
pub fn spread(
    scene: &Scene<'_>,
    cluster: &Cluster<'_>,
    spread: &Spread,
    user: &str,
) -> Result<Done, StepError> {
    let from = spread.from.as_bytes();
    let (mut asking, mut asked) = (String::new(), 0_u64);
    let left_out = walk_units(scene, from, spread.layout, &mut |(path, entry), _| {
        asking.push_str(&(spread.line)(&path, &entry));
        asking.push('\n');
        asked += 1;
        Ok(())
    })?;
    let mut done = Done { problems: left_out, ..Done::default() };
    if asked == 0 {
        return Ok(done);
    }
    let answer = scene.remote.work(&format!("ask {}", spread.part), &spread.routes, asking.as_bytes())?;
    let routes = routes(&String::from_utf8_lossy(&answer), &format!("{}-server-", spread.role));
    let to = scene.data(spread.from);
    let transfer =
        Transfer { from, to: &to, user, sameness: spread.sameness, delete: spread.delete, part: spread.part };
    let mut lanes = lanes(scene, cluster, spread, user, &mut done)?;
    let mut sent: Vec<(String, Vec<u8>, Vec<usize>)> = Vec::new();
    walk_units(scene, from, spread.layout, &mut |(path, entry), ways| {
        let line = (spread.line)(&path, &entry);
        let key = line.split(' ').next().unwrap_or_default();
        let Some(uuids) = routes.get(key) else {
            let what = "the cluster gives it no place".into();
            done.problems.push(Problem { path: show(&join(from, &path)), what });
            return Ok(());
        };
        let takers = takers(&lanes, uuids);
        for index in &takers {
            lanes[*index].push(scene, &transfer, spread.batch, (path.clone(), entry.clone()), ways)?;
        }
        sent.push((key.to_owned(), path, takers));
        Ok(())
    })?;
    for lane in &mut lanes {
        lane.flush(scene, &transfer)?;
        done.add(std::mem::take(&mut lane.done));
    }
    register(scene, spread, &lanes, sent, &mut done)?;
    Ok(done)
}

/// The machines of the role that answer; the others are remarks.
fn lanes<'a>(
    scene: &Scene<'_>,
    cluster: &'a Cluster<'_>,
    spread: &Spread,
    user: &str,
    done: &mut Done,
) -> Result<Vec<Lane<'a>>, StepError> {
    let mut lanes = Vec::new();
    for machine in cluster.serving(spread.role) {
        match super::make_folder_at(&machine.remote(), scene, spread.from, user) {
            Ok(()) => lanes.push(Lane::new(machine)),
            Err(error) => done.warnings.push(left_behind(machine, spread.part, &error)),
        }
    }
    if lanes.is_empty() {
        let what = format!("no machine of the cluster that serves {} can be reached", spread.role);
        return Err(StepError::Answer { label: format!("send {}", spread.part), what });
    }
    Ok(lanes)
}

fn left_behind(machine: &Machine<'_>, part: &str, error: &StepError) -> String {
    format!("{} gets no {part}, other machines take its part: {error}", machine.node.name)
}

/// Which lanes take a unit: those of its route, or the first one where none of these is left.
fn takers(lanes: &[Lane<'_>], uuids: &[String]) -> Vec<usize> {
    let open = |index: &usize| lanes[*index].lost.is_none();
    let named = |index: &usize| uuids.contains(&lanes[*index].machine.node.uuid);
    let takers: Vec<usize> = (0..lanes.len()).filter(open).filter(named).collect();
    if takers.is_empty() { (0..lanes.len()).find(open).into_iter().collect() } else { takers }
}

/// What goes to one machine.
struct Lane<'a> {
    machine: &'a Machine<'a>,
    units: Vec<Item>,
    ways: Ways,
    done: Done,
    /// Units that were under way when the machine failed.
    failed: HashSet<Vec<u8>>,
    lost: Option<String>,
}

impl<'a> Lane<'a> {
    fn new(machine: &'a Machine<'_>) -> Self {
        let (units, ways) = (Vec::new(), Ways::new());
        Self { machine, units, ways, done: Done::default(), failed: HashSet::new(), lost: None }
    }

    fn push(
        &mut self,
        scene: &Scene<'_>,
        transfer: &Transfer<'_>,
        batch: usize,
        unit: Item,
        ways: &[Item],
    ) -> Result<(), StepError> {
        self.ways.extend(ways.iter().cloned());
        self.units.push(unit);
        if self.units.len() >= batch { self.flush(scene, transfer) } else { Ok(()) }
    }

    /// Sends what was gathered. The machine's failures end its lane; ours end the step.
    fn flush(&mut self, scene: &Scene<'_>, transfer: &Transfer<'_>) -> Result<(), StepError> {
        let units = std::mem::take(&mut self.units);
        let ways = std::mem::take(&mut self.ways);
        if units.is_empty() {
            return Ok(());
        }
        let names: Vec<Vec<u8>> = units.iter().map(|(path, _)| path.clone()).collect();
        if self.lost.is_some() {
            self.failed.extend(names);
            return Ok(());
        }
        let remote = self.machine.remote();
        let sync = Sync { remote: &remote, view: scene.view, progress: scene.sync.progress };
        match sync.units(transfer, units, &ways) {
            Ok(done) => self.done.add(done),
            Err(error @ (StepError::Channel(_) | StepError::Failed { .. } | StepError::Stream { .. })) => {
                self.done.warnings.push(left_behind(self.machine, transfer.part, &error));
                self.lost = Some(error.to_string());
                self.failed.extend(names);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Registers what has arrived, some lines at a time; what the program complains of is a remark.
fn register(
    scene: &Scene<'_>,
    spread: &Spread,
    lanes: &[Lane<'_>],
    sent: Vec<(String, Vec<u8>, Vec<usize>)>,
    done: &mut Done,
) -> Result<(), StepError> {
    let mut items = Vec::new();
    for (key, path, takers) in sent {
        let holders: Vec<String> = takers
            .iter()
            .map(|index| &lanes[*index])
            .filter(|lane| !lane.failed.contains(&path))
            .map(|lane| lane.machine.node.server(spread.role))
            .collect();
        if holders.is_empty() {
            let why = takers.iter().find_map(|index| lanes[*index].lost.clone()).unwrap_or_default();
            let what = format!("no machine of the cluster has taken it: {why}");
            done.problems.push(Problem { path: show(&join(spread.from.as_bytes(), &path)), what });
        } else {
            items.push(format!("{} {}\n", (spread.registration)(&key), holders.join(" ")));
        }
    }
    let label = format!("register {}", spread.part);
    let script = format!("github-env ./bin/{} >/dev/null", spread.finalize);
    for chunk in items.chunks(CHUNK) {
        let said = scene.remote.heard(&label, &script, chunk.concat().as_bytes())?;
        let complaints = said.lines().map(str::trim).filter(|line| !line.is_empty());
        done.warnings.extend(complaints.map(|line| format!("not registered by {}: {line}", spread.finalize)));
    }
    Ok(())
}

/// The machines' UUIDs by the first word of the lines that name a server of the kind.
fn routes(answer: &str, kind: &str) -> HashMap<String, Vec<String>> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let unit = words.next()?.to_owned();
        let uuids: Vec<String> =
            words.filter_map(|word| word.strip_prefix(kind)).map(str::to_owned).collect();
        (!uuids.is_empty()).then_some((unit, uuids))
    };
    answer.lines().filter_map(line).collect()
}

/// `<id> /data/repositories/<path>` for a network's path.
pub fn network_registration(path: &str) -> String {
    format!("{} /data/repositories/{path}", last(path))
}

/// `<name without .git> /data/repositories/<path>` for a gist's path.
pub fn gist_registration(path: &str) -> String {
    format!("{} /data/repositories/{path}", last(path).trim_end_matches(".git"))
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::{gist_registration, network_registration, routes};

    #[test]
    fn only_servers_of_the_kind_are_taken_from_a_route() {
        let found =
            routes("c/nw/c4/ca/42/1 git-server-a git-server-b\nnoise\nx pages-server-c\n", "git-server-");
        assert_eq!(found.len(), 1);
        assert_eq!(found["c/nw/c4/ca/42/1"], ["a", "b"]);
    }

    #[test]
    fn registrations_are_as_the_finalize_programs_take_them() {
        assert_eq!(network_registration("c/nw/c4/ca/42/1"), "1 /data/repositories/c/nw/c4/ca/42/1");
        assert_eq!(
            gist_registration("0/01/aa/3f/gist/93069ad4.git"),
            "93069ad4 /data/repositories/0/01/aa/3f/gist/93069ad4.git"
        );
    }
}
