//! The simulator's command line.

mod args;
mod fleet;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use args::{Cli, Door, Verb};
use clap::Parser;

use crate::{
    appliance::{Place, State, commands::config_apply},
    build::{Recipe, Scale, databases::Databases},
    compare::{Aspects, compare_folders},
    doors::{
        embedded::Embedded,
        keys, namespace,
        sshd::{Reachable, Sshd},
    },
    error::{OnFile, SimError},
    harness,
    live::{Life, life::Living, worker},
};

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    match act(Cli::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            let source =
                std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            eprintln!("ghevault-sim: {error}{source}");
            ExitCode::from(2)
        }
    }
}

fn act(verb: Verb) -> Result<ExitCode, SimError> {
    match verb {
        Verb::Create {
            dir,
            seed,
            scale,
            version,
            unconfigured,
            empty,
            references,
            copies,
            big_pack_bytes,
            stored_databases,
            actions,
        } => {
            let scale = scale_named(&scale)?;
            let references = references.unwrap_or(scale.references);
            let scale = Scale { references, copies, big_pack_bytes, ..scale };
            let databases = if stored_databases { Databases::Stored } else { Databases::Auto };
            let recipe =
                Recipe { seed, scale, version, configured: !unconfigured, empty, databases, actions };
            let place = Place::new(dir);
            let state = recipe.build(&place)?;
            say(&created(&place, &state)?)?;
        }
        Verb::Serve(Door { dir, listen, authorized_key, live, until_stdin_closes }) => {
            let place = opened(&dir, authorized_key)?;
            let door = Embedded::start(&place, &harness_program()?, listen)?;
            let reachable = Reachable {
                host: door.address().ip().to_string(),
                port: door.address().port(),
                host_key: keys::fingerprint(&place)?,
            };
            say(&reachable)?;
            let life = || Ok::<_, SimError>(Life::new(&place, &harness_program()?, rand::random()));
            let living = live.map(|rate| Ok::<_, SimError>(Living::start(life()?, rate))).transpose()?;
            wait_for_the_end(until_stdin_closes)?;
            drop(door);
            living.map(Living::stop).transpose()?;
        }
        Verb::Sshd(Door { dir, listen, authorized_key, live, until_stdin_closes }) => {
            let place = opened(&dir, authorized_key)?;
            let door = Sshd::start(&place, &harness_program()?, listen, live)?;
            say(door.reachable())?;
            wait_for_the_end(until_stdin_closes)?;
            drop(door);
        }
        Verb::Mutate { dir, rounds, seed } => {
            let place = opened(&dir, None)?;
            Life::new(&place, &harness_program()?, seed).live(rounds)?;
        }
        Verb::Live { dir, rate, seed } => {
            let place = opened(&dir, None)?;
            let living = Living::start(
                Life::new(&place, &harness_program()?, seed.unwrap_or_else(rand::random)),
                rate,
            );
            wait_for_the_end(false)?;
            living.stop()?;
        }
        Verb::Compare { a, b, json, skip, owners, times } => {
            let comparison = compare_folders(&a, &b, &Aspects { skip, owners, times })?;
            if json {
                say(&comparison)?;
            } else {
                print!("{}", comparison.table());
            }
            return Ok(ExitCode::from(u8::from(!comparison.equal)));
        }
        Verb::Fleet(verb) => fleet::act(verb)?,
        Verb::Configure { dir } => config_apply::apply(&Place::new(dir))?,
        Verb::Namespace { dir, listen, live } => namespace::run(&Place::new(dir), listen, live)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The maintenance worker, called as `git nw-repack ROUTE`.
#[must_use]
pub fn maintain(args: &[String]) -> ExitCode {
    let route = args.get(1).map_or("", String::as_str);
    ExitCode::from(u8::from(worker::run(&Place::of_command(), route).is_err()))
}

fn harness_program() -> Result<PathBuf, SimError> {
    std::env::current_exe()
        .or_else(|_| harness::program().map_err(io::Error::other))
        .on("find", "this program")
}

fn opened(dir: &std::path::Path, authorized_key: Option<PathBuf>) -> Result<Place, SimError> {
    let place = Place::new(dir.canonicalize().on("find", dir)?);
    State::load(&place)?;
    keys::prepare_client(&place)?;
    if let Some(file) = authorized_key {
        keys::allow(&place, &file)?;
    }
    Ok(place)
}

fn scale_named(name: &str) -> Result<Scale, SimError> {
    let unknown = || SimError::Refused(format!("there is no scale `{name}`"));
    Scale::ALL.into_iter().find(|known| known.name == name).ok_or_else(unknown)
}

fn created(place: &Place, state: &State) -> Result<serde_json::Value, SimError> {
    Ok(serde_json::json!({
        "dir": place.root(),
        "version": state.version,
        "networks": state.networks.len(),
        "gists": state.gists.len(),
        "pages": state.pages.len(),
        "storage": state.storage.len(),
        "databases": state.databases,
        "client_key": place.key("client"),
        "host_key": keys::fingerprint(place)?,
    }))
}

fn say(value: &impl serde::Serialize) -> Result<(), SimError> {
    let line = serde_json::to_string(value).map_err(|error| SimError::Refused(error.to_string()))?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).on("write", "stdout")
}

fn wait_for_the_end(until_stdin_closes: bool) -> Result<(), SimError> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().on("start", "the runtime")?;
    runtime.block_on(async {
        let mut term = signal(SignalKind::terminate()).on("listen to", "SIGTERM")?;
        let mut int = signal(SignalKind::interrupt()).on("listen to", "SIGINT")?;
        let (open, mut closing) = tokio::sync::mpsc::channel::<()>(1);
        if until_stdin_closes {
            std::thread::spawn(move || {
                let _ = io::copy(&mut io::stdin(), &mut io::sink());
                drop(open);
            });
        } else {
            std::mem::forget(open);
        }
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            _ = closing.recv() => {}
        }
        Ok(())
    })
}
