//! The appliance's days: one random change after another, and maintenance beside them.

use std::{
    path::{Path, PathBuf},
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{deletion, growth, journal, moment, push, refs, worker};
use crate::{
    appliance::{Place, State, commands::mysql, log::now_us, mssql},
    build::networks::odd_ids,
    error::{OnFile, SimError},
    seed::Seed,
};

/// A life that goes on step by step.
#[derive(Debug)]
pub struct Life {
    place: Place,
    program: PathBuf,
    seed: Seed,
    worker: Option<Child>,
}

impl Life {
    /// The life of the appliance at `place`; `program` is the simulator's own program, for maintenance workers.
    #[must_use]
    pub fn new(place: &Place, program: &Path, seed: u64) -> Self {
        Self {
            place: place.clone(),
            program: program.to_owned(),
            seed: Seed::new(seed).part("life"),
            worker: None,
        }
    }

    /// Makes one random change.
    ///
    /// # Errors
    /// The disk, the journal or the state cannot be changed, or `git` fails.
    pub fn step(&mut self) -> Result<(), SimError> {
        let place = self.place.clone();
        let _moment = moment::of_change(&place)?;
        let state = State::load(&place)?;
        match self.seed.below(100) {
            0..=61 => self.push(&state).map(|_| ()),
            62..=69 => self.delete_reference(&state),
            70..=72 => {
                let networks: Vec<_> = state.networks.values().collect();
                match networks.get(self.seed.index(networks.len())) {
                    Some(network) => growth::fork(&place, network, &mut self.seed),
                    None => Ok(()),
                }
            }
            73..=74 => growth::repository(&place, &mut self.seed),
            75..=78 => growth::gist(&place, &mut self.seed),
            79..=86 => growth::object(&place, &mut self.seed),
            87..=91 => growth::page(&place, &mut self.seed),
            92..=95 => growth::audit_event(&place, &mut self.seed),
            96 if !state.mssql.is_empty() => mssql::write_somewhere(&place, &state, &mut self.seed),
            _ => {
                let row = format!("INSERT INTO `github_enterprise`.`users` VALUES ({},'life','');", now_us());
                mysql::append(&place, &row)
            }
        }
    }

    /// A repository that can be pushed to: a member, a wiki or a gist, but no SHA-256 one.
    fn pick(&mut self, state: &State) -> Option<String> {
        let mut routes: Vec<String> = state.gists.iter().cloned().collect();
        for network in state.networks.values().filter(|network| network.id != odd_ids::SHA256) {
            routes.extend(network.members.iter().map(|id| format!("{}/{id}.git", network.path)));
            routes.extend(network.wikis.iter().map(|id| format!("{}/{id}.wiki.git", network.path)));
        }
        // a test may have removed one behind the appliance's back
        routes.retain(|route| self.place.repositories().join(route).join("HEAD").exists());
        (!routes.is_empty()).then(|| routes.swap_remove(self.seed.index(routes.len())))
    }

    /// Pushes to a random branch, old or new; returns the repository and the branch.
    ///
    /// # Errors
    /// The repository cannot be read or written.
    pub fn push(&mut self, state: &State) -> Result<Option<(String, Vec<u8>)>, SimError> {
        let Some(route) = self.pick(state) else { return Ok(None) };
        let existing: Vec<Vec<u8>> = refs::read_all(&self.place.repositories().join(&route))?
            .into_keys()
            .filter(|name| name.starts_with(b"refs/heads/"))
            .collect();
        let branch = if existing.is_empty() || self.seed.chance(30) {
            format!("refs/heads/life/{}", self.seed.hex(6)).into_bytes()
        } else {
            existing[self.seed.index(existing.len())].clone()
        };
        let done = push::push(&self.place, &route, &branch, &mut self.seed)?;
        Ok(done.then_some((route, branch)))
    }

    fn delete_reference(&mut self, state: &State) -> Result<(), SimError> {
        let Some(route) = self.pick(state) else { return Ok(()) };
        let existing: Vec<Vec<u8>> = refs::read_all(&self.place.repositories().join(&route))?
            .into_keys()
            .filter(|name| name != b"refs/heads/main" && name != b"refs/heads/master")
            .collect();
        if existing.is_empty() {
            return Ok(());
        }
        let name = existing[self.seed.index(existing.len())].clone();
        deletion::delete(&self.place, &route, &name).map(|_| ())
    }

    /// Starts maintenance of a random network, unless one runs or the gate is there.
    ///
    /// # Errors
    /// The worker cannot be started.
    pub fn maintain(&mut self) -> Result<(), SimError> {
        if let Some(worker) = &mut self.worker
            && worker.try_wait().on("wait for", "the maintenance worker")?.is_none()
        {
            return Ok(());
        }
        self.worker = None;
        if self.place.gate().exists() {
            return Ok(());
        }
        let state = State::load(&self.place)?;
        let networks: Vec<_> = state.networks.into_values().collect();
        if !networks.is_empty() {
            let route = &networks[self.seed.index(networks.len())].path;
            self.worker = Some(worker::start(&self.place, &self.program, route)?);
        }
        Ok(())
    }

    /// Waits for a maintenance worker that still runs.
    pub fn rest(&mut self) {
        if let Some(mut worker) = self.worker.take() {
            let _ = worker.wait();
        }
    }

    /// Lives on for `rounds` changes, with maintenance after every tenth.
    ///
    /// # Errors
    /// As [`Life::step`].
    pub fn live(&mut self, rounds: u64) -> Result<(), SimError> {
        for round in 1..=rounds {
            self.step()?;
            if round % 10 == 0 {
                self.maintain()?;
                self.rest();
            }
        }
        Ok(())
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.rest();
    }
}

/// A life in a thread of its own; dropping it ends it.
#[derive(Debug)]
pub struct Living {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<u64, SimError>>>,
}

impl Living {
    /// Starts living at `rate` changes a second.
    #[must_use]
    pub fn start(mut life: Life, rate: f64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let pause = Duration::from_secs_f64(1.0 / rate.clamp(0.01, 1000.0));
        let thread = thread::spawn(move || {
            let mut steps = 0;
            while !stopped.load(Ordering::Relaxed) {
                life.step()?;
                steps += 1;
                if steps % 5 == 0 {
                    life.maintain()?;
                }
                thread::sleep(pause);
            }
            Ok(steps)
        });
        Self { stop, thread: Some(thread) }
    }

    /// Ends it; returns how many changes there were.
    ///
    /// # Errors
    /// A change failed.
    pub fn stop(mut self) -> Result<u64, SimError> {
        self.end()
    }

    fn end(&mut self) -> Result<u64, SimError> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take() {
            Some(thread) => thread
                .join()
                .unwrap_or_else(|_| Err(SimError::Refused("the living thread panicked".to_owned()))),
            None => Ok(0),
        }
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// Starts the journal anew, for an appliance whose disk was changed by a restore.
///
/// # Errors
/// As [`journal::begin`].
pub fn remember(place: &Place) -> Result<(), SimError> {
    journal::begin(place)
}
