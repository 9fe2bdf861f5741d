//! Licence, settings, SAML keys and certificate authorities (contract §5.4, steps 4 to 6).

use super::{
    super::{error::StepError, report::Done, run::Scene},
    pipe, small,
};
use crate::appliance::quote::quote;

/// Imports the licence.
pub fn license(scene: &Scene<'_>) -> Result<Done, StepError> {
    pipe(scene, "enterprise.ghl", "import the licence", "ghe-import-license")
}

/// Imports the settings without marking the appliance as configured.
pub fn settings(scene: &Scene<'_>) -> Result<Done, StepError> {
    let content = rewritten(small(scene, "settings.json")?);
    scene.remote.work("import settings", "/usr/bin/env GHEBUVER=2 ghe-import-settings", &content)?;
    Ok(Done::one(content.len() as u64))
}

/// Unpacks the SAML keys.
pub fn saml(scene: &Scene<'_>) -> Result<Done, StepError> {
    let script = format!("sudo tar -C {} -xf -", quote(&format!("{}/", scene.data("common"))));
    pipe(scene, "saml-keys.tar", "unpack SAML keys", &script)
}

/// Imports certificate authorities.
pub fn ca_certificates(scene: &Scene<'_>) -> Result<Done, StepError> {
    pipe(scene, "ssl-ca-certificates.tar", "import certificate authorities", "ghe-import-ssl-ca-certificates")
}

/// The settings as the import wants them: the old storage mode renamed, one newline at the end (contract §2.4).
fn rewritten(settings: Vec<u8>) -> Vec<u8> {
    let mut text = match String::from_utf8(settings) {
        Ok(text) => text.replace("\"storage_mode\": \"device\"", "\"storage_mode\": \"rootfs\"").into_bytes(),
        Err(raw) => raw.into_bytes(),
    };
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::rewritten;

    #[test]
    fn the_old_storage_mode_is_renamed() {
        let text = rewritten(br#"{"storage_mode": "device"}"#.to_vec());
        assert_eq!(text, b"{\"storage_mode\": \"rootfs\"}\n");
        assert_eq!(rewritten(b"[core]\n\xff".to_vec()), b"[core]\n\xff\n");
    }
}
