//! Which secrets an appliance has, by release and feature, and the file that each has in a snapshot (contract §2.3).

use super::{
    facts::{Facts, Version},
    git_config::GitConfig,
};

/// On what a secret depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Every appliance has it.
    Always,
    /// Appliances of this release and later ones have it.
    Since(u64, u64, u64),
    /// Appliances from the first release on, before the second, have it.
    Between((u64, u64, u64), (u64, u64, u64)),
    /// Appliances with this feature flag have it.
    Flag(&'static str),
}

/// How a restore treats a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// It is always set.
    Always,
    /// It is set, and the same value goes to a second key.
    AlsoTo(&'static str),
    /// It is set only together with the settings.
    WithSettings,
    /// It is the Management Console's password: set unless the user declines.
    ConsolePassword,
}

/// One secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretRow {
    /// File in the snapshot.
    pub file: &'static str,
    /// Key of `ghe-config`.
    pub key: &'static str,
    /// On what it depends.
    pub when: When,
    /// Whether it is often unset although its condition holds.
    pub best_effort: bool,
    /// How a restore treats it.
    pub restored: Restored,
}

impl SecretRow {
    /// Whether an appliance with these facts has the secret.
    #[must_use]
    pub fn applies(&self, facts: &Facts) -> bool {
        self.applies_to(&facts.version, |flag| facts.flag(flag))
    }

    /// Whether an appliance of this release has the secret, where `flag` says which of its features are on.
    #[must_use]
    pub fn applies_to(&self, release: &Version, flag: impl Fn(&str) -> bool) -> bool {
        let version = |(major, minor, patch): (u64, u64, u64)| Version::new(major, minor, patch);
        match self.when {
            When::Always => true,
            When::Since(major, minor, patch) => *release >= version((major, minor, patch)),
            When::Between(from, before) => *release >= version(from) && *release < version(before),
            When::Flag(name) => flag(name),
        }
    }

    /// Whether an appliance to which the row applies cannot do without the secret: nobody could sign in, or Actions would not start,
    /// after a restore without it. Of the keys of Packages those of one kind of blob storage are set, of those of `ChatOps` those of one
    /// chat, so an appliance is whole without any single one of them.
    #[must_use]
    pub fn needed(&self) -> bool {
        !self.best_effort && !matches!(self.when, When::Flag("app.packages.enabled" | "app.chatops.enabled"))
    }
}

/// Keys of a `secrets.conf` that no row knows, in order: a release newer than this table, or a feature that backup-utils never saved.
#[must_use]
pub fn unknown_keys(secrets_conf: &str) -> Vec<String> {
    let also = |row: &SecretRow| match row.restored {
        Restored::AlsoTo(key) => Some(key),
        _ => None,
    };
    let known = |key: &str| {
        SECRETS.iter().any(|row| {
            row.key.eq_ignore_ascii_case(key) || also(row).is_some_and(|also| also.eq_ignore_ascii_case(key))
        })
    };
    GitConfig::parse(secrets_conf).keys().filter(|key| !known(key)).collect()
}

const fn row(
    file: &'static str,
    key: &'static str,
    when: When,
    best_effort: bool,
    restored: Restored,
) -> SecretRow {
    SecretRow { file, key, when, best_effort, restored }
}

/// File of the key that is derived from the keying material when it is not set itself.
pub const DERIVED_FILE: &str = "encrypted-column-current-encryption-key";
/// File of the keying material from which that key is derived: the text after the last semicolon.
pub const DERIVED_FROM: &str = "encrypted-column-encryption-keying-material";

