//! The pause of Git maintenance on the appliance (contract §3.2), held as a lease.
//!
//! Only the existence of the gate file counts, it has no owner and no counter (contract §3.2). So: it is made exclusively, another client's
//! gate is never taken over or removed, and ours is removed only while it is still the very file that we made. Ours has a content, too, by
//! which the host that made it knows it again, even if the appliance lost power before it could tell us that the file is there.

use std::time::{Duration, Instant};

use super::{
    channel::{Channel, ChannelError, RemoteCommand},
    lease::{Lease, LeaseError, LeaseScript},
    quote::quote,
};

/// How the gate is taken.
#[derive(Clone, Debug)]
pub struct GateSettings {
    /// Folder of the repositories on the appliance, e.g. `/data/user/repositories`.
    pub repositories: String,
    /// Seconds granted to running maintenance to end (contract §3.2: 600).
    pub drain_s: u64,
    /// How long to wait for another client's gate to go away.
    pub wait: Duration,
    /// Who closes it; none leaves the file empty.
    pub owner: Option<GateOwner>,
    /// Several hold it together: all that give the same text, which is the file's content in place of the owner. Whoever leaves last opens it.
    pub group: Option<String>,
}

/// Who closed a gate: the content of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateOwner {
    /// Id of the backup host's state folder.
    pub host: String,
    /// Process there.
    pub pid: u32,
}

impl GateOwner {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix("ghevault ")?.split(' ');
        let (host, pid) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
        Some(Self { host, pid })
    }
}

impl std::fmt::Display for GateOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ghevault {} {}", self.host, self.pid)
    }
}

/// Which file a gate is: inode and modification time.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GateMark {
    /// Inode number.
    pub inode: u64,
    /// Modification time, seconds since 1970.
    pub mtime: i64,
}

/// Why the gate could not be had.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Another client holds it.
    #[error("another client has paused Git maintenance on the appliance since {age_s} s")]
    Busy {
        /// Age of its gate, seconds.
        age_s: i64,
    },
    /// Running maintenance did not end in time (contract §3.2: exit 7).
    #[error("Git maintenance is still running on the appliance after {after_s} s")]
    NotDrained {
        /// The time that was granted, seconds.
        after_s: u64,
    },
    /// The lease itself failed.
    #[error(transparent)]
    Lease(#[from] LeaseError),
}

/// The gate, held; dropping it opens it again.
#[derive(Debug)]
pub struct Gate {
    lease: Lease,
    mark: Option<GateMark>,
}

const BUSY: &str = "exit code 5";
const NOT_DRAINED: &str = "exit code 7";

impl Gate {
    /// Closes the gate and waits until running maintenance has ended.
    ///
    /// # Errors
    /// Somebody else holds it for longer than the settings allow, maintenance does not end, or the connection fails.
    pub fn take(channel: &dyn Channel, settings: &GateSettings) -> Result<Self, GateError> {
        let script = script(settings);
        let until = Instant::now() + settings.wait;
        loop {
            let limit = Duration::from_secs(settings.drain_s + 60);
            match Lease::take(channel, &script, limit) {
                Ok(lease) => {
                    let mark = parse_mark(lease.said());
                    return Ok(Self { lease, mark });
                }
                Err(LeaseError::Refused { line, code, .. }) if code == BUSY => {
                    if Instant::now() < until {
                        std::thread::sleep(Duration::from_secs(2));
                        continue;
                    }
                    return Err(GateError::Busy { age_s: line.trim().parse().unwrap_or(0) });
                }
                Err(LeaseError::Refused { code, .. }) if code == NOT_DRAINED => {
                    return Err(GateError::NotDrained { after_s: settings.drain_s });
                }
                Err(other) => return Err(other.into()),
            }
        }
    }

    /// Which file it is.
    #[must_use]
    pub fn mark(&self) -> Option<&GateMark> {
        self.mark.as_ref()
    }

    /// How long it has been held.
    #[must_use]
    pub fn held(&self) -> Duration {
        self.lease.held()
    }

    /// Opens the gate.
    ///
    /// # Errors
    /// It had been lost before; what was read since then may be inconsistent.
    pub fn release(self) -> Result<Duration, String> {
        self.lease.release()
    }
}

fn parse_mark(said: &str) -> Option<GateMark> {
    let (inode, mtime) = said.split_once(' ')?;
    Some(GateMark { inode: inode.parse().ok()?, mtime: mtime.parse().ok()? })
}

