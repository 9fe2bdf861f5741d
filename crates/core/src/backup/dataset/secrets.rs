//! The secrets (contract §2.3): all keys in one round trip, and an unset key told from a failed question.

use crate::{
    appliance::{
        quote::quote,
        secret_table::{DERIVED_FILE, DERIVED_FROM, SECRETS, SecretRow, unknown_keys},
    },
    backup::context::{CaptureError, Captured, Context},
};

/// What the appliance says about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Set(Vec<u8>),
    Unset,
    Failed(String),
}

/// One record per key: exit code, NUL, value with its newline as printed, NUL.
fn script(rows: &[&SecretRow]) -> String {
    let keys: Vec<String> = rows.iter().map(|row| quote(row.key)).collect();
    format!(
        "for key in {}; do value=$(ghe-config \"$key\"; printf '%s.' \"$?\"); \
         printf '%s\\0' \"$value\"; done; printf 'end\\0'",
        keys.join(" ")
    )
}

/// Reads the records: the value, then its exit code and a point.
fn parse(output: &[u8], count: usize) -> Option<Vec<Answer>> {
    let mut records: Vec<&[u8]> = output.split(|b| *b == 0).collect();
    records.pop();
    if records.pop()? != b"end" || records.len() != count {
        return None;
    }
    records.into_iter().map(parse_one).collect()
}

fn parse_one(record: &[u8]) -> Option<Answer> {
    let record = record.strip_suffix(b".")?;
    let digits = record.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    // `ghe-config` ends a value with a newline, so that the digits after it are the exit code alone.
    let newline = memchr::memrchr(b'\n', record).map_or(0, |at| at + 1);
    let at = newline.max(record.len() - digits);
    let (value, code) = record.split_at(at);
    let code = std::str::from_utf8(code).ok()?;
    Some(match (code, value.is_empty() || value == b"\n") {
        ("0", false) => Answer::Set(value.to_vec()),
        ("0" | "1", true) => Answer::Unset,
        _ => Answer::Failed(format!("ghe-config ended with exit code {code}")),
    })
}

/// Captures the secrets that an appliance of this release and these features has.
///
/// # Errors
/// The question as a whole failed, or the vault fails.
pub fn capture(ctx: &Context<'_>) -> Result<Captured, CaptureError> {
    let rows: Vec<&SecretRow> = SECRETS.iter().filter(|row| row.applies(ctx.facts)).collect();
    let output = zeroize::Zeroizing::new(ctx.output("read secrets", &script(&rows), &[])?);
    let answers = parse(&output, rows.len()).ok_or_else(|| {
        CaptureError::Unexpected("the secrets came in a form that is not understood".into())
    })?;
    let mut captured = Captured::default();
    let keying = rows.iter().position(|row| row.file == DERIVED_FROM).map(|at| answers[at].clone());
    let mut unset = Vec::new();
    for (row, answer) in rows.iter().zip(answers) {
        let value = match answer {
            Answer::Set(value) => value,
            Answer::Unset => {
                let Some(value) = derived(row, keying.as_ref()) else {
                    unset.push(*row);
                    continue;
                };
                value
            }
            Answer::Failed(why) => {
                captured.problems.push(format!("`{}`: {why}", row.key));
                continue;
            }
        };
        let value = zeroize::Zeroizing::new(value);
        store(ctx, &mut captured, row.file, &value)?;
    }
    gate(&unset, ctx, &mut captured);
    whole_file(ctx, &mut captured)?;
    Ok(captured)
}

/// A snapshot that lacks what its release needs is partial: users could not sign in after a restore (contract §2.3, notes).
fn gate(unset: &[&SecretRow], ctx: &Context<'_>, captured: &mut Captured) {
    let (needed, others): (Vec<&SecretRow>, Vec<&SecretRow>) = unset
        .iter()
        .filter(|row| !row.best_effort)
        .partition(|row| row.needed() && !ctx.settings.unset_secrets.contains(row.key));
    captured.problems.extend(needed.iter().map(|row| {
        format!(
            "`{}` is not set on the appliance, but release {} needs it (`backup.unset_secrets` accepts that)",
            row.key, ctx.facts.version
        )
    }));
    if !others.is_empty() {
        let keys: Vec<&str> = others.iter().map(|row| row.key).collect();
        captured.warnings.push(format!("secrets not set on the appliance: {}", keys.join(", ")));
    }
}

