//! The appliance's state during a restore (contract §5.3, §5.7), held as a lease: status `restoring`, scheduled jobs
//! stopped. When we disappear, the appliance says `failed` and starts its jobs by itself.

use std::time::Duration;

use super::{error::StepError, remote::Remote};
use crate::appliance::{
    channel::Channel,
    lease::{Lease, LeaseError, LeaseScript},
    quote::quote,
};

/// Longest time that stopping the scheduled jobs may take.
const ENTER: Duration = Duration::from_mins(5);

/// A state that other programs on the appliance read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// A restore has ended well.
    Complete,
    /// A restore has failed.
    Failed,
}

/// The held state; dropping it makes the appliance say `failed` unless it says something else already.
pub struct Vigil {
    lease: Lease,
    /// What could not be stopped.
    pub warnings: Vec<String>,
}

impl Vigil {
    /// Marks the appliance as restoring and stops its scheduled jobs.
    ///
    /// # Errors
    /// The status cannot be written, or the appliance cannot be reached.
    pub fn begin(channel: &dyn Channel, data_root: &str) -> Result<Self, LeaseError> {
        let lease = Lease::take(channel, &script(data_root), ENTER)?;
        let warnings = lease.said().split_whitespace().map(|what| format!("cannot stop {what}")).collect();
        Ok(Self { lease, warnings })
    }

    /// Whether the appliance still trusts us to be there.
    pub fn alive(&self) -> bool {
        self.lease.alive()
    }

    /// Ends it: cron starts, and a status that is still `restoring` becomes `failed`.
    ///
    /// # Errors
    /// It had been lost before, or cron does not start; the text says which.
    pub fn end(self) -> Result<(), String> {
        self.lease.release().map(drop)
    }
}

/// Writes the status.
///
/// # Errors
/// The appliance refuses or cannot be reached.
pub fn set_status(remote: &Remote<'_>, data_root: &str, status: Status) -> Result<(), StepError> {
    let word = match status {
        Status::Complete => "complete",
        Status::Failed => "failed",
    };
    let file = quote(&status_file(data_root));
    remote.ask("set the restore status", &format!("echo {word} | sudo sponge {file} >/dev/null")).map(drop)
}

fn status_file(data_root: &str) -> String {
    format!("{data_root}/common/ghe-restore-status")
}

fn script(data_root: &str) -> LeaseScript {
    let file = quote(&status_file(data_root));
    LeaseScript {
        label: "hold the restore state".into(),
        // The lock goes with the shell that holds it; where flock is missing nobody is kept out.
        prepare: format!(
            "f={file}\nsaid=\nstatus() {{ echo \"$1\" | sudo sponge \"$f\" >/dev/null 9>&-; }}\n\
             if command -v flock >/dev/null && exec 9>>/tmp/.ghevault-restore.lock; then\n\
             flock -n 9 || {{ echo 'another restore to this appliance is running'; exit 5; }}\nfi"
        ),
        enter: "status restoring || { echo 'cannot write the restore status'; exit 6; }\n\
                sudo service cron stop </dev/null >/dev/null 2>&1 9>&- || said=cron\n\
                if systemctl -q is-active nomad </dev/null >/dev/null 2>&1 && \
                nomad job status --short github-timerd </dev/null >/dev/null 2>&1; then\n\
                sudo nomad stop github-timerd </dev/null >/dev/null 2>&1 9>&- || said=\"$said github-timerd\"\nfi"
            .into(),
        leave: "[ \"$(sudo cat \"$f\" 2>/dev/null)\" = restoring ] && status failed\n\
                sudo timeout 120s service cron start </dev/null >/dev/null 2>&1 9>&- || \
                { echo 'cannot start cron' >&2; exit 9; }"
            .into(),
    }
}
