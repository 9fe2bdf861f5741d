//! `ghe-repl-status`, `-setup`, `-start`, `-stop`, `-promote`, `-teardown` (contract §6.2, §6.3).
//!
//! Replication itself is a copy of the primary's data at a moment ([`crate::build::fleet::replicate`]); what a replica
//! says about it is told by [`crate::appliance::state::Knobs::replication`].

use std::fs;

use super::{Call, Ended, config, config_apply};
use crate::{
    appliance::{
        Place, State,
        membership::{self, Membership},
        roster::{self, Member, Roster},
    },
    error::{OnFile, SimError},
};

/// The channels in the order of the report; `mssql` only with Actions.
pub const CHANNELS: [&str; 9] =
    ["mysql", "mssql", "redis", "elasticsearch", "git", "pages", "alambic", "git-hooks", "consul"];

pub(super) fn run(call: &Call) -> Ended {
    if call.name == "ghe-repl-setup" {
        return setup(call);
    }
    let Some(roster) = Roster::load(&call.place)? else { return Ok(super::cluster::not_configured()) };
    let role = roster::replication(&call.place).unwrap_or_default();
    if call.name == "ghe-repl-teardown" {
        return teardown(call, &roster, &role);
    }
    if role != "replica" {
        eprintln!("Error: {} must be run on a replica.", call.name);
        return Ok(1);
    }
    match call.name.as_str() {
        "ghe-repl-status" => status(call),
        "ghe-repl-start" => start(call),
        "ghe-repl-stop" => stop(call),
        "ghe-repl-promote" => promote(call, &roster),
        other => Err(SimError::Refused(format!("the simulated appliance has no command `{other}`"))),
    }
}

fn status(call: &Call) -> Ended {
    let state = State::load(&call.place)?;
    if !state.replicating {
        call.say("WARNING: replication is not running")?;
        return Ok(1);
    }
    let verbose = call.args.iter().any(|arg| arg.starts_with("-v"));
    let actions = config::is_true(&call.place, "app.actions.enabled")?;
    let mut worst = 0;
    for channel in CHANNELS {
        if channel == "mssql" && !actions {
            continue;
        }
        let line = state.knobs.replication.get(channel).cloned().unwrap_or_else(|| in_sync(channel));
        worst = worst.max(match line.split(':').next() {
            Some("OK") => 0,
            Some("WARNING") => 1,
            _ => 2,
        });
        call.say(&line)?;
        if verbose && channel == "mysql" {
            let delay: String = line.chars().filter(char::is_ascii_digit).collect();
            let delay = if delay.is_empty() { "0" } else { &delay };
            call.say(format!("  | IO running: Yes, SQL running: Yes, Delay: {delay}"))?;
        }
    }
    Ok(worst)
}

fn in_sync(channel: &str) -> String {
    match channel {
        "elasticsearch" => {
            "OK: elasticsearch cluster is in sync (0 shards initializing, 0 shards unassigned)".to_owned()
        }
        other => format!("OK: {other} replication is in sync"),
    }
}

fn replicating(place: &Place, on: bool) -> Result<(), SimError> {
    State::update(place, |state| {
        state.replicating = on;
        Ok(())
    })
}

fn start(call: &Call) -> Ended {
    for service in ["MySQL", "Redis", "Elasticsearch", "Git", "Pages", "Alambic"] {
        call.say(format!("Starting {service} replication ..."))?;
    }
    replicating(&call.place, true)?;
    call.say("Success: replication is running for all services.")?;
    call.say("Use `ghe-repl-status' to monitor replication health and progress.")?;
    Ok(0)
}

fn stop(call: &Call) -> Ended {
    replicating(&call.place, false)?;
    call.say("Success: Replication was stopped for all services.")?;
    Ok(0)
}

/// The former primary keeps its own idea of the world: it is put into maintenance if it can be reached, and has to be shut
/// down by hand (contract §6.4). Here its section is dropped, for replication must be set up anew.
fn promote(call: &Call, roster: &Roster) -> Ended {
    let place = &call.place;
    call.say("Enabling maintenance mode on the primary to prevent writes ...")?;
    let primaries: Vec<&Member> =
        roster.members.iter().filter(|member| !member.replica && member.name != roster.own).collect();
    for primary in &primaries {
        let answer = membership::on_node(place, &primary.name, "ghe-maintenance -s", b"")?;
        if answer.code != 0 {
            eprintln!("Warning: the primary {} could not be reached: {}", primary.name, answer.stderr.trim());
        }
    }
    call.say("Stopping replication ...")?;
    replicating(place, false)?;
    call.say("Switching out of replica mode ...")?;
    let conf = roster::conf(place);
    for service in roster.masters.keys() {
        roster::set(&conf, &format!("cluster.{service}-master"), &roster.own)?;
    }
    roster::unset(&conf, &format!("cluster.{}.replica", roster.own))?;
    for primary in primaries {
        roster::remove_member(&conf, &primary.name)?;
    }
    set_role(place, Some("primary"))?;
    call.say("Applying configuration and starting services ...")?;
    config_apply::apply(place)?;
    call.say("Success: Replica has been promoted to primary and is now accepting requests.")?;
    Ok(0)
}

/// Sets or removes the machine's part in replication.
fn set_role(place: &Place, role: Option<&str>) -> Result<(), SimError> {
    let path = place.disk(roster::REPL_STATE);
    match role {
        Some(role) => fs::write(&path, format!("{role}\n")).on("write", path),
        None if path.exists() => fs::remove_file(&path).on("remove", path),
        None => Ok(()),
    }
}