/// Nothing is lost when a release adds a secret that is not in our table: the whole file is kept beside (contract §2.3, last note).
fn whole_file(ctx: &Context<'_>, captured: &mut Captured) -> Result<(), CaptureError> {
    let file = quote(&format!("{}/common/secrets.conf", ctx.settings.data_root));
    match ctx.output("read secrets.conf", &format!("sudo cat {file}"), &[]) {
        Ok(bytes) => {
            let bytes = zeroize::Zeroizing::new(bytes);
            let text = zeroize::Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
            let unknown = unknown_keys(&text);
            if !unknown.is_empty() {
                captured.warnings.push(format!(
                    "secrets that this program does not know are kept in `ghevault/secrets.conf` and not restored: {}",
                    unknown.join(", ")
                ));
            }
            store(ctx, captured, "ghevault/secrets.conf", &bytes)
        }
        Err(source) if source.ends_run() => Err(source),
        Err(source) => {
            captured.warnings.push(format!("secrets.conf was not kept: {source}"));
            Ok(())
        }
    }
}

fn store(ctx: &Context<'_>, captured: &mut Captured, file: &str, bytes: &[u8]) -> Result<(), CaptureError> {
    let node = ctx.store_bytes(file.as_bytes(), bytes)?;
    captured.items += 1;
    captured.bytes += node.meta.size;
    captured.bytes_read += bytes.len() as u64;
    captured.files_changed += u64::from(node.meta.mtime == Some(ctx.started));
    captured.replace.insert(file.as_bytes().to_vec(), node);
    Ok(())
}

/// The current encryption key, when it is not set itself: the text after the last semicolon of the keying material. Without keying material
/// there is none; an empty file would wipe the key of the appliance that is restored.
fn derived(row: &SecretRow, keying: Option<&Answer>) -> Option<Vec<u8>> {
    let Some(Answer::Set(material)) = keying.filter(|_| row.file == DERIVED_FILE) else { return None };
    let after = memchr::memrchr(b';', material).map_or(0, |at| at + 1);
    let value = &material[after..];
    (!value.trim_ascii().is_empty()).then(|| value.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_is_told_from_failure() {
        let answers = parse(b"value\n0.\x001.\x00255.\0end\0", 3).unwrap();
        assert_eq!(answers[0], Answer::Set(b"value\n".to_vec()));
        assert_eq!(answers[1], Answer::Unset);
        assert!(matches!(answers[2], Answer::Failed(_)));
    }

    #[test]
    fn a_value_of_digits_is_not_mixed_up_with_its_exit_code() {
        assert_eq!(parse(b"123450\n0.\0end\0", 1).unwrap()[0], Answer::Set(b"123450\n".to_vec()));
        assert_eq!(parse(b"two\nlines\n0.\0end\0", 1).unwrap()[0], Answer::Set(b"two\nlines\n".to_vec()));
    }

    #[test]
    fn an_answer_that_was_cut_is_no_answer() {
        assert_eq!(parse(b"value\n0.\0", 1), None);
        assert_eq!(parse(b"value\n0.\0end\0", 2), None);
    }

    #[test]
    fn the_current_key_is_derived_only_from_material_that_is_set() {
        let row = SECRETS.iter().find(|row| row.file == DERIVED_FILE).unwrap();
        assert_eq!(derived(row, Some(&Answer::Set(b"foo;bar\n".to_vec()))), Some(b"bar\n".to_vec()));
        assert_eq!(derived(row, Some(&Answer::Unset)), None);
        assert_eq!(derived(row, Some(&Answer::Set(b"foo;\n".to_vec()))), None);
    }
}
