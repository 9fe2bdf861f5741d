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

/// Whose state it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// One appliance's.
    Alone,
    /// All machines' of a cluster, through the connected one.
    Cluster,
}

/// The held state; dropping it makes the appliance say `failed` unless it says something else already.
pub struct Vigil {
    lease: Lease,
    /// What could not be stopped.
    pub warnings: Vec<String>,
}

impl Vigil {
    /// Marks the appliance as restoring and stops its scheduled jobs; of a cluster, all machines must be there.
    ///
    /// # Errors
    /// The status cannot be written, or the appliance cannot be reached.
    pub fn begin(channel: &dyn Channel, data_root: &str, reach: Reach) -> Result<Self, LeaseError> {
        let lease = Lease::take(channel, &script(data_root, reach), ENTER)?;
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

/// Writes the status, and returns a remark on machines that did not take it.
///
/// # Errors
/// The connected appliance refuses or cannot be reached.
pub fn set_status(
    remote: &Remote<'_>,
    data_root: &str,
    status: Status,
    reach: Reach,
) -> Result<Option<String>, StepError> {
    let word = match status {
        Status::Complete => "complete",
        Status::Failed => "failed",
    };
    let file = quote(&status_file(data_root));
    remote.ask("set the restore status", &format!("echo {word} | sudo sponge {file} >/dev/null"))?;
    if reach == Reach::Alone {
        return Ok(None);
    }
    let everywhere = everywhere(&format!("echo {word} | sudo sponge {file} >/dev/null"));
    match remote.ask("set the restore status on all machines", &everywhere) {
        Ok(_) => Ok(None),
        Err(error @ StepError::Failed { .. }) => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

fn status_file(data_root: &str) -> String {
    format!("{data_root}/common/ghe-restore-status")
}

/// A script on all machines of a cluster.
fn everywhere(script: &str) -> String {
    format!("ghe-cluster-each -- {} </dev/null", quote(script))
}

fn script(data_root: &str, reach: Reach) -> LeaseScript {
    let file = quote(&status_file(data_root));
    let (status, cron) = match reach {
        Reach::Alone => ("echo \"$1\" | sudo sponge \"$f\" >/dev/null 9>&-".to_owned(), String::new()),
        Reach::Cluster => (
            "ghe-cluster-each -- \"echo '$1' | sudo sponge '$f' >/dev/null\" </dev/null >/dev/null 9>&-"
                .to_owned(),
            "ghe-cluster-each -- ".to_owned(),
        ),
    };
    LeaseScript {
        label: "hold the restore state".into(),
        // The lock goes with the shell that holds it; where flock is missing nobody is kept out.
        prepare: format!(
            "f={file}\nsaid=\nstatus() {{ {status}; }}\n\
             if command -v flock >/dev/null && exec 9>>/tmp/.ghevault-restore.lock; then\n\
             flock -n 9 || {{ echo 'another restore to this appliance is running'; exit 5; }}\nfi"
        ),
        enter: format!(
            "why=$(status restoring 2>&1) || {{ echo \"cannot write the restore status: $(echo $why)\"; exit 6; }}\n\
                {cron}sudo service cron stop </dev/null >/dev/null 2>&1 9>&- || said=cron\n\
                if systemctl -q is-active nomad </dev/null >/dev/null 2>&1 && \
                nomad job status --short github-timerd </dev/null >/dev/null 2>&1; then\n\
                sudo nomad stop github-timerd </dev/null >/dev/null 2>&1 9>&- || said=\"$said github-timerd\"\nfi"
        ),
        leave: format!(
            "[ \"$(sudo cat \"$f\" 2>/dev/null)\" = restoring ] && status failed\n\
                {cron}sudo timeout 120s service cron start </dev/null >/dev/null 2>&1 9>&- || \
                {{ echo 'cannot start cron' >&2; exit 9; }}"
        ),
    }
}