/// Takes this machine out of the pair, and both out of clustering when no replica is left.
fn teardown(call: &Call, roster: &Roster, role: &str) -> Ended {
    let place = &call.place;
    if role == "replica" {
        for primary in roster.members.iter().filter(|member| !member.replica) {
            let own = &roster.own;
            let uuid = roster.member(own).map_or("", |member| member.uuid.as_str());
            let leave = format!(
                "ghe-spokes server destroy git-server-{uuid} && ghe-config --remove-section cluster.{own}"
            );
            let mut answer = membership::on_node(place, &primary.name, &leave, b"")?;
            if answer.code == 0 && roster.members.iter().filter(|member| member.replica).count() == 1 {
                let alone = format!("sudo rm -f {} {}", roster::REPL_STATE, roster::MARK);
                answer = membership::on_node(place, &primary.name, &alone, b"")?;
            }
            if answer.code != 0 {
                eprintln!(
                    "Warning: the primary {} could not be told: {}",
                    primary.name,
                    answer.stderr.trim()
                );
            }
        }
    }
    set_role(place, None)?;
    for path in [place.disk(roster::MARK), roster::conf(place)] {
        fs::remove_file(&path).on("remove", path)?;
    }
    replicating(place, false)?;
    call.say("Success: Replication configuration has been removed.")?;
    Ok(0)
}

/// What a replica takes over from its primary (contract §6.1).
const TAKEN_OVER: &str = "github.conf secrets.conf cluster.conf saml-sp.p12 authorized_keys ssh_host_*";

fn setup(call: &Call) -> Ended {
    let place = &call.place;
    let Some(membership) = Membership::load(place)? else {
        return Err(SimError::Refused(
            "this simulated appliance has no other machine to replicate".to_owned(),
        ));
    };
    let (address, _) = membership.lead(call.arg(0), membership::ADMIN_PORT);
    let named = |peer: &&membership::Peer| peer.address.to_string() == address && peer.name != membership.own;
    let Some(primary) = membership.peers.iter().find(named) else {
        return Err(SimError::Refused(format!("`{}` is no other machine of this fleet", call.arg(0))));
    };
    let own = Member {
        name: membership.own.clone(),
        address: membership
            .peers
            .iter()
            .find(|peer| peer.name == membership.own)
            .map_or(String::new(), |peer| peer.address.to_string()),
        uuid: fs::read_to_string(place.disk("/data/user/common/uuid")).unwrap_or_default().trim().to_owned(),
        datacenter: "default".to_owned(),
        roles: crate::build::fleet::all_roles(),
        offline: false,
        replica: true,
    };
    let ask = |script: &str, input: &[u8]| -> Result<String, SimError> {
        let answer = membership::on_node(place, &primary.name, script, input)?;
        if answer.code == 0 {
            return Ok(answer.stdout);
        }
        let reason = answer.stderr.trim().to_owned();
        Err(SimError::Program { program: format!("{script} on {}", primary.name), reason })
    };
    call.say("Verifying ssh connectivity ...")?;
    let uuid = ask("cat /data/user/common/uuid", b"")?.trim().to_owned();
    let first = Member {
        name: primary.name.clone(),
        address: primary.address.to_string(),
        uuid,
        replica: false,
        ..own.clone()
    };
    let conf = tempfile::NamedTempFile::new_in(place.root()).on("create a file in", place.root())?;
    fs::write(conf.path(), crate::build::fleet::ha_conf(&first.name)).on("write", conf.path())?;
    roster::write_member(conf.path(), &first)?;
    roster::write_member(conf.path(), &own)?;
    let text = fs::read(conf.path()).on("read", conf.path())?;
    ask("sudo tee /data/user/common/cluster.conf >/dev/null", &text)?;
    ask(&format!("echo {} | sudo tee {} >/dev/null", first.name, roster::MARK), b"")?;
    ask(&format!("echo primary | sudo tee {} >/dev/null", roster::REPL_STATE), b"")?;
    take_over(call, &primary.name)?;
    fs::write(place.disk(roster::MARK), format!("{}\n", own.name)).on("write", roster::MARK)?;
    set_role(place, Some("replica"))?;
    call.say(format!("Success: Replica mode is configured against {}.", primary.address))?;
    call.say("To disable replica mode and undo these changes, run `ghe-repl-teardown'.")?;
    call.say("Run `ghe-repl-start' to start replicating from the newly configured primary.")?;
    Ok(0)
}

fn take_over(call: &Call, primary: &str) -> Result<(), SimError> {
    let script = format!(
        "cd /data/user/common && sudo bash -c 'shopt -s nullglob; tar --ignore-failed-read -cf - {TAKEN_OVER} 2>/dev/null'"
    );
    let unpack = std::process::Command::new("tar")
        .arg("-C")
        .arg(call.place.disk("/data/user/common"))
        .args(["-xpf", "-"])
        .stdin(
            membership::ssh(&call.place)?
                .args([primary, "--", &script])
                .stdout(std::process::Stdio::piped())
                .spawn()
                .on("run", "ssh")?
                .stdout
                .take()
                .map_or_else(std::process::Stdio::null, std::process::Stdio::from),
        )
        .status()
        .on("run", "tar")?;
    if !unpack.success() {
        return Err(SimError::Program { program: "tar".to_owned(), reason: unpack.to_string() });
    }
    super::host_keys::taken_over(call)
}