fn gate_file(repositories: &str) -> String {
    quote(&format!("{repositories}/.sync_in_progress"))
}

/// The shell of the gate. The folder keeps the time that it had before: a snapshot equals the appliance in this, too.
fn script(settings: &GateSettings) -> LeaseScript {
    if let Some(group) = &settings.group {
        return shared_script(settings, group);
    }
    let drain = settings.drain_s;
    let owner = quote(&settings.owner.as_ref().map(ToString::to_string).unwrap_or_default());
    LeaseScript {
        label: "pause Git maintenance".into(),
        prepare: format!(
            "f={}\nd=${{f%/*}}\n\
             at=$(sudo stat -c %.9Y \"$d\" 2>/dev/null)\n\
             keep() {{ [ -n \"$at\" ] && sudo touch -m -d \"@$at\" \"$d\" 2>/dev/null; }}\nmark() {{ sudo stat -c '%i %Y' \"$f\" 2>/dev/null; }}\nsaid=\n\
             busy() {{ m=$(sudo stat -c %Y \"$f\" 2>/dev/null || date +%s); echo $(( $(date +%s) - m )); exit 5; }}\n\
             sudo test -e \"$f\" && busy",
            gate_file(&settings.repositories)
        ),
        // `set -C` refuses to open an existing file: making the gate is exclusive.
        enter: format!(
            "sudo -u git sh -c 'set -C; printf %s \"$2\" > \"$1\"' sh \"$f\" {owner} 2>/dev/null || {{ sudo test -e \"$f\" && busy; \
             echo \"cannot create $f\"; exit 6; }}\n\
             said=$(mark)\nkeep\nn=0\n\
             while ps axo args | grep -Eq '^git( -.*)? (nw-repack|gc)( |$)'; do\n\
             n=$((n+1)); [ $n -gt {drain} ] && {{ echo 'maintenance is still running'; exit 7; }}\n\
             IFS= read -r -t 1 beat || [ $? -gt 128 ] || exit 8\ndone"
        ),
        leave: "[ -n \"$said\" ] && [ \"$(mark)\" = \"$said\" ] && sudo rm -f \"$f\" && keep".into(),
    }
}

/// What begins the content of a gate that several hold.
const GROUP: &str = "ghevault-run ";

/// The shell of a gate that several hold. Each has a shared lock on the data folder, which the kernel takes back whatever becomes of it, so
/// that whoever gets it alone is the last one. A second lock, on the folder above, makes looking and creating one step.
fn shared_script(settings: &GateSettings, group: &str) -> LeaseScript {
    let drain = settings.drain_s;
    let group = quote(&format!("{GROUP}{group}"));
    LeaseScript {
        label: "pause Git maintenance".into(),
        prepare: format!(
            "f={}\nd=${{f%/*}}\nu=${{d%/*}}\nwho={group}\n\
             keep() {{ [ -n \"$at\" ] && sudo touch -m -d \"@$at\" \"$d\" 2>/dev/null; }}\nmark() {{ sudo stat -c '%i %Y' \"$f\" 2>/dev/null; }}\nsaid=\n\
             busy() {{ m=$(sudo stat -c %Y \"$f\" 2>/dev/null || date +%s); echo $(( $(date +%s) - m )); exit 5; }}\n\
             ours() {{ [ \"$(sudo head -c 300 \"$f\" 2>/dev/null)\" = \"$who\" ]; }}\n\
             exec 9<\"$u\" 8<\"${{u%/*}}/\" || {{ echo \"cannot open $u\"; exit 6; }}\n\
             flock -s -w 60 9 && flock -w 60 8 || {{ echo \"cannot lock $u\"; exit 6; }}\n\
             at=$(sudo stat -c %.9Y \"$d\" 2>/dev/null)\n\
             sudo test -e \"$f\" && ! ours && busy",
            gate_file(&settings.repositories)
        ),
        enter: format!(
            "sudo test -e \"$f\" || sudo -u git sh -c 'set -C; printf %s \"$2\" > \"$1\"' sh \"$f\" \"$who\" 2>/dev/null\n\
             ours || {{ sudo test -e \"$f\" && busy; echo \"cannot create $f\"; exit 6; }}\n\
             said=$(mark)\nkeep\nflock -u 8\nn=0\n\
             while ps axo args | grep -Eq '^git( -.*)? (nw-repack|gc)( |$)'; do\n\
             n=$((n+1)); [ $n -gt {drain} ] && {{ echo 'maintenance is still running'; exit 7; }}\n\
             IFS= read -r -t 1 beat || [ $? -gt 128 ] || exit 8\ndone"
        ),
        leave:
            "[ -n \"$said\" ] && flock -n -x 9 && [ \"$(mark)\" = \"$said\" ] && sudo rm -f \"$f\" && keep"
                .into(),
    }
}

