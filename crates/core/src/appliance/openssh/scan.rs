//! Looks at the host keys that an appliance shows on the way that `ssh` takes, e.g. through a bastion.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use super::arguments::scan_arguments;
use crate::appliance::{
    channel::ChannelError,
    hostkeys::{HostKey, KEY_KINDS, PinStore},
    target::Target,
    transport::Bridge,
};

/// The host keys of `target`, one `ssh` for each kind; nothing is trusted and nobody is authenticated.
///
/// # Errors
/// No `ssh`, no connection, or no host key; never an empty list.
pub fn scan(
    target: &Target,
    ssh_program: &Path,
    ssh_options: &[String],
    connect_timeout: Duration,
) -> Result<Vec<HostKey>, ChannelError> {
    let failed = |reason: String| ChannelError::Connect { target: target.to_string(), reason };
    let bridge = Bridge::start(&target.to_string())?;
    let (mut keys, mut last_words) = (Vec::new(), String::new());
    for kinds in KEY_KINDS {
        let folder = tempfile::tempdir().map_err(|error| failed(format!("no scratch folder: {error}")))?;
        let store = PinStore::below(folder.path());
        let mut command = Command::new(ssh_program);
        command
            .args(scan_arguments(target, ssh_options, kinds, store.path(), connect_timeout))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        // Once for the connection, once for the way there.
        let ran = bridge.wait(async move { timeout(connect_timeout * 2, command.output()).await });
        match ran {
            Some(Ok(Ok(output))) => last_words = said(&output.stderr),
            Some(Ok(Err(error))) => {
                return Err(failed(format!("cannot run `{}`: {error}", ssh_program.display())));
            }
            Some(Err(_)) => return Err(failed(format!("no answer within {:?}", connect_timeout * 2))),
            None => return Err(failed("the scan was shut down".to_owned())),
        }
        keys.extend(store.pins(target).map_err(|error| failed(error.to_string()))?);
    }
    if keys.is_empty() { Err(failed(last_words)) } else { Ok(keys) }
}

/// The last thing that was said to people.
fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty() && !line.starts_with("debug"));
    line.unwrap_or("ssh ended without a word").to_owned()
}
