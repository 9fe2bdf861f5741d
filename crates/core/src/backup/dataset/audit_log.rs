//! The audit log: one export per index, taken again only when its size changed (contract §2.9).

use std::collections::BTreeSet;

use crate::{
    appliance::quote::quote,
    backup::context::{CaptureError, Captured, Context, Ends},
};

const DUMP: &str = "/usr/local/share/enterprise/ghe-es-dump-json";

/// Indices and their sizes in bytes, from the lines of `_cat/indices`.
fn parse_indices(text: &str) -> Vec<(String, u64)> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?;
            let size = words.next()?.parse().ok()?;
            // The name becomes a file name and part of a URL.
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            (name.starts_with("audit_log") && name.chars().all(plain)).then(|| (name.to_owned(), size))
        })
        .collect()
}

/// Captures all indices.
///
/// # Errors
/// The list cannot be had, or the vault fails; single indices are problems in the result.
pub fn capture(ctx: &Context<'_>) -> Result<Captured, CaptureError> {
    let mut captured = Captured::default();
    let listed = ctx.output(
        "list audit log indices",
        r#"curl -sf "localhost:9201/_cat/indices/audit_log*?h=index,pri.store.size&bytes=b""#,
        &[],
    )?;
    transitions(ctx, &mut captured)?;
    let mut entries = BTreeSet::new();
    for (index, size) in parse_indices(&String::from_utf8_lossy(&listed)) {
        ctx.check_cancelled()?;
        match one(ctx, &index, size, &mut captured) {
            Ok(()) => {}
            Err(source) if source.ends_run() => return Err(source),
            Err(source) => {
                captured.problems.push(format!("index `{index}`: {source}"));
                if ctx.parent_node(format!("audit-log/{index}.json").as_bytes())?.is_none() {
                    continue;
                }
            }
        }
        entries.insert(format!("{index}.json").into_bytes());
        entries.insert(format!("{index}.size").into_bytes());
    }
    captured.remove.extend(ctx.gone_from(b"audit-log", &entries)?);
    let before = ctx.parent_node(b"audit-log")?;
    let meta = before.map_or_else(|| ctx.synthetic_meta(0o700 | (1 << 31), 0), |node| node.meta);
    captured.folders.insert(b"audit-log".to_vec(), meta);
    Ok(captured)
}

/// Lines of JSON end with a newline.
pub(crate) fn whole(ends: &Ends) -> Result<(), &'static str> {
    match ends.tail.last() {
        None | Some(b'\n' | b'}' | b']') => Ok(()),
        Some(_) => Err("its last line is cut off"),
    }
}

fn one(ctx: &Context<'_>, index: &str, size: u64, captured: &mut Captured) -> Result<(), CaptureError> {
    let (json, size_file) = (format!("audit-log/{index}.json"), format!("audit-log/{index}.size"));
    let size_text = format!("{size}\n");
    let size_node = ctx.store_bytes(size_file.as_bytes(), size_text.as_bytes())?;
    let before = ctx.parent_node(json.as_bytes())?;
    let same_size =
        ctx.parent_node(size_file.as_bytes())?.is_some_and(|node| node.content == size_node.content);
    let node = match before {
        Some(node) if same_size && !ctx.settings.full => node,
        _ => {
            let script = format!("{DUMP} {} | gzip -1", quote(&format!("http://localhost:9201/{index}")));
            let command = ctx.stream(&format!("export {index}"), &script);
            let (node, read) = ctx.store_output("audit-log", json.as_bytes(), &command, true, whole)?;
            captured.bytes_read += read;
            captured.files_changed += 1;
            node
        }
    };
    captured.items += 1;
    captured.bytes += node.meta.size;
    captured.replace.insert(json.into_bytes(), node);
    captured.replace.insert(size_file.into_bytes(), size_node);
    Ok(())
}

/// The migration sentinel, and the transitions that lead to it on old instances (contract §2.9, step 2).
fn transitions(ctx: &Context<'_>, captured: &mut Captured) -> Result<(), CaptureError> {
    let sentinel = format!("{}/common/es-scan-complete", ctx.settings.data_root);
    let mut there = ctx.facts.has("common/es-scan-complete");
    if !there && ctx.facts.has("run-audit-log-transitions.sh") {
        let script = format!(
            "echo n | /usr/local/share/enterprise/run-audit-log-transitions.sh >/dev/null && sudo touch {}",
            quote(&sentinel)
        );
        match ctx.output("run audit log transitions", &script, &[]) {
            Ok(_) => there = true,
            Err(source) if source.ends_run() => return Err(source),
            Err(source) => captured.warnings.push(format!("audit log transitions: {source}")),
        }
    }
    if there {
        captured.replace.insert(b"es-scan-complete".to_vec(), ctx.store_bytes(b"es-scan-complete", b"")?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::parse_indices;

    #[test]
    fn only_audit_log_indices_with_plain_names_and_sizes_count() {
        let text = "audit_log-1-2024-02-1 123\nusers 5\naudit_log-2 x\naudit_log-3;rm 9\n audit_log-4   7 \n";
        let names: Vec<_> =
            parse_indices(text).into_iter().map(|(name, size)| format!("{name}={size}")).collect();
        assert_eq!(names, ["audit_log-1-2024-02-1=123", "audit_log-4=7"]);
    }
}
