//! The appliance's own configuration: settings, secrets, licence, certificates, keys, identity (contract §2.2-2.4).

use std::{fmt::Write as _, fs, process::Command};

use super::Recipe;
use crate::{
    appliance::{Place, commands::ca_certificates},
    doors::keys,
    error::{OnFile, SimError},
    seed::Seed,
};

/// Keys in `secrets.conf` with random values, as `section.rest.name` (contract §2.3).
const SECRETS: [&str; 10] = [
    "secrets.manage",
    "secrets.github.user-password-secrets",
    "secrets.kredz.credz-hmac-secret",
    "secrets.kredz.varz-hmac-secret",
    "secrets.secret-scanning.encrypted-secrets-current-storage-key",
    "secrets.secret-scanning.encrypted-secrets-delimited-storage-keys",
    "secrets.secret-scanning.encrypted-secrets-current-shared-transit-key",
    "secrets.secret-scanning.encrypted-secrets-delimited-shared-transit-keys",
    "secrets.secret-scanning.secret-scanning-user-content-delimited-encryption-root-keys",
    "secrets.manage-auth.argon-secret",
];

/// The same below `secrets.actions`: what every appliance with Actions has.
const ACTIONS_SECRETS: [&str; 12] = [
    "ConfigurationDatabaseSqlLogin",
    "ConfigurationDatabaseSqlPassword",
    "UrlSigningHmacKeyPrimary",
    "UrlSigningHmacKeySecondary",
    "OAuthS2SSigningCert",
    "OAuthS2SSigningKey",
    "OAuthS2SSigningCertThumbprint",
    "PrimaryEncryptionCertificateThumbprint",
    "S2SEncryptionCertificate",
    "SecondaryEncryptionCertificateThumbprint",
    "SpsValidationCertThumbprint",
    "storage.container-prefix",
];

/// The same below `secrets.launch`.
const LAUNCH_SECRETS: [&str; 12] = [
    "actions-secrets-private-key",
    "deployer-hmac-secret",
    "client-id",
    "client-secret",
    "receiver-webhook-secret",
    "app-private-key",
    "app-public-key",
    "app-id",
    "app-relay-id",
    "action-runner-secret",
    "azp-app-cert",
    "azp-app-private-key",
];

/// The appliance's UUID.
pub(super) fn uuid(seed: &Seed) -> String {
    let hex = seed.part("uuid").hex(32);
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

pub(super) fn write(place: &Place, seed: &Seed, recipe: &Recipe) -> Result<(), SimError> {
    let common = place.disk("/data/user/common");
    let mut draw = seed.part("settings");
    let put = |path: &std::path::Path, bytes: &[u8]| -> Result<(), SimError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).on("create", folder)?;
        }
        fs::write(path, bytes).on("write", path)
    };
    put(&common.join("uuid"), format!("{}\n", uuid(seed)).as_bytes())?;
    put(&common.join("github.conf"), github_conf(&mut draw, recipe).as_bytes())?;
    put(&common.join("secrets.conf"), secrets_conf(&mut draw, seed, recipe).as_bytes())?;
    put(&place.disk("/data/enterprise/enterprise.ghl"), &draw.bytes(3000))?;
    put(
        &common.join("authorized_keys"),
        format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} ops@example.com\n", draw.hex(42)).as_bytes(),
    )?;
    put(&place.disk("/etc/github/enterprise-release"), release(&recipe.version).as_bytes())?;
    put(&place.disk("/data/github/current/public/robots.txt"), b"User-agent: *\nDisallow: /\n")?;
    if recipe.configured {
        put(&place.disk("/etc/github/configured"), b"")?;
    }
    if !recipe.empty {
        put(&common.join("idp.crt"), certificate(&mut draw).as_bytes())?;
        put(&common.join("saml-sp.p12"), &draw.bytes(2400))?;
        authorities(place, &mut draw)?;
    }
    let mut secret = [0; 32];
    secret.copy_from_slice(&seed.part("host key").bytes(32));
    keys::write_host_keys(place, &secret)
}

fn github_conf(draw: &mut Seed, recipe: &Recipe) -> String {
    let Recipe { version, actions, .. } = recipe;
    format!(
        "[core]\n\tpackage-version = {version}\n\tgithub-hostname = ghe-{}.example.com\n\tauth-mode = default\n\
         [app \"actions\"]\n\tenabled = {actions}\n[app \"minio\"]\n\tenabled = {actions}\n\
         [app \"packages\"]\n\tenabled = false\n[mysql \"external\"]\n\tenabled = false\n\
         [smtp]\n\tenabled = true\n\taddress = smtp.example.com\n\tnoreply-address = noreply@example.com\n\
         [ntp]\n\tpools = \"0.pool.example.com 1.pool.example.com\"\n",
        draw.hex(6)
    )
}

