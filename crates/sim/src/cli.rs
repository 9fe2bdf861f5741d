//! The simulator's command line.

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{
    appliance::{Place, State, commands::config_apply},
    build::{Recipe, Scale, databases::Databases},
    compare::{Aspects, compare},
    doors::{
        embedded::Embedded,
        keys, namespace,
        sshd::{Reachable, Sshd},
    },
    error::{OnFile, SimError},
    harness,
    live::{Life, life::Living, worker},
};

/// A simulated GitHub Enterprise Server appliance.
#[derive(Debug, Parser)]
#[command(name = "ghevault-sim", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make an appliance in an empty folder; prints one JSON line.
    Create {
        /// The folder.
        dir: PathBuf,
        /// What its content is drawn from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How much of everything: s, demo, m.
        #[arg(long, default_value = "demo")]
        scale: String,
        /// Version of GHES.
        #[arg(long, default_value = "3.11.0")]
        version: String,
        /// Without /etc/github/configured.
        #[arg(long)]
        unconfigured: bool,
        /// Without content: the target of a restore.
        #[arg(long)]
        empty: bool,
        /// References of the repository that has many (instead of the scale's number).
        #[arg(long)]
        references: Option<u64>,
        /// Additional networks, copies of the first one (about 870 files and folders each).
        #[arg(long, default_value_t = 0)]
        copies: u64,
        /// Bytes of one large pack (0: none).
        #[arg(long, default_value_t = 0)]
        big_pack_bytes: u64,
        /// Do not start database servers for the dumps, even where they are installed.
        #[arg(long)]
        stored_databases: bool,
    },
    /// Serve an appliance by the embedded SSH server; first line of stdout is JSON, ends by SIGTERM or SIGINT.
    Serve {
        /// The appliance's folder.
        dir: PathBuf,
        /// Address and port; port 0 chooses one.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// A file of public keys that may log in as admin, besides the appliance's own client key.
        #[arg(long, value_name = "FILE")]
        authorized_key: Option<PathBuf>,
        /// Let the appliance live while it is served: changes a second (5 if none are given).
        #[arg(long, value_name = "RATE", num_args = 0..=1, default_missing_value = "5")]
        live: Option<f64>,
        /// Also end when stdin closes.
        #[arg(long)]
        until_stdin_closes: bool,
    },
    /// Serve an appliance by a real OpenSSH sshd in its own namespaces (needs root); otherwise as `serve`.
    Sshd {
        /// The appliance's folder.
        dir: PathBuf,
        /// Address and port; port 0 chooses one.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// A file of public keys that may log in as admin, besides the appliance's own client key.
        #[arg(long, value_name = "FILE")]
        authorized_key: Option<PathBuf>,
        /// Let the appliance live while it is served: changes a second (5 if none are given).
        #[arg(long, value_name = "RATE", num_args = 0..=1, default_missing_value = "5")]
        live: Option<f64>,
        /// Also end when stdin closes.
        #[arg(long)]
        until_stdin_closes: bool,
    },
    /// Change an appliance by a number of random writes, with maintenance in between; no door needs to be open.
    Mutate {
        /// The appliance's folder.
        dir: PathBuf,
        /// How many changes.
        #[arg(long, default_value_t = 20)]
        rounds: u64,
        /// What they are drawn from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Change an appliance continuously until SIGTERM or SIGINT.
    Live {
        /// The appliance's folder.
        dir: PathBuf,
        /// Changes a second.
        #[arg(long, default_value_t = 5.0)]
        rate: f64,
        /// What they are drawn from; by default something new each time.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Compare two appliances, dataset by dataset; exit code 1 if anything is different.
    Compare {
        /// One appliance's folder.
        a: PathBuf,
        /// The other's.
        b: PathBuf,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
        /// Leave out a dataset (may be repeated).
        #[arg(long)]
        skip: Vec<String>,
        /// Compare owners too.
        #[arg(long)]
        owners: bool,
        /// Compare modification times too.
        #[arg(long)]
        times: bool,
    },
    /// Apply the configuration, as saving the settings in the Management Console does.
    Configure {
        /// The appliance's folder.
        dir: PathBuf,
    },
    /// Inside of the sshd door.
    #[command(hide = true)]
    Namespace {
        dir: PathBuf,
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        live: Option<f64>,
    },
}

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
        } => {
            let scale = Scale::ALL
                .into_iter()
                .find(|known| known.name == scale)
                .ok_or_else(|| SimError::Refused(format!("there is no scale `{scale}`")))?;
            let references = references.unwrap_or(scale.references);
            let scale = Scale { references, copies, big_pack_bytes, ..scale };
            let databases = if stored_databases { Databases::Stored } else { Databases::Auto };
            let recipe = Recipe { seed, scale, version, configured: !unconfigured, empty, databases };
            let place = Place::new(dir);
            let state = recipe.build(&place)?;
            say(&created(&place, &state)?)?;
        }
        Verb::Serve { dir, listen, authorized_key, live, until_stdin_closes } => {
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
        Verb::Sshd { dir, listen, authorized_key, live, until_stdin_closes } => {
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
            let comparison = compare(&Place::new(a), &Place::new(b), &Aspects { skip, owners, times })?;
            if json {
                say(&comparison)?;
            } else {
                print!("{}", comparison.table());
            }
            return Ok(ExitCode::from(u8::from(!comparison.equal)));
        }
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