/// Removes a gate that shards of a run have left: its content begins with `vault`, and is not that of `but`. Whoever may write to that vault alone,
/// or with another run, knows that none of them lives.
///
/// # Errors
/// The appliance cannot be asked.
pub fn remove_left_by_group(
    channel: &dyn Channel,
    repositories: &str,
    vault: &str,
    but: Option<&str>,
) -> Result<bool, ChannelError> {
    let file = gate_file(repositories);
    let read = format!("sudo head -c 300 {file} 2>/dev/null");
    let out = channel.run(&RemoteCommand::new("look who has paused Git maintenance", read.clone()), &[])?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let group = text.strip_prefix(GROUP).filter(|group| group.starts_with(vault));
    if group.is_none_or(|group| Some(group) == but) {
        return Ok(false);
    }
    let script = format!("[ \"$({read})\" = {} ] && sudo rm -f {file}", quote(&text));
    let out = channel.run(&RemoteCommand::new("remove the maintenance gate of a dead run", script), &[])?;
    Ok(out.exit.status.success())
}

/// The gate file as it stands on the appliance, if there is one, with its age in seconds.
///
/// # Errors
/// The appliance cannot be asked.
pub fn status(channel: &dyn Channel, repositories: &str) -> Result<Option<(GateMark, i64)>, ChannelError> {
    let file = gate_file(repositories);
    let script = format!("sudo stat -c '%i %Y' {file} 2>/dev/null && date +%s");
    let out = channel.run(&RemoteCommand::new("look at the maintenance gate", script), &[])?;
    let text = String::from_utf8_lossy(&out.stdout);
    let mut lines = text.lines();
    let mark = lines.next().and_then(parse_mark);
    let now: i64 = lines.next().and_then(|l| l.trim().parse().ok()).unwrap_or(0);
    Ok(mark.map(|mark| {
        let age = now - mark.mtime;
        (mark, age)
    }))
}

/// Removes the gate file if its content says that this host closed it, in a process that is there no longer; `lives` tells.
///
/// # Errors
/// The appliance cannot be asked.
pub fn remove_left(
    channel: &dyn Channel,
    repositories: &str,
    host: &str,
    lives: impl Fn(u32) -> bool,
) -> Result<bool, ChannelError> {
    let file = gate_file(repositories);
    let read = format!("sudo head -c 100 {file} 2>/dev/null");
    let out = channel.run(&RemoteCommand::new("look who has paused Git maintenance", read.clone()), &[])?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let ours = GateOwner::parse(&text).is_some_and(|owner| owner.host == host && !lives(owner.pid));
    if !ours {
        return Ok(false);
    }
    let script = format!("[ \"$({read})\" = {} ] && sudo rm -f {file}", quote(&text));
    let out = channel.run(&RemoteCommand::new("remove the maintenance gate of a dead run", script), &[])?;
    Ok(out.exit.status.success())
}

/// Removes the gate file if it is still the file `mark`.
///
/// # Errors
/// The appliance cannot be asked.
pub fn remove(channel: &dyn Channel, repositories: &str, mark: &GateMark) -> Result<bool, ChannelError> {
    let file = gate_file(repositories);
    let script = format!(
        "[ \"$(sudo stat -c '%i %Y' {file} 2>/dev/null)\" = '{} {}' ] && sudo rm -f {file}",
        mark.inode, mark.mtime
    );
    let out = channel.run(&RemoteCommand::new("remove the maintenance gate", script), &[])?;
    Ok(out.exit.status.success())
}

#[cfg(test)]
mod tests {
    use super::GateOwner;

    #[test]
    fn an_owner_is_read_as_it_was_written_and_nothing_else_is_one() {
        let owner = GateOwner { host: "0a1b".into(), pid: 17 };
        assert_eq!(GateOwner::parse(&owner.to_string()), Some(owner));
        for text in ["", "ghevault", "ghevault 0a1b", "ghevault 0a1b x", "somebody 0a1b 17"] {
            assert_eq!(GateOwner::parse(text), None, "{text}");
        }
    }
}