fn secrets_conf(draw: &mut Seed, seed: &Seed, recipe: &Recipe) -> String {
    let (old, new) = (draw.hex(32), draw.hex(32));
    let mut text = String::new();
    let mut section = String::new();
    let keying = [
        ("secrets.github.encrypted-column-keying-material".to_owned(), format!("{old};{new}")),
        ("secrets.github.encrypted-column-current-encryption-key".to_owned(), new.clone()),
    ];
    let drawn: Vec<_> = SECRETS.iter().map(|key| ((*key).to_owned(), draw.hex(40))).collect();
    let mut all: Vec<_> = keying.into_iter().chain(drawn).collect();
    if recipe.actions {
        all.extend(actions_secrets(seed));
    }
    all.retain(|(key, _)| exists_in(key, &recipe.version));
    all.sort();
    for (key, value) in all {
        let (begin, name) = key.rsplit_once('.').unwrap_or(("", &key));
        let header = match begin.split_once('.') {
            Some((first, rest)) => format!("[{first} \"{rest}\"]"),
            None => format!("[{begin}]"),
        };
        if header != section {
            let _ = writeln!(text, "{header}");
            section = header;
        }
        let _ = writeln!(text, "\t{name} = \"{value}\"");
    }
    text
}

/// Actions' secrets; two of them have a second name.
fn actions_secrets(seed: &Seed) -> Vec<(String, String)> {
    let mut draw = seed.part("actions secrets");
    let key = |section: &str, name: &str| format!("secrets.{section}.{name}");
    let mut all: Vec<_> = ACTIONS_SECRETS.iter().map(|name| (key("actions", name), draw.hex(48))).collect();
    all.extend(LAUNCH_SECRETS.iter().map(|name| (key("launch", name), draw.hex(48))));
    for (name, second) in
        [("OAuthS2SSigningCert", "token-oauth-cert"), ("OAuthS2SSigningKey", "token-oauth-key")]
    {
        let value =
            all.iter().find(|(known, _)| *known == key("actions", name)).map(|(_, value)| value.clone());
        all.extend(value.map(|value| (key("launch", second), value)));
    }
    all
}

/// Changes the version in the files that name it.
///
/// # Errors
/// A file cannot be written.
pub fn set_version(place: &Place, version: &str) -> Result<(), SimError> {
    let path = place.disk("/etc/github/enterprise-release");
    fs::write(&path, release(version)).on("write", path)?;
    let status = Command::new("git")
        .args(["config", "-f"])
        .arg(place.disk("/data/user/common/github.conf"))
        .args(["core.package-version", version])
        .status()
        .on("run", "git config")?;
    if status.success() {
        return Ok(());
    }
    Err(SimError::Program { program: "git config".to_owned(), reason: status.to_string() })
}

/// Which version knows a key (contract §2.3).
fn exists_in(key: &str, version: &str) -> bool {
    let minor: u32 = version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0);
    match key.split('.').nth(1) {
        Some("manage-auth") => matches!(version, "3.8.0" | "3.8.1"),
        Some("secret-scanning") if key.contains("user-content") => minor >= 11,
        Some("secret-scanning") => minor >= 8,
        _ if key.contains("encrypted-column") => minor >= 7,
        _ => true,
    }
}

fn release(version: &str) -> String {
    format!("RELEASE_VERSION=\"{version}\"\nRELEASE_PLATFORM=\"lxc\"\nRELEASE_BUILD_DATE=\"2023-12-05\"\n")
}

/// A self-signed certificate of a key that nobody has, without the 64 bytes of its signature.
const CERTIFICATE: &str = "3082015330820105a003020102021427fcc7035430360f3bde8e99a346f1ea2dc2217f300506032b6570301e311c301a0603\
     5504030c1373696d756c61746564206170706c69616e63653020170d3236313132373030333932395a180f32313236313130\
     333030333932395a301e311c301a06035504030c1373696d756c61746564206170706c69616e6365302a300506032b657003\
     2100cffc94085bca46557037e2e5452c8a2465ae9005367d2f3e09395054b4914252a3533051301d0603551d0e04160414be\
     6556f7b8d35e466b41b02f8e85ec578691fad6301f0603551d23041830168014be6556f7b8d35e466b41b02f8e85ec578691\
     fad6300f0603551d130101ff040530030101ff300506032b6570034100";

/// A certificate that every program reads, and that no program trusts: its signature is drawn.
fn certificate(draw: &mut Seed) -> String {
    let drawn: String = (0..12).map(|_| draw.hex(64)).collect();
    // both halves are hexadecimal, so that this cannot fail; openssl would complain of an empty certificate
    let der = hex::decode(format!("{CERTIFICATE}{}", &drawn[..128])).unwrap_or_default();
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// Additional certificate authorities, as the tar that the appliance exports.
fn authorities(place: &Place, draw: &mut Seed) -> Result<(), SimError> {
    let folder = tempfile::tempdir_in(place.root()).on("create a folder in", place.root())?;
    for name in ["corporate-root.crt", "proxy.crt"] {
        fs::write(folder.path().join(name), certificate(draw)).on("write", folder.path())?;
    }
    let status = Command::new("tar")
        .args(["--sort=name", "--mtime=@1690000000", "--owner=0", "--group=0", "--mode=0644", "-cf"])
        .arg(place.store(ca_certificates::STORE))
        .arg("-C")
        .arg(folder.path())
        .args(["corporate-root.crt", "proxy.crt"])
        .status()
        .on("run", "tar")?;
    if status.success() {
        return Ok(());
    }
    Err(SimError::Program { program: "tar".to_owned(), reason: status.to_string() })
}
