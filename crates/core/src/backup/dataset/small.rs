//! Settings, licence, certificates, keys and identity: small outputs of single commands (contract §2.2, §2.4).

use crate::{
    appliance::{leaked_keys, quote::quote},
    backup::context::{CaptureError, Captured, Context},
};

/// A file in the snapshot and the command that prints it.
struct Item {
    file: &'static str,
    may_be_empty: bool,
    label: &'static str,
    script: String,
}

/// Captures the settings dataset: settings, licence, SAML keys, CA certificates, UUID.
///
/// # Errors
/// The vault fails; single items are problems in the result.
pub fn settings(ctx: &Context<'_>) -> Result<Captured, CaptureError> {
    let root = &ctx.settings.data_root;
    let mut items = vec![Item {
        file: "settings.json",
        may_be_empty: false,
        label: "export settings",
        script: "ghe-export-settings".into(),
    }];
    let (license, newer) = (quote(&ctx.settings.license), quote(&format!("{root}/common/enterprise.ghl")));
    items.push(Item {
        file: "enterprise.ghl",
        may_be_empty: false,
        label: "read the licence",
        script: format!("if sudo test -e {license}; then sudo cat {license}; else sudo cat {newer}; fi"),
    });
    if ctx.facts.has("common/idp.crt") {
        items.push(Item {
            file: "saml-keys.tar",
            may_be_empty: false,
            label: "read the SAML keys",
            script: format!("sudo tar -C {}/common/ -cf - idp.crt saml-sp.p12", quote(root)),
        });
    }
    if ctx.facts.has("ghe-export-ssl-ca-certificates") {
        items.push(Item {
            file: "ssl-ca-certificates.tar",
            may_be_empty: true,
            label: "export CA certificates",
            script: "ghe-export-ssl-ca-certificates".into(),
        });
    }
    items.push(Item {
        file: "uuid",
        may_be_empty: false,
        label: "read the UUID",
        script: format!("sudo cat {}", quote(&format!("{root}/common/uuid"))),
    });
    capture(ctx, &items)
}

/// Captures the admin's authorised keys.
///
/// # Errors
/// As [`settings`].
pub fn authorized_keys(ctx: &Context<'_>) -> Result<Captured, CaptureError> {
    capture(
        ctx,
        &[Item {
            file: "authorized-keys.json",
            may_be_empty: false,
            label: "export authorised keys",
            script: "ghe-export-authorized-keys".into(),
        }],
    )
}

/// Captures the SSH host keys.
///
/// # Errors
/// As [`settings`].
pub fn ssh_host_keys(ctx: &Context<'_>) -> Result<Captured, CaptureError> {
    capture(
        ctx,
        &[Item {
            file: "ssh-host-keys.tar",
            may_be_empty: false,
            label: "export SSH host keys",
            script: "ghe-export-ssh-host-keys".into(),
        }],
    )
}

fn capture(ctx: &Context<'_>, items: &[Item]) -> Result<Captured, CaptureError> {
    let mut captured = Captured::default();
    for item in items {
        ctx.check_cancelled()?;
        let bytes = match ctx.output(item.label, &item.script, &[]) {
            Ok(bytes) if !bytes.is_empty() => bytes,
            // An appliance without certificates of its own has none to give.
            Ok(_) if item.may_be_empty => continue,
            Ok(_) => {
                captured.problems.push(format!("`{}`: the appliance printed nothing", item.file));
                continue;
            }
            Err(source) if source.ends_run() => return Err(source),
            Err(source) => {
                captured.problems.push(format!("`{}`: {source}", item.file));
                continue;
            }
        };
        if item.file == "ssh-host-keys.tar" {
            captured.warnings.extend(leaked_keys::in_tar(&bytes));
        }
        // A tar whose members carry the time of the export differs each time; what counts is what is in it.
        let node = match ctx.parent_node(item.file.as_bytes())? {
            Some(before) if is_tar(item.file) && same_tar(ctx, &before, &bytes)? => before,
            _ => ctx.store_bytes(item.file.as_bytes(), &bytes)?,
        };
        captured.items += 1;
        captured.bytes += node.meta.size;
        captured.bytes_read += bytes.len() as u64;
        captured.files_changed += u64::from(node.meta.mtime == Some(ctx.started));
        captured.replace.insert(item.file.as_bytes().to_vec(), node);
    }
    Ok(captured)
}

fn is_tar(file: &str) -> bool {
    file.strip_suffix(".tar").is_some()
}

/// Whether the stored tar has the same members with the same bodies as `new`.
fn same_tar(ctx: &Context<'_>, before: &crate::vault::Node, new: &[u8]) -> Result<bool, CaptureError> {
    if before.meta.size != new.len() as u64 {
        return Ok(false);
    }
    let mut old = Vec::new();
    ctx.reader.dump(before, &mut old)?;
    let members = |bytes: &[u8]| -> std::io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut stream = crate::backup::files::tar_stream::TarStream::new(bytes);
        let mut all = Vec::new();
        while let Some(member) = stream.next_member()? {
            let mut body = Vec::new();
            std::io::Read::read_to_end(&mut stream.body(), &mut body)?;
            all.push((member.name, body));
        }
        Ok(all)
    };
    Ok(matches!((members(&old), members(new)), (Ok(a), Ok(b)) if a == b))
}
