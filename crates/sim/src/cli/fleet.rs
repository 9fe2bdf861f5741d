//! `ghevault-sim fleet …`: makes and serves installations of several machines.
//!
//! Whoever serves a fleet listens on a socket in its folder, by which machines are stopped and started meanwhile.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{args::FleetVerb, opened, say, scale_named, wait_for_the_end};
use crate::{
    build::{
        Recipe,
        databases::Databases,
        fleet::{FleetRecipe, Kind},
    },
    error::{OnFile, SimError},
    harness::{DoorKind, Fleet},
    live::life::Living,
};

pub(super) fn act(verb: FleetVerb) -> Result<(), SimError> {
    match verb {
        FleetVerb::Create { dir, kind, address, seed, scale, version, empty, stored_databases } => {
            let unknown =
                || SimError::Refused(format!("there is no kind of fleet `{kind}`: ha, cluster3, cluster5"));
            let kind = Kind::ALL.into_iter().find(|known| known.name() == kind).ok_or_else(unknown)?;
            let databases = if stored_databases { Databases::Stored } else { Databases::Auto };
            let scale = scale_named(&scale)?;
            let appliance =
                Recipe { seed, scale, version, configured: true, empty, databases, actions: false };
            let manifest = FleetRecipe { kind, appliance }.build_at(&dir, &address)?;
            let key = dir.join(&manifest.nodes[0].name).join("keys/client");
            say(&serde_json::json!({ "dir": dir, "kind": kind, "nodes": manifest.nodes, "client_key": key }))
        }
        FleetVerb::Serve { dir, node, door, port, authorized_key, live, until_stdin_closes } => {
            let door = match door.as_str() {
                "embedded" => DoorKind::Embedded,
                "sshd" => DoorKind::Sshd,
                other => {
                    return Err(SimError::Refused(format!("there is no door `{other}`: embedded, sshd")));
                }
            };
            let mut fleet = Fleet::open(&dir)?;
            if live.is_some() && fleet.kind() != Kind::Ha {
                return Err(SimError::Refused(
                    "a cluster has no life of its own: --live is for pairs".to_owned(),
                ));
            }
            for name in fleet.names() {
                opened(&fleet.folder().join(name), authorized_key.clone())?;
            }
            match node {
                Some(node) => fleet.open_alone(&node, door, port, live)?,
                None => drop(fleet.open_doors(door, port, live)?),
            }
            serve(fleet, live.filter(|_| door == DoorKind::Embedded), until_stdin_closes)
        }
        FleetVerb::StopNode { dir, node } => order(&dir, &format!("stop {node}")),
        FleetVerb::StartNode { dir, node } => order(&dir, &format!("start {node}")),
        FleetVerb::Replicate { dir } => Fleet::open(dir)?.replicate(),
    }
}

fn serve(fleet: Fleet, live: Option<f64>, until_stdin_closes: bool) -> Result<(), SimError> {
    let socket = socket_of(fleet.folder());
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).on("listen on", &socket)?;
    say(&reachable(&fleet)?)?;
    let living = live.map(|rate| fleet.first().live(rate, rand::random()));
    let fleet = Arc::new(Mutex::new(fleet));
    let orders = Arc::clone(&fleet);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Whoever gave an order and left does not wait for the answer.
            let _ = obey(&orders, stream);
        }
    });
    wait_for_the_end(until_stdin_closes)?;
    let _ = fs::remove_file(&socket);
    fleet.lock().unwrap_or_else(PoisonError::into_inner).close();
    living.map(Living::stop).transpose()?;
    Ok(())
}

fn reachable(fleet: &Fleet) -> Result<serde_json::Value, SimError> {
    let mut nodes = Vec::new();
    for name in fleet.names() {
        let (node, address) = (fleet.node(name)?, fleet.address(name)?);
        let role = crate::appliance::roster::replication(node.place()).unwrap_or_else(|| "node".to_owned());
        nodes.push(serde_json::json!({
            "name": name,
            "host": address.ip(),
            "port": address.port(),
            "host_key": node.host_key()?,
            "role": role,
        }));
    }
    Ok(serde_json::json!({ "nodes": nodes }))
}

fn socket_of(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

/// Gives an order to whoever serves the fleet, and waits until it is done.
fn order(dir: &Path, text: &str) -> Result<(), SimError> {
    let socket = socket_of(dir);
    let mut stream = UnixStream::connect(&socket).on("reach the server of the fleet at", &socket)?;
    writeln!(stream, "{text}").on("write to", &socket)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).on("read from", &socket)?;
    match answer.trim() {
        "done" => Ok(()),
        other => Err(SimError::Refused(other.to_owned())),
    }
}

fn obey(fleet: &Mutex<Fleet>, mut stream: UnixStream) -> std::io::Result<()> {
    let mut line = String::new();
    BufReader::new(stream.try_clone()?).read_line(&mut line)?;
    let mut fleet = fleet.lock().unwrap_or_else(PoisonError::into_inner);
    let done = match line.trim().split_once(' ') {
        Some(("stop", node)) => fleet.stop_node(node),
        Some(("start", node)) => fleet.start_node(node),
        _ => Err(SimError::Refused(format!("unknown order `{}`", line.trim()))),
    };
    match done {
        Ok(()) => writeln!(stream, "done"),
        Err(error) => writeln!(stream, "{error}"),
    }
}
