//! A staging copy that does not take its source's place (`--isolated`). Pure.
//!
//! The copy gets the source's content and the keys that are needed to read it. It keeps its own identity, settings, mail
//! server, administrators, host keys and console password, and gets nothing that lets it act for the source: no runners' databases, no
//! access to the source's package storage, chat or external database. What the content itself starts (webhooks, mail to
//! users) cannot be seen from outside; there the network around the copy is the wall, and the report says so.

use super::{
    content::SnapshotContent,
    guard::Refusal,
    options::{ApplianceOptions, Dataset},
};
use crate::appliance::{
    facts::Facts,
    secret_table::{Restored, SecretRow, When},
};

/// What a copy does not get.
pub const LEFT_OUT: [Dataset; 6] = [
    Dataset::Settings,
    Dataset::Uuid,
    Dataset::Mssql,
    Dataset::Actions,
    Dataset::AuthorizedKeys,
    Dataset::SshHostKeys,
];

/// Whether a copy keeps its own value of a secret: those of features that reach other services, and the console's password.
#[must_use]
pub fn keeps_own(secret: &SecretRow) -> bool {
    matches!(secret.when, When::Flag(_)) || secret.restored == Restored::ConsolePassword
}

/// Decides whether the target can become a copy.
///
/// # Errors
/// [`Refusal::Isolated`]: what would let it act for the source.
pub fn check(target: &Facts, content: &SnapshotContent, options: &ApplianceOptions) -> Result<(), Refusal> {
    let same = content.uuid.as_deref().is_some_and(|uuid| uuid == target.uuid);
    let why = if options.settings {
        "the settings were asked for, and with them come the source's name, certificates and mail server"
    } else if !target.configured {
        "it is not configured: it would take the source's settings, and with them its name and mail server"
    } else if same {
        "it has the identity of the snapshot's source"
    } else if target.flag("app.actions.enabled") {
        "GitHub Actions is on: runners would take jobs from it"
    } else if target.flag("mysql.external.enabled") {
        "it uses an external database, which may be the source's"
    } else {
        return Ok(());
    };
    Err(Refusal::Isolated { host: options.host.clone(), why })
}

/// What is left to the operator before the copy may be used.
#[must_use]
pub fn next(host: &str) -> Vec<String> {
    vec![
        format!(
            "before maintenance mode ends: cut {host} off from the outside (mail, webhooks, proxies); its users, hooks and schedules are the source's"
        ),
        "check the copy, then switch maintenance mode off".into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::{facts, secret_table::SECRETS};

    fn target(more: &str) -> Facts {
        facts::read_for_tests(&format!("uuid=staging\nmaintenance=1\n{more}"))
    }

    fn decide(target: &Facts, settings: bool) -> Result<(), Refusal> {
        let content = SnapshotContent { uuid: Some("source".into()), ..SnapshotContent::default() };
        check(
            target,
            &content,
            &ApplianceOptions { settings, isolated: true, ..ApplianceOptions::new("ghe") },
        )
    }

    #[test]
    fn a_configured_appliance_of_its_own_can_become_a_copy() {
        assert_eq!(decide(&target("configured=1\n"), false), Ok(()));
    }

    #[test]
    fn what_could_act_for_the_source_is_refused() {
        let configured = target("configured=1\n");
        let with = |flag: &str| Facts { flags: vec![flag.into()], ..configured.clone() };
        for (target, settings) in [
            (configured.clone(), true),
            (target(""), false),
            (Facts { uuid: "source".into(), ..configured.clone() }, false),
            (with("app.actions.enabled"), false),
            (with("mysql.external.enabled"), false),
        ] {
            assert!(matches!(decide(&target, settings), Err(Refusal::Isolated { .. })), "{target:?}");
        }
    }

    #[test]
    fn keys_to_read_the_content_are_given_and_those_to_other_services_are_not() {
        let kept = |file: &str| keeps_own(SECRETS.iter().find(|s| s.file == file).expect("a known secret"));
        for file in ["password-pepper", "encrypted-column-encryption-keying-material", "kredz-credz-hmac"] {
            assert!(!kept(file), "{file}");
        }
        for file in [
            "manage-password",
            "external-mysql-password",
            "packages-aws-secret-key",
            "chatops-slack-signing-secret",
            "actions-launch-app-private-key",
        ] {
            assert!(kept(file), "{file}");
        }
    }
}
