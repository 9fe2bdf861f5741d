//! Lists folders of the appliance: on the connected machine, or on the nodes of a cluster that have them.

use std::{
    io::{self, Read},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    capture::Tally,
    fetch::{Fate, FetchError, Wanted, fetch},
    resolve::Trust,
    survey::{Survey, Surveyor},
};
use crate::{
    appliance::{
        channel::{Channel, RemoteCommand},
        listing::{FORMAT, for_each_record},
        quote::quote,
    },
    backup::{
        context::{CaptureError, Context, last_lines},
        shard::listing::above_units,
        spread::Spread,
        unit::{is_objects, unit_of},
    },
};

impl Context<'_> {
    /// Runs a listing script (its output gzip-compressed) and sums it up; `places` go to its stdin, separated by NUL. Messages about
    /// vanished entries are normal. In a cluster each place is listed on the node that it is read from.
    ///
    /// # Errors
    /// The command or its stream fails, or it names an error other than a vanished entry.
    pub fn list(
        &self,
        label: &str,
        script: &str,
        places: &[Vec<u8>],
        tally: &Tally,
    ) -> Result<Survey, CaptureError> {
        let Some(spread) = self.spread else {
            return Ok(self.survey_on(self.channel, label, script, places, tally, false)?.finish());
        };
        let mut whole = Surveyor::new(self.known, self.trust() == Trust::Facts).spread();
        self.list_spread(spread, label, script, places.to_vec(), tally, &mut whole)?;
        Ok(whole.finish())
    }

    /// The first listing of a dataset that is spread over nodes: its routes with `expression`, and the folders above them. A route that its
    /// node does not have is looked for on the next one.
    ///
    /// # Errors
    /// As [`Context::list`]; nodes that fail are lost, not an error.
    pub fn list_places(
        &self,
        spread: &Spread,
        (part, label): (&str, &str),
        expression: &str,
        tally: &Tally,
    ) -> Result<Survey, CaptureError> {
        let root = quote(&self.settings.data_root);
        let script = |expression: &str| {
            let inner = format!("exec find \"$@\" {expression}");
            format!("cd {root} && sudo xargs -0 -r sh -c {} sh | gzip -1", quote(&inner))
        };
        let mut whole = Surveyor::new(self.known, self.trust() == Trust::Facts).spread();
        let (mut todo, others) = self.shares(spread.routes().iter().cloned());
        while !todo.is_empty() {
            self.list_spread(spread, label, &script(expression), todo.clone(), tally, &mut whole)?;
            todo.retain(|route| has_units(route) && !whole.has_unit_in(route));
            todo.retain(|route| match spread.node_of(route, self.machines) {
                Some(at) => {
                    spread.exclude(route, at);
                    spread.node_of(route, self.machines).is_some()
                }
                None => false,
            });
        }
        let folders = script(&format!("-maxdepth 0 -printf '{FORMAT}'"));
        let (above, others_above) = self.shares(spread.above());
        self.list_spread(spread, label, &folders, above, tally, &mut whole)?;
        let Some(shard) = &self.settings.shard else { return Ok(whole.finish()) };
        if !shard.is_first() {
            let mut survey = whole.finish();
            survey.units.retain(|path, _| !unit_of(path, true).spine);
            return Ok(survey);
        }
        // The folders of other shards' networks belong to those above the routes, and so to us.
        if part == "repositories" {
            let above = script(&above_units(part, ""));
            self.list_spread(spread, label, &above, others.clone(), tally, &mut whole)?;
        }
        let mut survey = whole.finish();
        let (own, elsewhere) = survey.places.into_iter().partition(|path| is_objects(path));
        (survey.places, survey.elsewhere) = (own, elsewhere);
        survey.elsewhere.extend(others.into_iter().chain(others_above));
        Ok(survey)
    }

    /// Lists places on their nodes, those of a lost node on the next one; places that no node has are left out.
    pub(in crate::backup) fn list_spread<'k>(
        &'k self,
        spread: &Spread,
        label: &str,
        script: &str,
        mut places: Vec<Vec<u8>>,
        tally: &Tally,
        whole: &mut Surveyor<'k>,
    ) -> Result<(), CaptureError> {
        while !places.is_empty() {
            let now = std::mem::take(&mut places);
            for (at, group) in spread.groups(now.iter().map(Vec::as_slice), self.machines) {
                let group: Vec<Vec<u8>> = group.into_iter().map(|index| now[index].clone()).collect();
                let Some(channel) = self.machines.channel(at) else {
                    places.extend(group);
                    continue;
                };
                let label = format!("{label} on {}", self.machines.name(at));
                match self.twice(|| self.survey_on(channel, &label, script, &group, tally, true)) {
                    Ok(part) => whole.absorb(part),
                    Err(error) if error.ends_run() => return Err(error),
                    Err(error) => {
                        self.machines.lose(at, error.to_string());
                        places.extend(group);
                    }
                }
            }
        }
        Ok(())
    }

    /// Once more: a passing fault should not cost a node.
    fn twice<T>(&self, act: impl Fn() -> Result<T, CaptureError>) -> Result<T, CaptureError> {
        match act() {
            Err(error) if !error.ends_run() => self.check_cancelled().and_then(|()| act()),
            end => end,
        }
    }

    fn survey_on(
        &self,
        channel: &dyn Channel,
        label: &str,
        script: &str,
        places: &[Vec<u8>],
        tally: &Tally,
        spread: bool,
    ) -> Result<Surveyor<'_>, CaptureError> {
        self.check_cancelled()?;
        let command = RemoteCommand::bulk(label, self.bash(script), self.settings.idle);
        let mut running = channel.start(&command)?;
        let input = running.take_stdin();
        let Some(output) = running.take_stdout() else {
            return Err(CaptureError::Unexpected(format!("`{label}` has no output stream")));
        };
        let mut surveyor = Surveyor::new(self.known, self.trust() == Trust::Facts);
        if spread {
            surveyor = surveyor.spread();
        }
        let counted = CountedBytes(output, &tally.bytes_read);
        let listed = std::thread::scope(|scope| {
            let feeder = scope.spawn(move || send_paths(input, places));
            let reader = flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(128 * 1024, counted));
            let listed = for_each_record::<CaptureError>(reader, |record| {
                surveyor.add(record);
                Ok(())
            });
            // An end of the command before the end of its input shows in its status.
            let _ = feeder.join();
            listed
        });
        let exit = running.wait()?;
        if !exit.status.success() && !only_vanished(&exit.stderr) {
            return Err(CaptureError::Command {
                label: label.into(),
                status: exit.status.to_string(),
                stderr: last_lines(&exit.stderr),
            });
        }
        listed?;
        Ok(surveyor)
    }

    /// Why a unit is missing from a listing, when that is not because it was deleted: no node that has it can be used.
    pub(in crate::backup) fn why_missing(&self, unit: &[u8]) -> Option<String> {
        let spread = self.spread?;
        spread.node_of(unit, self.machines).is_none().then(|| spread.lost(unit, self.machines))
    }

    /// Fetches each file from its node. What a lost node did not deliver counts as vanished: it is listed again, on the next node.
    pub(super) fn fetch_spread<T>(
        &self,
        spread: &Spread,
        wanted: &[Wanted],
        store: &dyn Fn(usize, &mut dyn Read) -> io::Result<T>,
    ) -> Result<Vec<Fate<T>>, FetchError> {
        let mut fates: Vec<Fate<T>> = Vec::new();
        fates.resize_with(wanted.len(), || Fate::Vanished);
        let groups = spread.groups(wanted.iter().map(|file| &file.path[..]), self.machines);
        for (node, group) in groups {
            let files: Vec<Wanted> = group.iter().map(|at| wanted[*at].clone()).collect();
            for last in [false, true] {
                let Some(channel) = self.machines.channel(node) else { break };
                let (root, nice) = (&self.settings.data_root, &self.settings.nice);
                match fetch(channel, root, nice, &files, |at, body| store(group[at], body)) {
                    Ok(got) => {
                        for (at, fate) in group.iter().zip(got) {
                            fates[*at] = fate;
                        }
                        break;
                    }
                    Err(error @ FetchError::Store { .. }) => return Err(error),
                    Err(error) if last => self.machines.lose(node, error.to_string()),
                    Err(_) => {}
                }
            }
        }
        Ok(fates)
    }
}

/// Whether a route is a folder with units of its own in it, as networks and gists are.
fn has_units(route: &[u8]) -> bool {
    route.starts_with(b"repositories/")
        && !route.starts_with(b"repositories/__")
        && !route.starts_with(b"repositories/info/")
}

fn send_paths(input: Option<Box<dyn io::Write + Send>>, paths: &[Vec<u8>]) -> io::Result<()> {
    let Some(input) = input else { return Ok(()) };
    let mut input = io::BufWriter::with_capacity(64 * 1024, input);
    for path in paths {
        io::Write::write_all(&mut input, path)?;
        io::Write::write_all(&mut input, &[0])?;
    }
    io::Write::flush(&mut input)
}

/// Whether find's messages only tell of entries that vanished while it walked.
fn only_vanished(stderr: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stderr);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty()).peekable();
    lines.peek().is_some() && lines.all(|line| line.contains("No such file or directory"))
}

struct CountedBytes<'a, R>(R, &'a AtomicU64);

impl<R: Read> Read for CountedBytes<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.0.read(buf)?;
        self.1.fetch_add(got as u64, Ordering::Relaxed);
        Ok(got)
    }
}