/// All secrets, in the order in which they are saved.
#[rustfmt::skip]
pub const SECRETS: &[SecretRow] = &[
    row("manage-password", "secrets.manage", When::Always, false, Restored::ConsolePassword),
    row("password-pepper", "secrets.github.user-password-secrets", When::Always, false, Restored::Always),
    row("kredz-credz-hmac", "secrets.kredz.credz-hmac-secret", When::Always, false, Restored::Always),
    row("kredz-varz-hmac", "secrets.kredz.varz-hmac-secret", When::Always, false, Restored::Always),
    row("encrypted-column-encryption-keying-material", "secrets.github.encrypted-column-keying-material", When::Since(3, 7, 0), false, Restored::Always),
    row(DERIVED_FILE, "secrets.github.encrypted-column-current-encryption-key", When::Since(3, 7, 0), false, Restored::Always),
    row("secret-scanning-encrypted-secrets-current-storage-key", "secrets.secret-scanning.encrypted-secrets-current-storage-key", When::Since(3, 8, 0), false, Restored::Always),
    row("secret-scanning-encrypted-secrets-delimited-storage-keys", "secrets.secret-scanning.encrypted-secrets-delimited-storage-keys", When::Since(3, 8, 0), false, Restored::Always),
    row("secret-scanning-encrypted-secrets-current-shared-transit-key", "secrets.secret-scanning.encrypted-secrets-current-shared-transit-key", When::Since(3, 8, 0), false, Restored::Always),
    row("secret-scanning-encrypted-secrets-delimited-shared-transit-keys", "secrets.secret-scanning.encrypted-secrets-delimited-shared-transit-keys", When::Since(3, 8, 0), false, Restored::Always),
    row("secret-scanning-user-content-delimited-encryption-root-keys", "secrets.secret-scanning.secret-scanning-user-content-delimited-encryption-root-keys", When::Since(3, 11, 0), false, Restored::Always),
    row("manage-argon-secret", "secrets.manage-auth.argon-secret", When::Between((3, 8, 0), (3, 8, 2)), false, Restored::Always),
    row("external-mysql-password", "secrets.external.mysql", When::Flag("mysql.external.enabled"), false, Restored::Always),
    row("actions-config-db-login", "secrets.actions.ConfigurationDatabaseSqlLogin", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-config-db-password", "secrets.actions.ConfigurationDatabaseSqlPassword", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-framework-access-token", "secrets.actions.FrameworkAccessTokenKeySecret", When::Flag("app.actions.enabled"), true, Restored::Always),
    row("actions-url-signing-hmac-key-primary", "secrets.actions.UrlSigningHmacKeyPrimary", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-url-signing-hmac-key-secondary", "secrets.actions.UrlSigningHmacKeySecondary", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-oauth-s2s-signing-cert", "secrets.actions.OAuthS2SSigningCert", When::Flag("app.actions.enabled"), false, Restored::AlsoTo("secrets.launch.token-oauth-cert")),
    row("actions-oauth-s2s-signing-key", "secrets.actions.OAuthS2SSigningKey", When::Flag("app.actions.enabled"), false, Restored::AlsoTo("secrets.launch.token-oauth-key")),
    row("actions-oauth-s2s-signing-cert-thumbprint", "secrets.actions.OAuthS2SSigningCertThumbprint", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-primary-encryption-cert-thumbprint", "secrets.actions.PrimaryEncryptionCertificateThumbprint", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-aad-cert-thumbprint", "secrets.actions.AADCertThumbprint", When::Flag("app.actions.enabled"), true, Restored::Always),
    row("actions-delegated-auth-cert-thumbprint", "secrets.actions.DelegatedAuthCertThumbprint", When::Flag("app.actions.enabled"), true, Restored::Always),
    row("actions-runtime-service-principal-cert", "secrets.actions.RuntimeServicePrincipalCertificate", When::Flag("app.actions.enabled"), true, Restored::Always),
    row("actions-s2s-encryption-cert", "secrets.actions.S2SEncryptionCertificate", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-secondary-encryption-cert-thumbprint", "secrets.actions.SecondaryEncryptionCertificateThumbprint", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-service-principal-cert", "secrets.actions.ServicePrincipalCertificate", When::Flag("app.actions.enabled"), true, Restored::Always),
    row("actions-sps-validation-cert-thumbprint", "secrets.actions.SpsValidationCertThumbprint", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-storage-container-prefix", "secrets.actions.storage.container-prefix", When::Flag("app.actions.enabled"), false, Restored::WithSettings),
    row("actions-launch-secrets-private-key", "secrets.launch.actions-secrets-private-key", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-launch-deployer-hmac", "secrets.launch.deployer-hmac-secret", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-launch-client-id", "secrets.launch.client-id", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-launch-client-secret", "secrets.launch.client-secret", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-launch-receiver-webhook-secret", "secrets.launch.receiver-webhook-secret", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-launch-app-private-key", "secrets.launch.app-private-key", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-launch-app-public-key", "secrets.launch.app-public-key", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-launch-app-id", "secrets.launch.app-id", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-launch-app-relay-id", "secrets.launch.app-relay-id", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-launch-action-runner-secret", "secrets.launch.action-runner-secret", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-launch-azp-app-cert", "secrets.launch.azp-app-cert", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("actions-launch-app-app-private-key", "secrets.launch.azp-app-private-key", When::Flag("app.actions.enabled"), false, Restored::Always),
    row("packages-aws-access-key", "secrets.packages.aws-access-key", When::Flag("app.packages.enabled"), false, Restored::WithSettings),
    row("packages-aws-secret-key", "secrets.packages.aws-secret-key", When::Flag("app.packages.enabled"), false, Restored::WithSettings),
    row("packages-s3-bucket", "secrets.packages.s3-bucket", When::Flag("app.packages.enabled"), false, Restored::WithSettings),
    row("packages-service-url", "secrets.packages.service-url", When::Flag("app.packages.enabled"), false, Restored::WithSettings),
    row("packages-blob-storage-type", "secrets.packages.blob-storage-type", When::Flag("app.packages.enabled"), false, Restored::WithSettings),
    row("packages-azure-connection-string", "secrets.packages.azure-connection-string", When::Flag("app.packages.enabled"), false, Restored::WithSettings),
    row("packages-azure-container-name", "secrets.packages.azure-container-name", When::Flag("app.packages.enabled"), false, Restored::WithSettings),
    row("chatops-msteams-app-id", "secrets.chatops.msteams.app-id", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-msteams-app-password", "secrets.chatops.msteams.app-password", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-msteams-app-public-endpoint", "secrets.chatops.msteams.public-endpoint", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-msteams-bot-handle", "secrets.chatops.msteams.bot-handle", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-msteams-bot-name", "secrets.chatops.msteams.bot-name", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-slack-app-id", "secrets.chatops.slack.app-id", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-slack-client-id", "secrets.chatops.slack.client-id", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-slack-client-secret", "secrets.chatops.slack.client-secret", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-slack-verification-token", "secrets.chatops.slack.verification-token", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-slack-config-token", "secrets.chatops.slack.config-token", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-slack-public-endpoint", "secrets.chatops.slack.public-endpoint", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-slack-signing-secret", "secrets.chatops.slack.signing-secret", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-slack-app-level-token", "secrets.chatops.slack.app-level-token", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-slack-slash-command", "secrets.chatops.slack.slash-command", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-slack.app-name", "secrets.chatops.slack.app-name", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-slack.socket-mode", "secrets.chatops.slack.socket-mode", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-public-endpoint", "secrets.chatops.public-endpoint", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-app-type", "secrets.chatops.app-type", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-app-id-teams", "secrets.chatops.app-id-teams", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-webhook-secret-teams", "secrets.chatops.webhook-secret-teams", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-client-secret-teams", "secrets.chatops.client-secret-teams", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-client-id-teams", "secrets.chatops.client-id-teams", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-storage-secret", "secrets.chatops.storage-secret", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-session-secret", "secrets.chatops.session-secret", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-app-id-slack", "secrets.chatops.app-id-slack", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-webhook-secret-slack", "secrets.chatops.webhook-secret-slack", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-client-secret-slack", "secrets.chatops.client-secret-slack", When::Flag("app.chatops.enabled"), false, Restored::Always),
    row("chatops-client-id-slack", "secrets.chatops.client-id-slack", When::Flag("app.chatops.enabled"), false, Restored::Always),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_and_every_key_stands_once() {
        let mut files: Vec<_> = SECRETS.iter().map(|row| row.file).collect();
        let mut keys: Vec<_> = SECRETS.iter().map(|row| row.key).collect();
        files.sort_unstable();
        keys.sort_unstable();
        let (all_files, all_keys) = (files.len(), keys.len());
        files.dedup();
        keys.dedup();
        assert_eq!((files.len(), keys.len()), (all_files, all_keys));
    }

    #[test]
    fn what_depends_on_a_kind_of_storage_or_chat_is_not_needed() {
        let needed = |file: &str| SECRETS.iter().find(|row| row.file == file).expect("a row").needed();
        assert!(needed("password-pepper") && needed("actions-config-db-password"));
        assert!(needed("secret-scanning-user-content-delimited-encryption-root-keys"));
        assert!(!needed("packages-aws-secret-key") && !needed("chatops-slack-app-id"));
        assert!(!needed("actions-aad-cert-thumbprint"));
    }

    #[test]
    fn keys_that_no_row_knows_are_named_without_their_values() {
        let text = "[secrets]\n\tmanage = a\n[secrets \"kredz\"]\n\tcredz-hmac-secret = b\n\
                    [secrets \"launch\"]\n\ttoken-oauth-key = c\n[secrets \"actions\"]\n\tConfigurationDatabaseSqlLogin = d\n\
                    [secrets \"newthing\"]\n\troot-key = hush\n";
        assert_eq!(unknown_keys(text), ["secrets.newthing.root-key"]);
    }
}
