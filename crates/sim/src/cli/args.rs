//! The words of the simulator's command line.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::{Parser, Subcommand};

/// A simulated GitHub Enterprise Server appliance.
#[derive(Debug, Parser)]
#[command(name = "ghevault-sim", version)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
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
        /// With GitHub Actions and the object store beside it.
        #[arg(long)]
        actions: bool,
    },
    /// Serve an appliance by the embedded SSH server; first line of stdout is JSON, ends by SIGTERM or SIGINT.
    Serve(Door),
    /// Serve an appliance by a real OpenSSH sshd in its own namespaces (needs root); otherwise as `serve`.
    Sshd(Door),
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
    /// Installations of several machines: a high-availability pair, clusters.
    #[command(subcommand)]
    Fleet(FleetVerb),
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

/// How an appliance is served, whichever the door.
#[derive(Debug, clap::Args)]
pub struct Door {
    /// The appliance's folder.
    pub dir: PathBuf,
    /// Address and port; port 0 chooses one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// A file of public keys that may log in as admin, besides the appliance's own client key.
    #[arg(long, value_name = "FILE")]
    pub authorized_key: Option<PathBuf>,
    /// Let the appliance live while it is served: changes a second (5 if none are given).
    #[arg(long, value_name = "RATE", num_args = 0..=1, default_missing_value = "5")]
    pub live: Option<f64>,
    /// Also end when stdin closes.
    #[arg(long)]
    pub until_stdin_closes: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum FleetVerb {
    /// Make a fleet in an empty folder, one appliance's folder for each machine; prints one JSON line.
    Create {
        /// The folder.
        dir: PathBuf,
        /// ha, cluster3 or cluster5.
        #[arg(long)]
        kind: String,
        /// Address of a machine, in their order (repeated); 127.0.0.11 and up if there are none.
        #[arg(long, value_name = "IP")]
        address: Vec<IpAddr>,
        /// What its content is drawn from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How much of everything: s, demo, m.
        #[arg(long, default_value = "demo")]
        scale: String,
        /// Version of GHES.
        #[arg(long, default_value = "3.11.0")]
        version: String,
        /// Without content: the target of a restore.
        #[arg(long)]
        empty: bool,
        /// Do not start database servers for the dumps, even where they are installed.
        #[arg(long)]
        stored_databases: bool,
    },
    /// Serve all machines; first line of stdout is JSON, ends by SIGTERM or SIGINT.
    Serve {
        /// The fleet's folder.
        dir: PathBuf,
        /// Serve only this machine, at all addresses of this host: the others are served elsewhere, from the same folder.
        #[arg(long, value_name = "NAME", requires = "port")]
        node: Option<String>,
        /// embedded or sshd (needs root).
        #[arg(long, default_value = "embedded")]
        door: String,
        /// The port that all machines share; 0 chooses one.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// A file of public keys that may log in as admin, besides the fleet's own client key.
        #[arg(long, value_name = "FILE")]
        authorized_key: Option<PathBuf>,
        /// Let the first machine live while it is served: changes a second (5 if none are given).
        #[arg(long, value_name = "RATE", num_args = 0..=1, default_missing_value = "5")]
        live: Option<f64>,
        /// Also end when stdin closes.
        #[arg(long)]
        until_stdin_closes: bool,
    },
    /// Make a machine of a served fleet unreachable.
    StopNode {
        /// The fleet's folder.
        dir: PathBuf,
        /// The machine's name.
        node: String,
    },
    /// Make it reachable again.
    StartNode {
        /// The fleet's folder.
        dir: PathBuf,
        /// The machine's name.
        node: String,
    },
    /// Bring the replica of a pair to what its primary holds now.
    Replicate {
        /// The fleet's folder.
        dir: PathBuf,
    },
}
