//! `ghe-cluster-nodes`, `-each`, `-host-check`, `-maintenance` and the configuration runs of a fleet (contract §6.2, §7.2).
//!
//! What runs on other machines really runs there, over SSH. A node that is marked as offline is asked nothing.

use super::{Call, Ended, config_apply, recorded};
use crate::{
    appliance::{
        Place,
        membership::{self, Answer},
        roster::{Member, Roster},
    },
    error::SimError,
};

pub(super) fn run(call: &Call) -> Ended {
    let Some(roster) = Roster::load(&call.place)? else {
        // Asking an appliance that stands alone for replicas is answered by silence.
        if call.name == "ghe-cluster-nodes" && call.has("--replica") {
            return Ok(0);
        }
        return Ok(not_configured());
    };
    match call.name.as_str() {
        "ghe-cluster-nodes" => nodes(call, &roster),
        "ghe-cluster-each" => each(call, &roster),
        "ghe-cluster-host-check" => host_check(call, &roster),
        "ghe-cluster-maintenance" => everywhere(call, &roster, &format!("ghe-maintenance {}", call.arg(0))),
        "ghe-cluster-nomad-cleanup" => recorded::run(call),
        "ghe-cluster-config-apply" => apply(call, &roster),
        "ghe-cluster-config-update" => update(call, &roster),
        other => Err(SimError::Refused(format!("the simulated appliance has no command `{other}`"))),
    }
}

/// What every `ghe-cluster-…` command says on an appliance that stands alone (contract §6.2).
pub(super) fn not_configured() -> u8 {
    eprintln!("Clustering is not configured on this host.");
    1
}

/// Which nodes a command line chooses, and the words that are left.
struct Choice<'a> {
    members: Vec<&'a Member>,
    rest: Vec<&'a str>,
    uuids: bool,
    addresses: bool,
}

impl<'a> Choice<'a> {
    fn of(call: &'a Call, roster: &'a Roster) -> Result<Self, SimError> {
        let mut choice = Self {
            members: roster.members.iter().collect(),
            rest: Vec::new(),
            uuids: false,
            addresses: false,
        };
        let mut offline = false;
        let mut words = call.args.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let mut value = || {
                let missing = || SimError::Refused(format!("{word} needs a value"));
                words.next().ok_or_else(missing)
            };
            match word {
                "-r" | "--role" => {
                    let role = value()?;
                    choice.members.retain(|member| member.roles.contains(role));
                }
                "-d" | "--datacenter" => {
                    let datacenter = value()?;
                    choice.members.retain(|member| member.datacenter == datacenter);
                }
                "--replica" => choice.members.retain(|member| member.replica),
                "--primary" => choice.members.retain(|member| !member.replica),
                "-x" => choice.members.retain(|member| member.name != roster.own),
                "-o" => offline = true,
                "-u" | "--uuid" => choice.uuids = true,
                "-i" | "--ip" => choice.addresses = true,
                "-p" | "-s" => {}
                "--" => {
                    choice.rest.extend(words);
                    break;
                }
                flag if flag.starts_with('-') => {
                    return Err(SimError::Refused(format!("{}: unknown option {flag}", call.name)));
                }
                command => {
                    choice.rest.push(command);
                    choice.rest.extend(words);
                    break;
                }
            }
        }
        choice.members.retain(|member| member.offline == offline);
        Ok(choice)
    }
}

fn nodes(call: &Call, roster: &Roster) -> Ended {
    let choice = Choice::of(call, roster)?;
    for member in choice.members {
        match (choice.uuids, choice.addresses) {
            (true, _) => call.say(format!("{}\t{}", member.name, member.uuid))?,
            (_, true) => call.say(format!("{} {}", member.name, member.address))?,
            _ => call.say(&member.name)?,
        }
    }
    Ok(0)
}

fn each(call: &Call, roster: &Roster) -> Ended {
    let choice = Choice::of(call, roster)?;
    if choice.rest.is_empty() {
        return Err(SimError::Refused("usage: ghe-cluster-each [-r ROLE] [--replica] -- COMMAND".to_owned()));
    }
    on_all(call, &choice.members, &choice.rest.join(" "))
}

