//! Secrets: is all there without which nobody could sign in after a restore?

use super::report::Proof;
use crate::{
    appliance::secret_table::{SECRETS, SecretRow},
    restore::appliance::content::SnapshotContent,
};

/// Proves that the secrets are complete for the snapshot's release.
pub(super) fn prove(content: &SnapshotContent) -> Proof {
    let Some(release) = &content.version else {
        let why = vec!["the snapshot does not say of which release it is".to_owned()];
        return Proof::judged("secrets", 0, 0, "", why);
    };
    let flag = |name: &str| match name {
        "app.actions.enabled" => content.actions,
        "mysql.external.enabled" => content.external_database,
        _ => false,
    };
    let needed: Vec<&SecretRow> =
        SECRETS.iter().filter(|row| row.needed() && row.applies_to(release, flag)).collect();
    let missing: Vec<String> = needed
        .iter()
        .filter(|row| !content.has(row.file))
        .map(|row| format!("`{}` is missing", row.key))
        .collect();
    let count = needed.len() as u64;
    let found = count - missing.len() as u64;
    Proof::judged("secrets", found, count, format!("all that release {release} needs"), missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{appliance::facts::Version, drill::ProofState};

    fn content(version: Version, files: &[&str]) -> SnapshotContent {
        SnapshotContent {
            version: Some(version),
            root: files.iter().map(|file| (*file).to_owned()).collect(),
            ..SnapshotContent::default()
        }
    }

    #[test]
    fn a_key_that_came_with_a_release_is_needed_from_there_on() {
        let always = ["manage-password", "password-pepper", "kredz-credz-hmac", "kredz-varz-hmac"];
        assert_eq!(prove(&content(Version::new(3, 6, 0), &always)).state, ProofState::Proven);
        let later = prove(&content(Version::new(3, 7, 0), &always));
        assert_eq!(later.state, ProofState::Failed);
        assert!(later.problems[0].contains("encrypted-column"), "{later:?}");
    }
}
