//! Secrets back into the appliance's configuration (contract §2.3).
//!
//! The values travel on stdin of a remote shell, quoted, and are on no command line of ours; `ghe-config` takes them as
//! arguments, as it does from backup-utils. What the commands print is thrown away, so no error carries a value.

use super::{
    super::{error::StepError, isolated, report::Done, run::Scene},
    small,
};
use crate::appliance::{
    quote::quote,
    secret_table::{Restored, SecretRow},
};

/// Sets every secret that the snapshot has and the rules allow.
pub fn restore(scene: &Scene<'_>) -> Result<Done, StepError> {
    let mut script = String::from("failed=\n");
    let mut done = Done::default();
    for secret in &scene.content.secrets {
        let kept = scene.options.isolated && isolated::keeps_own(secret);
        if kept || !wanted(secret, scene.settings, scene.options.console_password) {
            continue;
        }
        let content = small(scene, secret.file)?;
        let value = trimmed(&content);
        if value.is_empty() {
            // Setting an empty value would destroy what the appliance has (contract §2.3).
            continue;
        }
        let Ok(value) = std::str::from_utf8(value) else {
            let problem = crate::restore::Problem { path: secret.file.into(), what: "is not text".into() };
            done.problems.push(problem);
            continue;
        };
        for key in keys(secret) {
            script.push_str(&line(key, value));
        }
        done.items += 1;
        done.bytes += content.len() as u64;
    }
    script.push_str("[ -z \"$failed\" ] || { echo \"not set:$failed\" >&2; exit 1; }\n");
    scene.remote.work("set secrets", "exec /bin/bash", script.as_bytes())?;
    Ok(done)
}

fn line(key: &str, value: &str) -> String {
    let (key, value) = (quote(key), quote(value));
    format!("ghe-config {key} {value} </dev/null >/dev/null 2>&1 || failed=\"$failed \"{key}\n")
}

fn keys(secret: &SecretRow) -> impl Iterator<Item = &'static str> + use<> {
    let second = match secret.restored {
        Restored::AlsoTo(key) => Some(key),
        _ => None,
    };
    std::iter::once(secret.key).chain(second)
}

fn wanted(secret: &SecretRow, settings: bool, console_password: bool) -> bool {
    match secret.restored {
        Restored::Always | Restored::AlsoTo(_) => true,
        Restored::WithSettings => settings,
        Restored::ConsolePassword => console_password,
    }
}

/// A value without the newlines that were printed behind it.
fn trimmed(content: &[u8]) -> &[u8] {
    let end = content.iter().rposition(|b| *b != b'\n').map_or(0, |at| at + 1);
    &content[..end]
}

#[cfg(test)]
mod tests {
    use super::{keys, line, trimmed, wanted};
    use crate::appliance::secret_table::SECRETS;

    #[test]
    fn values_cannot_leave_their_quotes() {
        let text = line("secrets.manage", "it's $(rm -rf /)\nsecond");
        assert_eq!(
            text,
            "ghe-config secrets.manage 'it'\\''s $(rm -rf /)\nsecond' </dev/null >/dev/null 2>&1 || failed=\"$failed \"secrets.manage\n"
        );
    }

    #[test]
    fn printed_newlines_are_not_part_of_a_value() {
        assert_eq!(trimmed(b"a\nb\n\n"), b"a\nb");
        assert_eq!(trimmed(b"\n"), b"");
    }

    #[test]
    fn outside_services_come_with_the_settings_only() {
        let find = |file: &str| SECRETS.iter().find(|s| s.file == file).expect("a known secret");
        assert!(!wanted(find("packages-aws-secret-key"), false, true));
        assert!(wanted(find("packages-aws-secret-key"), true, true));
        assert!(!wanted(find("manage-password"), true, false));
        assert_eq!(keys(find("actions-oauth-s2s-signing-cert")).count(), 2);
    }
}