fn everywhere(call: &Call, roster: &Roster, script: &str) -> Ended {
    let online: Vec<&Member> = roster.members.iter().filter(|member| !member.offline).collect();
    on_all(call, &online, script)
}

/// Runs a script on nodes side by side and prints what each says, node by node; the largest exit code counts.
fn on_all(call: &Call, members: &[&Member], script: &str) -> Ended {
    let answers = ask_all(&call.place, members, script)?;
    let mut worst = 0;
    for (name, answer) in answers {
        for line in answer.stdout.lines() {
            call.say(format!("{name}: {line}"))?;
        }
        for line in answer.stderr.lines() {
            eprintln!("{name}: {line}");
        }
        worst = worst.max(answer.code);
    }
    Ok(worst)
}

fn ask_all(place: &Place, members: &[&Member], script: &str) -> Result<Vec<(String, Answer)>, SimError> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = members
            .iter()
            .map(|member| (member, scope.spawn(|| membership::on_node(place, &member.name, script, b""))))
            .collect();
        asked
            .into_iter()
            .map(|(member, answer)| {
                let lost = || SimError::Refused(format!("asking {} failed", member.name));
                Ok((member.name.clone(), answer.join().map_err(|_| lost())??))
            })
            .collect()
    })
}

fn host_check(call: &Call, roster: &Roster) -> Ended {
    let online: Vec<&Member> = roster.members.iter().filter(|member| !member.offline).collect();
    let mut ready = true;
    for (name, answer) in ask_all(&call.place, &online, "true")? {
        if answer.code != 0 {
            ready = false;
            call.say(format!("{name}: Host could not be reached: {}", answer.stderr.trim()))?;
        }
    }
    if ready {
        call.say("Cluster is ready to configure.")?;
    }
    Ok(u8::from(!ready))
}

/// Files of `/data/user/common` that a configuration run gives to all nodes.
const SHARED: &str = "github.conf secrets.conf cluster.conf idp.crt saml-sp.p12 authorized_keys";

fn apply(call: &Call, roster: &Roster) -> Ended {
    call.say("Validating configuration")?;
    share(call, roster, SHARED)?;
    call.say("Applying configuration on all nodes")?;
    config_apply::apply(&call.place)?;
    let others: Vec<&Member> =
        roster.members.iter().filter(|member| !member.offline && member.name != roster.own).collect();
    let code = on_all(call, &others, "ghe-config-apply")?;
    call.say("Finished cluster configuration")?;
    Ok(code)
}

/// `-s`: only the SSH host keys (contract §5.4, step 21).
fn update(call: &Call, roster: &Roster) -> Ended {
    share(call, roster, if call.has("-s") { "ssh_host_*" } else { SHARED })?;
    super::host_keys::taken_over(call)?;
    let others: Vec<&Member> =
        roster.members.iter().filter(|member| !member.offline && member.name != roster.own).collect();
    on_all(
        call,
        &others,
        "sudo kill -HUP \"$(cat /run/sim/dir/run/sshd.pid 2>/dev/null)\" 2>/dev/null || true",
    )
}

/// Copies files of `/data/user/common` to all other nodes.
fn share(call: &Call, roster: &Roster, names: &str) -> Result<(), SimError> {
    let pack = std::process::Command::new("bash")
        .args(["-c", &format!("shopt -s nullglob; exec tar --ignore-failed-read -cf - {names} 2>/dev/null")])
        .current_dir(call.place.disk("/data/user/common"))
        .output()
        .map_err(|error| SimError::Refused(format!("cannot run tar: {error}")))?;
    for member in roster.members.iter().filter(|member| !member.offline && member.name != roster.own) {
        let unpack = "sudo tar -C /data/user/common -xpf -";
        let answer = membership::on_node(&call.place, &member.name, unpack, &pack.stdout)?;
        if answer.code != 0 {
            let reason = answer.stderr.trim().to_owned();
            return Err(SimError::Program { program: format!("copying to {}", member.name), reason });
        }
    }
    Ok(())
}
